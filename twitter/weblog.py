"""gunicorn's logs as JSON lines like all others, one a request if WEB_ACCESS_LOG is set."""

import logging
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from gunicorn import glogging

from twitter.lib.logging import HEALTH, JSONFormatter, known, line

# Lines of requests are noted and written together: to write each at once costs a warm read a sixth
# of its throughput, for threads wait for one another then.
WRITE_SECONDS = 0.2
# If nobody takes so many, requests wait for whoever reads them, as they would without.
NOTED_MOST = 10_000
# A pipe takes so many bytes whole: no line of another process gets into one of ours.
WHOLE_BYTES = select.PIPE_BUF


class Logger(glogging.Logger):  # type: ignore[misc]  # gunicorn has no types
    """`logger_class` for config/gunicorn.conf.py."""

    def setup(self, cfg: Any) -> None:
        """Let lines about requests be as loud as others."""
        self._noted: deque[tuple[float, int, str, str, dict[str, Any]]] = deque()
        super().setup(cfg)
        self.access_log.setLevel(self.loglevel)
        for handler in self.access_log.handlers:
            handler.setFormatter(None)  # what is handed to it has its form

    def _set_handler(self, log: Any, output: str, fmt: Any, stream: Any = None) -> None:
        super()._set_handler(log, output, JSONFormatter(), sys.stdout)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Note a request's line: neither path nor query, which may tell of people."""
        if not self.access_log_enabled:
            return
        # What the application left unanswered is answered 500 later.
        status = resp.status_code if resp.status else HTTPStatus.INTERNAL_SERVER_ERROR.value
        level = _level(status, environ["PATH_INFO"])
        if not self.access_log.isEnabledFor(level):
            return
        method = environ["REQUEST_METHOD"]
        fields = {
            **known(),
            "method": method,
            "status": status,
            "ms": round(request_time.total_seconds() * 1_000, 3),
            "bytes": resp.sent,
        }
        message = f"{method} {fields.get('route', '-')} {status}"
        self._noted.append((time.time(), level, self.access_log.name, message, fields))
        if len(self._noted) >= NOTED_MOST:
            self.write_down()

    def keep_writing(self) -> None:
        """Begin to write down what is noted. Not before a fork, as it takes a thread."""
        if self.access_log_enabled:
            threading.Thread(target=self._keep_writing, name="access log", daemon=True).start()

    def _keep_writing(self) -> None:
        while True:
            time.sleep(WRITE_SECONDS)
            self.write_down()

    def write_down(self) -> None:
        """Write what is noted. Several threads may do so at once: each takes what is left."""
        for block in _blocks(self._lines()):
            record = logging.LogRecord(self.access_log.name, 0, "", 0, block, None, None)
            self.access_log.handle(record)

    def _lines(self) -> Iterator[str]:
        while self._noted:
            try:
                noted = self._noted.popleft()
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
