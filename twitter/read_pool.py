"""Granian, which serves the read pool: `python -m twitter.read_pool [application]`.

Only behind nginx. It takes less CPU for a request than gunicorn, but it reads HTTP laxly; what two
servers could read differently has to be refused before it. docs/adr/0025-the-role-has-its-server.md
"""

import sys

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from twitter.base import serving
from twitter.base.observe import exporter

# Request line and header together; nginx takes 32 KiB. It is also what is read of a body at once.
HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 15


def main(application: str = "twitter.web:application") -> None:
    """Serve until TERM, which lets requests end."""
    server = Server(
        application,
        address=serving.HOST,
        port=serving.PORT,
        interface=Interfaces.WSGI,
        workers=serving.PROCESSES,
        blocking_threads=serving.THREADS,
        # Each thread has its connections to PostgreSQL and Redis: so they are not given up soon.
        blocking_threads_idle_timeout=600,
        backpressure=serving.connections(),
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEAD_SECONDS * 1000, max_buffer_size=HEAD_BYTES
        ),
        websockets=False,
        log_level=LogLevels(serving.LOG_LEVEL.lower()),
        log_dictconfig=serving.logging("_granian"),
        respawn_failed_workers=True,
        workers_kill_timeout=serving.GRACE_SECONDS,
    )
    exporter.begin()
    server.on_startup(exporter.serve)
    server.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
