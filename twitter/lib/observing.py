"""What is known of a request beside its answer: its id, and its trace."""

import random
import re
from collections.abc import Callable, Iterable
from typing import Any

from twitter.lib import logging, tracing
from twitter.lib.metrics import Application

REQUEST_ID = "X-Request-Id"
_TRUSTED = re.compile(r"[A-Za-z0-9-]{8,64}")


def new_id() -> str:
    """Return an id for a request: 128 random bits, to tell requests apart and nothing more."""
    return f"{random.getrandbits(128):032x}"


def observed(application: Application) -> Application:
    """Give each request of a WSGI application an id, and a trace if the sampler takes it.

    The id is that of the header X-Request-Id, where a proxy in front sends a decent one. Every
    answer has it, and every line that is logged meanwhile.
    """

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        sent = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = sent if _TRUSTED.fullmatch(sent) else new_id()
        logging.begin(request_id=request_id)
        answered = ""

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            nonlocal answered
            answered = status
            return start_response(status, [*headers, (REQUEST_ID, request_id)], *error)

        method = environ["REQUEST_METHOD"]
        with tracing.request(method) as span:
            blocks = application(environ, start)
            if span is not None:
                tracing.answered(method=method, status=int(answered[:3]), known=logging.known())
        return blocks

    return answer
