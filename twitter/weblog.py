"""gunicorn's logs as JSON lines like all others, one a request if WEB_ACCESS_LOG is set."""

import logging
import sys
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from gunicorn import glogging

from twitter.lib.logging import JSONFormatter, known

HEALTH = ("/healthz", "/helthz")


class Logger(glogging.Logger):  # type: ignore[misc]  # gunicorn has no types
    """`logger_class` for config/gunicorn.conf.py."""

    def setup(self, cfg: Any) -> None:
        """Let lines about requests be as loud as others."""
        super().setup(cfg)
        self.access_log.setLevel(self.loglevel)

    def _set_handler(self, log: Any, output: str, fmt: Any, stream: Any = None) -> None:
        super()._set_handler(log, output, JSONFormatter(), sys.stdout)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Write a request's line: neither path nor query, which may tell of people."""
        if not self.access_log_enabled:
            return
        # What the application left unanswered is answered 500 later.
        status = resp.status_code if resp.status else HTTPStatus.INTERNAL_SERVER_ERROR.value
        level = _level(status, environ["PATH_INFO"])
        if not self.access_log.isEnabledFor(level):
            return
        method = environ["REQUEST_METHOD"]
        message = f"{method} {known().get('route', '-')} {status}"
        # Made by hand, it takes no look for the line of code that it comes from.
        record = logging.LogRecord(self.access_log.name, level, "", 0, message, None, None)
        record.fields = {
            "method": method,
            "status": status,
            "ms": round(request_time.total_seconds() * 1_000, 3),
            "bytes": resp.sent,
        }
        self.access_log.handle(record)


def _level(status: int, path: str) -> int:
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return logging.WARNING
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return logging.ERROR
    return logging.DEBUG if path.endswith(HEALTH) else logging.INFO
