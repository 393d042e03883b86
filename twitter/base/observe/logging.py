"""Logs as JSON lines on stdout, each with what is known of the request or task that wrote it."""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

# What PostgreSQL adds to an error quotes the row, or the key, that a constraint refused.
_DETAIL = re.compile(r"\nDETAIL:  .*?(?=\n\n|\nHINT:|\nCONTEXT:|\Z)", re.DOTALL)

HEALTH = ("/healthz", "/helthz")

# Ids only: this gets into every line.
_known: ContextVar[dict[str, Any] | None] = ContextVar("known", default=None)

_to_json = json.JSONEncoder(ensure_ascii=False).encode


def begin(**fields: Any) -> None:
    """Begin a request or task of this thread: its lines have these fields, and those of `note`."""
    _known.set(fields)


def note(**fields: Any) -> None:
    """Add fields to the lines of the present request or task, if there is one."""
    noted = _known.get()
    if noted is not None:
        noted.update(fields)


def known() -> Mapping[str, Any]:
    """Return the fields of the present request or task."""
    return _known.get() or {}


def end() -> None:
    """Let the thread's next lines have no such fields."""
    _known.set(None)


@contextmanager
def within(**fields: Any) -> Iterator[None]:
    """Add fields to the lines that are written inside the `with`."""
    token = _known.set({**known(), **fields})
    try:
        yield
    finally:
        _known.reset(token)


def without_details(text: str) -> str:
    """Return an error's text, or a traceback, without what PostgreSQL quotes of people's data."""
    return _DETAIL.sub("", text)


def line(created: float, level: int, logger: str, message: str, fields: Mapping[str, Any]) -> str:
    """Return a line; `created` is when what it tells of happened, in seconds since 1970."""
    entry = {
        "time": datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds"),
        "level": logging.getLevelName(level).lower(),
        "logger": logger,
        "message": message,
        **fields,
    }
    return _to_json(entry)


class JSONFormatter(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        fields = dict(known())
        if record.exc_info:
            fields["exception"] = without_details(self.formatException(record.exc_info))
        message = without_details(record.getMessage())
        return line(record.created, record.levelno, record.name, message, fields)


class NothingOfClients(logging.Filter):
    """gunicorn's lines about a request that fails quote the client's address, or the path."""

    BEGINNINGS = ("Invalid request", "Error handling request")

    def filter(self, record: logging.LogRecord) -> bool:
        for beginning in self.BEGINNINGS:
            if record.msg.startswith(beginning):
                record.msg, record.args = beginning, ()
        return True


class OnceASecond(logging.Filter):
    """Of lines that would say the same of each request, let one a second through."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created - self._said.get(record.msg, 0.0) < 1:
            return False
        self._said[record.msg] = record.created
        return True


class UnavailableIsAWarning(logging.Filter):
    """Django calls each 5xx an error. A 503 says that a part is away: nothing here is to mend.

    The 503 of a health check is not logged: it comes every few seconds until all parts are there.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "status_code", None) != HTTPStatus.SERVICE_UNAVAILABLE:
            return True
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return not record.getMessage().endswith(HEALTH)
