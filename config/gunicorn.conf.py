"""gunicorn's settings: it serves `make run`, and behind nginx the write pool."""

import os
from typing import Any

from twitter.base import serving
from twitter.base.observe import exporter

wsgi_app = "twitter.web:application"
bind = f"{serving.HOST}:{serving.PORT}"
worker_class = "gthread"
workers = serving.PROCESSES
threads = serving.THREADS
worker_connections = serving.connections()

# Not preloaded: a psycopg pool that was used before the fork hangs after it.
preload_app = False

# Requests under way may end; clients and load balancers learn that they should go elsewhere.
graceful_timeout = serving.GRACE_SECONDS
# A worker whose main thread has not shown itself for so long is replaced.
timeout = 60
# Longer than nginx keeps an idle connection, or it would close connections under requests.
keepalive = 5

# What a client may send at most: docs/limits.md.
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190

# No header of a client says how the service is addressed: neither the path (SCRIPT_NAME, PATH_INFO)
# nor the scheme, which is Django's to decide (BEHIND_TLS_PROXY).
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}

# The heartbeat's file must not be on a disk: a slow one would make healthy workers look dead.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - mkstemp

# The control socket's default place is one file in $HOME for all copies, which may not be there.
control_socket_disable = True

loglevel = serving.LOG_LEVEL.lower()
logconfig_dict = serving.logging("gunicorn.error")


def on_starting(server: Any) -> None:
    """Count from now on, if METRICS_PORT is set."""
    exporter.begin()


def when_ready(server: Any) -> None:
    """Serve what was counted; the main process has nothing else to do."""
    exporter.serve()
