"""Traces: what a request causes, through outbox and relay into the worker.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set: then neither tracer nor exporter is imported, and
each function here returns at once. A trace begins with a request, if the sampler takes it; what is
not sampled leaves nothing, in no process. docs/tracing.md has variables, names and costs.
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twitter.base.observe.spans import Traces

_traces: "Traces | None" = None
_NOTHING = nullcontext()


def start(role: str) -> None:
    """Trace what this process does: web, worker or relay.

    Not before a fork: the thread that exports would not be in the child.
    """
    global _traces  # noqa: PLW0603 - one a process
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        from twitter.base.observe.spans import Traces  # noqa: PLC0415 - only where it is wanted

        _traces = Traces(os.environ.get("OTEL_SERVICE_NAME") or f"twitter-{role}")


def stop() -> None:
    """Export what is left, before the process ends, without waiting long for a collector."""
    if _traces is not None:
        _traces.stop()


def request(method: str) -> AbstractContextManager[Any]:
    """Begin a trace if the sampler takes it: a context manager that gives its span, or None.

    A `traceparent` that the client sends is not followed: anybody could have everything traced.
    """
    return _NOTHING if _traces is None else _traces.request(method) or _NOTHING


def answered(*, method: str, status: int, known: Mapping[str, Any]) -> None:
    """Tell the span of a request what came of it; `known` is what its log lines say."""
    if _traces is not None:
        _traces.answered(method=method, status=status, known=known)


def span(
    name: str, *, parent: str | None = None, since: int | None = None, **attributes: Any
) -> AbstractContextManager[Any]:
    """Do something in a span of the present trace, or of the one that `parent` names.

    `parent` is what `traceparent` returned, perhaps in another process; `since` is when it began,
    in nanoseconds, if that was before. Attributes are numbers and names, never what people wrote.
    """
    if _traces is None:
        return _NOTHING
    return _traces.span(name, parent=parent, since=since, **attributes) or _NOTHING


def spans(name: str, *, parents: Iterable[str | None]) -> AbstractContextManager[Any]:
    """Do something for several traces at once, in a span of each."""
    if _traces is None:
        return _NOTHING
    together = ExitStack()
    for parent in filter(None, parents):
        together.enter_context(span(name, parent=parent))
    return together


def note(**attributes: Any) -> None:
    """Add attributes to the present span."""
    if _traces is not None:
        _traces.note(**attributes)


def failed(error: BaseException) -> None:
    """Tell the present span what went wrong."""
    if _traces is not None:
        _traces.failed(error)


def traceparent() -> str | None:
    """Return what makes a later span a child of the present one; None without a trace."""
    return None if _traces is None else _traces.traceparent()
