"""gunicorn's settings, driven by the environment."""

import os
import select
from itertools import count
from typing import Any

from twitter.lib import exporter, metrics, tracing
from twitter.lib.environment import number

# Every address by default: in a container, nothing else reaches it. `make run` says 127.0.0.1.
bind = f"{os.environ.get('WEB_HOST', '0.0.0.0')}:{number('PORT', 8080)}"  # noqa: S104

# docs/adr/0011-own-web-worker.md; it needs epoll, which only Linux has.
worker_class = os.environ.get("WEB_WORKER_CLASS") or (
    "twitter.webworker.WebWorker" if hasattr(select, "epoll") else "gthread"
)
workers = number("WEB_WORKERS", 2)
threads = number("WEB_THREADS", 4)

# Not preloaded: a psycopg pool that was used before the fork hangs after it.
preload_app = False

# Requests under way may end; clients and load balancers learn that they should go elsewhere.
graceful_timeout = 15
# A worker whose main thread has not shown itself for so long is replaced.
timeout = 60
# Longer than a load balancer's own idle time would be, it would close connections under requests.
keepalive = 5

# What a client may send at most, and how many clients a process has: docs/limits.md.
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190
worker_connections = 1000

# The heartbeat's file must not be on a disk: a slow one would make healthy workers look dead.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - mkstemp

# The control socket's default place is one file in $HOME for all copies, which may not be there.
control_socket_disable = True

# JSON lines as those of the application, one a request if WEB_ACCESS_LOG says where to.
logger_class = "twitter.weblog.Logger"
accesslog = os.environ.get("WEB_ACCESS_LOG") or None  # "-" is standard output
loglevel = os.environ.get("LOG_LEVEL", "INFO").lower()


def on_starting(server: Any) -> None:
    """Count from now on, if METRICS_PORT is set."""
    exporter.begin()


def when_ready(server: Any) -> None:
    """Serve what was counted; the main process has nothing else to do."""
    exporter.serve()


def pre_fork(server: Any, worker: Any) -> None:
    """Number the workers; a new one takes the number of one that has ended."""
    taken = {other.number for other in server.WORKERS.values()}
    worker.number = next(number for number in count() if number not in taken)


def post_fork(server: Any, worker: Any) -> None:
    """Go on with what the worker counted that had the number before."""
    exporter.go_on_as(worker.number)


def child_exit(server: Any, worker: Any) -> None:
    """Forget what was only true while the worker lived."""
    exporter.ended(worker.number)


def post_worker_init(worker: Any) -> None:
    """Let PostgreSQL end what a request asks for too long; begin to count, to log and to trace.

    If PostgreSQL itself stands still, the request waits a little longer, and no more; the answer is
    503. Commands, migrations and the worker's tasks may take longer. Called when the application is
    there and has no connection yet.
    """
    from django.conf import settings  # noqa: PLC0415 - the main process has none

    metrics.web_began(threads=threads)
    worker.log.keep_writing()
    seconds = number("WEB_STATEMENT_SECONDS", 10)
    settings.DATABASES["default"]["ANSWER_SECONDS"] = seconds + 2.0
    settings.DATABASES["default"]["OPTIONS"]["options"] += f" -c statement_timeout={seconds}s"
    tracing.start("web")


def worker_exit(server: Any, worker: Any) -> None:
    """Let nothing get lost that was counted, logged and traced last."""
    metrics.write_down()
    worker.log.write_down()
    tracing.stop()
