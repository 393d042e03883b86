"""What both web servers are told: config/gunicorn.conf.py and twitter/read_pool.py read it.

So do the settings, for `manage.py check` to refuse what makes no sense here.
"""

import os
import resource
from contextlib import suppress
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from twitter.base.environment import log_level, number

# Every address by default: in a container, nothing else reaches it. `make run` says 127.0.0.1.
HOST = os.environ.get("WEB_HOST") or "0.0.0.0"  # noqa: S104
PORT = number("PORT", 8080)
PROCESSES = number("WEB_WORKERS", 2)
THREADS = number("WEB_THREADS", 4)
# PostgreSQL ends a statement of a request after so long.
STATEMENT_SECONDS = number("WEB_STATEMENT_SECONDS", 10)
METRICS_PORT = number("METRICS_PORT", 9100)
LOG_LEVEL = log_level()

# When the server is told to end, requests under way may take so long.
GRACE_SECONDS = 15
# Connections of clients to each process; further ones wait until others have ended.
CONNECTIONS = 1_000
# Descriptors of a process for all else: some 20, and two for each thread (PostgreSQL, Redis).
_OTHER_DESCRIPTORS = 100

if os.environ.get("SCRIPT_NAME"):
    raise ImproperlyConfigured(
        "SCRIPT_NAME: the service can't live below a path; give it a host name of its own."
    )


def connections() -> int:
    """Return how many clients a process may have, so that its descriptors suffice.

    Raises the soft limit to the hard one first; a shell's or a container's soft limit is often
    1,024, and `accept` fails beyond it.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS calls the hard one infinite and takes less
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS
    return max(min(CONNECTIONS, soft - _OTHER_DESCRIPTORS - 2 * THREADS), THREADS + 1)


def logging(name: str) -> dict[str, Any]:
    """Return what makes a server's own logger, called `name`, write JSON lines like all others."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"nothing of clients": {"()": "twitter.base.observe.logging.NothingOfClients"}},
        "formatters": {"json": {"()": "twitter.base.observe.logging.JSONFormatter"}},
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "json",
                "filters": ["nothing of clients"],
            }
        },
        "root": {"handlers": [], "level": LOG_LEVEL},
        "loggers": {name: {"handlers": ["stdout"], "level": LOG_LEVEL, "propagate": False}},
    }
