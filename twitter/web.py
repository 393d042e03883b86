"""What a web server loads: the application, in a process that answers requests from now on.

gunicorn and Granian load it in each of their processes, and so may any WSGI server: nothing here
knows which one it is. twitter/wsgi.py has the application alone, without what this module begins.
"""

import threading

from django.conf import settings

from twitter.base import serving
from twitter.base.data.postgresql.base import limit_statements
from twitter.base.observe import access, exporter, metrics, tracing
from twitter.wsgi import application

__all__ = ["application"]

# What requests note is written down so often: to write at once costs a warm read a sixth of its
# throughput, for threads wait for one another then.
WRITE_SECONDS = 0.2


def begin() -> None:
    """Let PostgreSQL end what a request asks for too long; begin to count, to log and to trace.

    Commands, migrations and the worker's tasks may take longer. Called once a process, when it has
    no connection yet.
    """
    limit_statements(settings.DATABASES["default"], seconds=serving.STATEMENT_SECONDS)
    exporter.join()
    metrics.web_began(threads=serving.THREADS)
    access.begin()
    tracing.start("web")
    # No daemon: Python waits for it when the process ends, whatever server that is. An `atexit`
    # function would not run in Granian's processes, which are those of `multiprocessing`.
    threading.Thread(target=_keep_writing, name="writing down").start()


def _keep_writing() -> None:
    """Write down what requests noted, also the last of it when the main thread has ended."""
    main = threading.main_thread()
    while main.is_alive():
        main.join(WRITE_SECONDS)
        metrics.write_down()
        access.write_down()
    tracing.stop()


begin()
