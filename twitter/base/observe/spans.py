"""OpenTelemetry, for processes that trace; the others never import it. `tracing` is its face."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from twitter.base.observe import logging

# When a process ends, exporting the spans that are left may take so long.
STOP_SECONDS = 3.0

_context = TraceContextTextMapPropagator()


class Traces:
    """The traces of one process: a thread exports spans, and drops them if that is too slow.

    The environment tells where to, and what the sampler takes: OpenTelemetry's own variables.
    """

    def __init__(self, service: str) -> None:
        resource = Resource.create({"service.name": service})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        # The sampler is asked by `request`, and only once: a request not taken costs no span.
        self._sampler, self._provider.sampler = self._provider.sampler, ALWAYS_ON
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("twitter")

    def stop(self) -> None:
        """Export what is left, for STOP_SECONDS at most: by itself it would go on trying."""
        thread = threading.Thread(target=self._provider.shutdown, daemon=True)
        thread.start()
        thread.join(STOP_SECONDS)

    def request(self, method: str) -> AbstractContextManager[Span] | None:
        """See `tracing`; None if the sampler does not take it."""
        trace_id = self._provider.id_generator.generate_trace_id()
        sampled = self._sampler.should_sample(None, trace_id, method, SpanKind.SERVER)
        if sampled.decision is not Decision.RECORD_AND_SAMPLE:
            return None
        span = self._tracer.start_span(method, kind=SpanKind.SERVER, attributes=sampled.attributes)
        logging.note(trace_id=trace.format_trace_id(span.get_span_context().trace_id))
        return _present(span)

    def answered(self, *, method: str, status: int, known: Mapping[str, Any]) -> None:
        """See `tracing`. Names are those of OpenTelemetry's conventions for HTTP."""
        span, route = trace.get_current_span(), known.get("route")
        span.set_attributes({"http.request.method": method, "http.response.status_code": status})
        span.set_attribute("twitter.request_id", known["request_id"])
        if route:
            span.update_name(f"{method} {route}")
            span.set_attribute("http.route", route)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            span.set_status(StatusCode.ERROR)

    def span(
        self, name: str, *, parent: str | None, since: int | None, **attributes: Any
    ) -> AbstractContextManager[Span] | None:
        """See `tracing`; None without a trace."""
        context = None
        if parent is not None:
            context = _context.extract({"traceparent": parent})
        elif not trace.get_current_span().is_recording():
            return None
        named = _named(attributes)
        return _present(self._tracer.start_span(name, context, attributes=named, start_time=since))

    def note(self, **attributes: Any) -> None:
        """See `tracing`."""
        trace.get_current_span().set_attributes(_named(attributes))

    def failed(self, error: BaseException) -> None:
        """See `tracing`."""
        _fail(trace.get_current_span(), error)

    def traceparent(self) -> str | None:
        """See `tracing`."""
        carrier: dict[str, str] = {}
        _context.inject(carrier)
        return carrier.get("traceparent")


def _named(attributes: dict[str, Any]) -> dict[str, Any]:
    return {f"twitter.{name}": value for name, value in attributes.items()}


@contextmanager
def _present(span: Span) -> Iterator[Span]:
    # By itself it would record messages and tracebacks of exceptions.
    with trace.use_span(
        span, end_on_exit=True, record_exception=False, set_status_on_exception=False
    ):
        try:
            yield span
        except Exception as error:
            _fail(span, error)
            raise


def _fail(span: Span, error: BaseException) -> None:
    """Record the kind of an error: its message may quote what people wrote. Logs have the rest."""
    kind = type(error).__qualname__
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR, kind)
