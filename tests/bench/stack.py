"""The processes that are measured: the whole service as `make run` starts it, and the baselines."""

import contextlib
import http.client
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from django.db import connection

from deploy.local import run
from deploy.local.ports import free_port
from deploy.local.supervisor import Supervisor
from tests.bench.figures import say

READY_SECONDS = 120.0
QUIET_SECONDS = 300.0
BASELINE_SETTINGS = "tests.bench.baselines.settings"
BASELINE_APP = "tests.bench.baselines.wsgi"
# What a bare answer's head has; its body makes up for the service's longer one.
HEAD_LENGTH = 160
# The gunicorn that one gets without a settings file, but for the address and the processes.
PLAIN_GUNICORN = ["--worker-class", "sync", "--no-control-socket"]


@dataclass(frozen=True)
class Server:
    """Something that runs here. `pids` are its processes, by name."""

    port: int
    pids: Mapping[str, int]

    def cpu_seconds(self, name: str) -> float:
        """Return what a process and its children have used so far."""
        return cpu_seconds(self.pids[name])


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and of all that descend from it and still run."""
    process = psutil.Process(pid)
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            total += times.user + times.system
    return total


def server_pids() -> dict[str, int]:
    """Return the numbers of PostgreSQL and Valkey, which this process's parent has started."""
    parent = psutil.Process(os.getpid()).parent()
    found = {}
    for child in parent.children() if parent else []:
        command = " ".join(child.cmdline())
        for name, word in (("PostgreSQL", "bin/postgres"), ("Valkey", "valkey-server")):
            if word in command:
                found[name] = child.pid
    return found


@contextlib.contextmanager
def service(
    folder: Path,
    *,
    names: Sequence[str] = ("web", "worker", "relay"),
    worker_processes: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run the service, or some of its processes, with the commands and settings of `make run`.

    `worker_processes` is the only thing that can be told otherwise, and the environment.
    """
    port = free_port()
    settings = {**os.environ, "PORT": str(port), "WEB_HOST": "127.0.0.1", **(environment or {})}
    if worker_processes is not None:
        settings["WORKER_PROCESSES"] = str(worker_processes)
    with ending() as supervisor:
        pids = {}
        for name in names:
            pids[name] = _start(supervisor, folder, name, list(run.PROCESSES[name]), settings)
        path = "/auth/healthz" + ("?ready=1" if "worker" in names else "")
        if "web" in names:
            _wait(supervisor, lambda: answers(port, path))
        yield Server(port, pids)


@contextlib.contextmanager
def baseline(
    folder: Path, name: str, *, plain_gunicorn: bool = False, answer_length: int = 0
) -> Iterator[Server]:
    """Run a baseline of `tests/bench/baselines` with as many processes as the service has.

    Under the service's own server and worker class, or under gunicorn's default.
    """
    port = free_port()
    workers = os.environ.get("WEB_WORKERS", "2")
    settings = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": BASELINE_SETTINGS,
        "BENCH_BASELINE": name,
        "BENCH_BODY_LENGTH": str(max(answer_length - HEAD_LENGTH, 0)),
        "PORT": str(port),
        "WEB_HOST": "127.0.0.1",
        "WEB_WORKERS": workers,
    }
    command = [*run.PROCESSES["web"], BASELINE_APP]
    if plain_gunicorn:
        command = [*run.PROCESSES["web"][:3], *PLAIN_GUNICORN, "--workers", workers]
        command += ["--bind", f"127.0.0.1:{port}", BASELINE_APP]
    with ending() as supervisor:
        pid = _start(supervisor, folder, f"baseline-{name}", command, settings)
        _wait(supervisor, lambda: answers(port, "/healthz"))
        yield Server(port, {"web": pid})


@contextlib.contextmanager
def ending() -> Iterator[Supervisor]:
    """Give a supervisor whose processes end here, without its hold on this process's signals."""
    supervisor = Supervisor()
    with contextlib.ExitStack() as stack:
        stack.push(supervisor)
        yield supervisor


def _start(
    supervisor: Supervisor,
    folder: Path,
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
) -> int:
    log = folder / f"{name}-{time.monotonic_ns()}.log"
    return supervisor.start(name, command, environment=environment, log=log).process.pid


def _wait(supervisor: Supervisor, done: Callable[[], bool]) -> None:
    supervisor.wait(done, seconds=READY_SECONDS)


def answers(port: int, path: str) -> bool:
    """Tell whether a GET is answered with 200."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        asked.request("GET", path)
        return asked.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()


WAITING = """
    SELECT (SELECT count(*) FROM outbox_delivery WHERE failed_at IS NULL)
        + (SELECT count(*) FROM tweets_tweetmetricsdelta)
        + (SELECT count(*) FROM accounts_accountcounterdelta)"""


def wait_until_quiet() -> float:
    """Wait until nothing is left to do: no delivery, no count to fold. Return the seconds."""
    begun = time.monotonic()
    told = begun
    while waiting := count(WAITING):
        now = time.monotonic()
        if now - begun > QUIET_SECONDS:
            raise TimeoutError(f"{waiting} deliveries and changes still wait")
        if now - told > 5:
            say(f"{waiting} deliveries and changes wait")
            told = now
        time.sleep(0.05)
    return time.monotonic() - begun


def count(statement: str, parameters: Sequence[int] = ()) -> int:
    """Return the number that a statement gives."""
    with connection.cursor() as cursor:
        cursor.execute(statement, list(parameters))
        row = cursor.fetchone()
    return int(row[0]) if row else 0
