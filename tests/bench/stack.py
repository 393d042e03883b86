"""The processes that are measured: the whole service as `make run` starts it, and the baselines."""

import contextlib
import http.client
import os
import secrets
import subprocess
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

ROOT = Path(__file__).resolve().parents[2]
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

    def memory(self, name: str) -> int:
        """Return the resident bytes of that child of a process which has most."""
        children = psutil.Process(self.pids[name]).children()
        return max(child.memory_info().rss for child in children)


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
def read_pool(folder: Path) -> Iterator[Server]:
    """Run the read pool as a container runs it: Granian, and a role that may only SELECT."""
    port = free_port()
    settings = {**os.environ, "PORT": str(port), "WEB_HOST": "127.0.0.1"}
    settings["DATABASE_URL"] = reader_url(settings, role=f"bench_reader_{port}")
    with ending() as supervisor:
        pid = _start(supervisor, folder, "read-pool", run.READ_POOL, settings)
        _wait(supervisor, lambda: answers(port, "/auth/healthz"))
        yield Server(port, {"web": pid})


def reader_url(environment: Mapping[str, str], *, role: str) -> str:
    """Make a role that may only SELECT; return the DATABASE_URL that logs in as it."""
    password = secrets.token_hex(16)
    subprocess.run(
        [*run.MANAGE, "create_reader_role", "--role", role],
        cwd=ROOT,
        env={**environment, "READER_PASSWORD": password},
        check=True,
        capture_output=True,
    )
    return f"postgres://{role}:{password}@{environment['DATABASE_URL'].rpartition('@')[2]}"


@contextlib.contextmanager
def baseline(
    folder: Path, name: str, *, under: str = "gthread", answer_length: int = 0
) -> Iterator[Server]:
    """Run a baseline of `tests/bench/baselines` with as many processes as the service has.

    `under` the server of `make run` (`gthread`), gunicorn's default (`sync`), or `Granian`.
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
    gunicorn = run.PROCESSES["web"]
    command = {
        "gthread": [*gunicorn, BASELINE_APP],
        "sync": [
            *(*gunicorn[:3], *PLAIN_GUNICORN, "--workers", workers),
            *("--bind", f"127.0.0.1:{port}", BASELINE_APP),
        ],
        "Granian": [*run.READ_POOL, f"{BASELINE_APP}:application"],
    }[under]
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
