"""A line for each request, if WEB_ACCESS_LOG says where to: neither path nor query.

Both may tell of people. A line has the route instead, which twitter/urls.py knows.
"""

import logging
import os
import select
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from logging.handlers import WatchedFileHandler
from typing import Any

from twitter.base.environment import log_level
from twitter.base.observe.logging import HEALTH, known, line

# So many lines may wait to be written. When there are more, requests wait until they are read.
NOTED_MOST = 10_000
# A pipe takes so many bytes whole: no line of another process gets into one of ours.
WHOLE_BYTES = select.PIPE_BUF

logger = logging.getLogger("access")
logger.propagate = False  # what is handed to its handler has its form already
OFF = logging.CRITICAL + 1
logger.setLevel(OFF)

_noted: deque[tuple[float, int, str, str, dict[str, Any]]] = deque()


def begin() -> None:
    """Log from now on where WEB_ACCESS_LOG says: `-` is standard output, else it names a file."""
    where = os.environ.get("WEB_ACCESS_LOG")
    if where:
        stdout = logging.StreamHandler(sys.stdout)
        logger.addHandler(stdout if where == "-" else WatchedFileHandler(where))
        logger.setLevel(log_level())


def note(environ: dict[str, Any], *, status: int, seconds: float, sent: int) -> None:
    """Note the line of a WSGI request that was answered with `sent` bytes of body."""
    level = _level(status, environ["PATH_INFO"])
    if not logger.isEnabledFor(level):
        return
    method = environ["REQUEST_METHOD"]
    answer = {"method": method, "status": status, "ms": round(seconds * 1_000, 3), "bytes": sent}
    fields = {**known(), **answer}
    message = f"{method} {fields.get('route', '-')} {status}"
    _noted.append((time.time(), level, logger.name, message, fields))
    if len(_noted) >= NOTED_MOST:
        write_down()


def write_down() -> None:
    """Write what is noted. Several threads may do so at once: each takes what is left."""
    for block in _blocks(_lines()):
        logger.handle(logging.LogRecord(logger.name, logging.INFO, "", 0, block, None, None))


def _lines() -> Iterator[str]:
    while _noted:
        try:
            noted = _noted.popleft()
        except IndexError:  # another thread has the last one
            return
        yield line(*noted)


def _blocks(lines: Iterable[str]) -> Iterator[str]:
    """Join lines, as many as are written whole."""
    block: list[str] = []
    size = 0
    for each in lines:
        length = len(each.encode()) + 1
        if block and size + length > WHOLE_BYTES:
            yield "\n".join(block)
            block, size = [], 0
        block.append(each)
        size += length
    if block:
        yield "\n".join(block)


def _level(status: int, path: str) -> int:
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return logging.WARNING
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return logging.ERROR
    return logging.DEBUG if path.endswith(HEALTH) else logging.INFO
