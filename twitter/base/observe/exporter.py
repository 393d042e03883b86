"""Serving `/metrics`: one role's processes count in files of one folder, its main process sums up.

Off unless METRICS_PORT is set. The main process calls `begin` before it makes others, and `serve`
when it is ready; the others call `join`. docs/adr/0023-a-role-counts-in-one-folder.md
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from itertools import count

from prometheus_client import CollectorRegistry, start_http_server, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from twitter.base import serving
from twitter.base.observe import metrics

_MEMORY = "/dev/shm"  # noqa: S108 - mkdtemp

_folder = ""
# What this process's files are named by. Asked for each time that something is counted, so it is no
# process number, which takes a system call.
_name = "main"
# A descriptor that stays open as long as this process lives.
_lock = -1


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
    _instrument()


def _instrument() -> None:
    values.ValueClass = values.MultiProcessValue(lambda: _name)  # type: ignore[no-untyped-call]
    metrics.instruments = metrics.Instruments(CollectorRegistry())


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:  # processes that it forked come here as well
        shutil.rmtree(folder, ignore_errors=True)


def join() -> None:
    """Count in this process from now on, if the main process has begun to.

    It takes over the files of a process that has ended, if there are any. If files were named by
    process, each process would leave some for ever. A lock says that a name is taken; it ends with
    its process, however that ends. So no server has to tell when it begins and ends a process.
    """
    global _folder, _name, _lock  # noqa: PLW0603
    if not (os.environ.get("METRICS_PORT") and os.environ.get("PROMETHEUS_MULTIPROC_DIR")):
        return
    _folder = os.environ["PROMETHEUS_MULTIPROC_DIR"]
    for child in count():
        _lock = os.open(f"{_folder}/{child}.lock", os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            fcntl.flock(_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            os.close(_lock)
    _name = f"child-{child}"
    mark_process_dead(_name, _folder)  # type: ignore[no-untyped-call]  # its gauges; counts stay
    if metrics.instruments is None:  # it was spawned, not forked
        _instrument()


def serve() -> None:
    """Serve on METRICS_PORT, in a thread. Raises OSError when that is taken."""
    if metrics.instruments:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, _folder)  # type: ignore[no-untyped-call]
        start_http_server(serving.METRICS_PORT, serving.HOST, registry)
