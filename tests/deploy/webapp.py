"""A WSGI application whose answers go wrong, for tests/deploy/test_web_servers.py."""

from collections.abc import Iterator
from wsgiref.types import StartResponse, WSGIEnvironment

from twitter.base.observe.observing import observed


@observed
def application(environ: WSGIEnvironment, start_response: StartResponse):
    if environ["PATH_INFO"] == "/raise":
        raise ValueError("on purpose")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return breaks() if environ["PATH_INFO"] == "/breaks" else [b"well"]


def breaks() -> Iterator[bytes]:
    yield b"x" * 100_000
    raise ValueError("on purpose")
