"""What is known of a request beside its answer: its id, its trace, its line in the log."""

import random
import re
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any

from twitter.base.observe import access, logging, tracing
from twitter.base.observe.metrics import Application

REQUEST_ID = "X-Request-Id"
# What twitter/urls.py calls what was asked for. nginx logs it, and does not pass it on.
ROUTE = "X-Route"
_TRUSTED = re.compile(r"[A-Za-z0-9-]{8,64}")


def new_id() -> str:
    """Return an id for a request: 128 random bits, to tell requests apart and nothing more."""
    return f"{random.getrandbits(128):032x}"


def observed(application: Application) -> Application:
    """Give each request of a WSGI application an id, a line in the log, and a trace.

    There is a trace only if the sampler takes it. The id is that of the header X-Request-Id, where
    a proxy in front sends a proper one. Every answer has it, and every line that is logged
    meanwhile.
    """

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        begun = perf_counter()
        sent = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = sent if _TRUSTED.fullmatch(sent) else new_id()
        logging.begin(request_id=request_id)
        status = 500  # unless the application says otherwise

        def start(answered: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            nonlocal status
            status = int(answered[:3])
            own = [(REQUEST_ID, request_id)]
            if route := logging.known().get("route"):
                own.append((ROUTE, route))
            return start_response(answered, [*headers, *own], *error)

        method = environ["REQUEST_METHOD"]
        blocks: Iterable[bytes] = []
        try:
            with tracing.request(method) as span:
                blocks = application(environ, start)
                if span is not None:
                    tracing.answered(method=method, status=status, known=logging.known())
        finally:
            if isinstance(blocks, list):
                size = sum(map(len, blocks))
                access.note(environ, status=status, seconds=perf_counter() - begun, sent=size)
                logging.end()
        if isinstance(blocks, list):
            return blocks
        return _Stream(blocks, environ=environ, status=status, begun=begun)

    return answer


class _Stream:
    """An answer whose length is not known when it begins; its line is noted when it has ended."""

    def __init__(
        self, blocks: Iterable[bytes], *, environ: dict[str, Any], status: int, begun: float
    ) -> None:
        self._blocks = blocks
        self._iterator = iter(blocks)
        self._environ, self._status, self._begun = environ, status, begun
        self._sent = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block = next(self._iterator)
        self._sent += len(block)
        return block

    def close(self) -> None:
        """Let the application close what it has open, as PEP 3333 says, and note the line."""
        try:
            if hasattr(self._blocks, "close"):
                self._blocks.close()
        finally:
            seconds = perf_counter() - self._begun
            access.note(self._environ, status=self._status, seconds=seconds, sent=self._sent)
            logging.end()
