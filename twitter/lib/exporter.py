"""Serving `/metrics`: one role's processes count in files of one folder, its main process sums up.

Off unless METRICS_PORT is set. The main process calls `begin` before it forks, and `serve` when it
is ready. web does so in config/gunicorn.conf.py, the worker in twitter/celery.py, the relay in its
command. docs/adr/0023-a-role-counts-in-one-folder.md
"""

import atexit
import os
import shutil
import tempfile

from prometheus_client import CollectorRegistry, start_http_server, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from twitter.lib import metrics
from twitter.lib.environment import number

_MEMORY = "/dev/shm"  # noqa: S108 - mkdtemp

_folder = ""
# What this process's files are named by. Asked for each time that something is counted, so it is no
# process number, which takes a system call.
_name = "main"


def begin() -> None:
    """Count from now on, in this process and in those that it forks.

    In a new folder, so that nothing is left of an earlier run; in memory where that can be had.
    """
    global _folder  # noqa: PLW0603 - one for each process
    if not os.environ.get("METRICS_PORT"):
        return
    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    _folder = tempfile.mkdtemp(prefix="twitter-metrics-", dir=memory)
    atexit.register(_remove, _folder, os.getpid())
    os.environ.update(PROMETHEUS_MULTIPROC_DIR=_folder)  # where the library looks for it
    values.ValueClass = values.MultiProcessValue(lambda: _name)  # type: ignore[no-untyped-call]
    metrics.instruments = metrics.Instruments(CollectorRegistry())


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:  # processes that it forked come here as well
        shutil.rmtree(folder, ignore_errors=True)


def go_on_as(number: int) -> None:
    """Go on in the files of the process that had this number before and has ended.

    Were they named by process, each that ends would leave some for ever.
    """
    global _name  # noqa: PLW0603
    _name = f"child-{number}"


def ended(number: int) -> None:
    """Forget the gauges of a process that has ended; what it counted stays."""
    if metrics.instruments:
        mark_process_dead(f"child-{number}", _folder)  # type: ignore[no-untyped-call]


def serve() -> None:
    """Serve on METRICS_PORT, in a thread. Raises OSError when that is taken."""
    if metrics.instruments:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, _folder)  # type: ignore[no-untyped-call]
        host = os.environ.get("WEB_HOST", "0.0.0.0")  # noqa: S104 - as for the web server
        start_http_server(number("METRICS_PORT", 9100), host, registry)
