"""The WSGI application that tests/deploy/test_webworker.py has served, and a worker in a hurry."""

import json
import os
import sys
import threading
import time
from io import BytesIO
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

from django.conf import settings

from twitter.webworker import WebWorker

settings.configure(MAX_BODY_BYTES=64 * 1024, STATIC_URL="/static/")


class HurriedWorker(WebWorker):
    request_seconds = 1.0
    send_seconds = 1.0
    linger_seconds = 0.5


class Blocks:
    """A streamed answer that leaves a file behind when it is closed."""

    def __init__(self, *blocks: bytes | Exception) -> None:
        self.blocks = iter(blocks)

    def __iter__(self):
        return self

    def __next__(self):
        block = next(self.blocks)
        if isinstance(block, Exception):
            raise block
        return block

    def close(self) -> None:
        with Path(os.environ["CLOSED"]).open("a") as file:
            file.write("closed\n")


def application(environ: WSGIEnvironment, start_response: StartResponse):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    number = int(query) if query.isdigit() else 0
    if path in FAILURES:
        FAILURES[path]()
    if path == "/silent":
        return [b"without start_response"]
    if path == "/sleep":
        time.sleep(number / 1000)
    status = "204 No Content" if path == "/empty" else "200 OK"
    length = [("Content-Length", query)] if path == "/length" else []
    start_response(status, [("Content-Type", "text/plain"), *length])
    return BODIES.get(path, echo)(environ, number)


def echo(environ: WSGIEnvironment, number: int) -> list[bytes]:
    """Return what the application sees of the request, and of its own process."""
    known = {key: value for key, value in environ.items() if isinstance(value, str)}
    known["body"] = environ["wsgi.input"].read().decode("latin-1")
    return [json.dumps(known | {"pid": os.getpid(), "threads": threading.active_count()}).encode()]


def fail() -> None:
    raise ValueError("on purpose")


FAILURES = {"/raise": fail, "/exit": sys.exit}
BODIES = {
    "/length": lambda _, number: [b"short"],
    "/empty": lambda _, number: [],
    "/big": lambda _, number: [b"x" * number],
    "/endless": lambda _, number: (b"x" * 65536 for _ in range(number)),
    "/blocks": lambda _, number: Blocks(b"one", b"", b"two"),
    "/breaks": lambda _, number: Blocks(b"one", ValueError("on purpose")),
    "/file": lambda environ, number: environ["wsgi.file_wrapper"](BytesIO(b"f" * 20_000)),
}
