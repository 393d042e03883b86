"""The service as `make run` starts it, with a hand on each of its processes."""

import contextlib
import ctypes
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import redis

from deploy.local import run, servers
from deploy.local.ports import free_port
from deploy.local.state import hold
from deploy.local.supervisor import PR_SET_PDEATHSIG, Child, Supervisor
from tests.limits import NOBODY_MEETS

# What is sent again or once more after a while is so sooner: a run that waits for it is shorter.
ENVIRONMENT = {
    **NOBODY_MEETS,
    "OUTBOX_RESEND_SECONDS": "5",
    "TASK_SECONDS": "16",
    "LOG_LEVEL": "WARNING",
}
# What another run on this machine is known by, or the tests that this one belongs to.
NOT_INHERITED = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE")
PARTS = ("postgres", "valkey", *run.PROCESSES)
STOP_SECONDS = 30.0
READY_SECONDS = 120.0
# As in `twitter.base.http.health`, which takes Django to import.
HEARTBEAT_KEY = "outbox:heartbeat"


class _Recorder(Supervisor):
    """Notes how servers are started, so that they can be started again."""

    def __init__(self) -> None:
        super().__init__()
        self.started: dict[str, tuple[Sequence[str], Mapping[str, str] | None]] = {}

    def start(self, name: str, command: Sequence[str], **options: Any) -> Child:
        self.started[name] = (command, options.get("environment"))
        return super().start(name, command, **options)


class Part:
    """A process, with its children, that can be killed, started again and stopped for a while."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it runs."""
        if not self.has_ended:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - prctl(2) takes no lock
            )

    @property
    def has_ended(self) -> bool:
        """Whether it does not run."""
        return self._process is None or self._process.poll() is not None

    def family(self) -> list[psutil.Process]:
        """Return the process and all that descend from it."""
        if self._process is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            own = psutil.Process(self._process.pid)
            return [own, *own.children(recursive=True)]
        return []

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of the family."""
        for each in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(number)

    def kill(self) -> None:
        """End it without a chance to do anything else; PostgreSQL by its immediate shutdown.

        What PostgreSQL's main process leaves when it is killed keeps the next from starting.
        """
        if self._process is None:
            return
        if self.name == "postgres":
            self._process.send_signal(signal.SIGQUIT)
        else:
            self.signal(signal.SIGKILL)
        self._process.wait(STOP_SECONDS)

    def kill_child(self, chance: random.Random) -> None:
        """Kill one of its children."""
        if children := self.family()[1:]:
            with contextlib.suppress(psutil.NoSuchProcess):
                chance.choice(children).kill()

    def stop(self) -> None:
        """End it in good order."""
        if self._process is None:
            return
        self.signal(signal.SIGCONT)
        self._process.send_signal(signal.SIGINT if self.name == "postgres" else signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


class Stack:
    """Context manager: all parts, running."""

    def __init__(self, folder: Path, *, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self._given = dict(environment or {})
        self.environment: dict[str, str] = {}
        self.parts: dict[str, Part] = {}
        self._ending = contextlib.ExitStack()

    @property
    def url(self) -> str:
        """Where the service answers."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        inherited = {name: os.environ.pop(name, None) for name in NOT_INHERITED}
        state = self._ending.enter_context(hold(self.folder))
        with _Recorder() as supervisor:
            urls = servers.start(supervisor, state)
            self.environment = servers.environment(state, urls) | ENVIRONMENT
            self.environment |= {"PORT": str(self.port), "WEB_HOST": "127.0.0.1"} | self._given
            supervisor.run(
                "migrate",
                [*run.MANAGE, "migrate", "--noinput", "--verbosity", "0"],
                environment=self.environment,
            )
            started = dict(supervisor.started)
        os.environ.update({name: value for name, value in inherited.items() if value is not None})
        for name in PARTS:
            command, environment = started.get(name) or (run.PROCESSES[name], self.environment)
            log = self.folder / f"{name}.chaos.log"
            self.parts[name] = Part(name, command, environment or dict(os.environ), log)
            self._ending.callback(self.parts[name].stop)
        for part in self.parts.values():
            part.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending.close()

    def start_all(self) -> None:
        """Start what does not run, and let go on what is stopped."""
        for part in self.parts.values():
            part.signal(signal.SIGCONT)
            part.start()

    def ended(self) -> list[str]:
        """Return the names of parts that do not run."""
        return [part.name for part in self.parts.values() if part.has_ended]

    def keep_valkeys_data(self) -> None:
        """Have Valkey write what it holds to the disk, from where it comes back after a kill."""
        with self._valkey() as client:
            client.save()

    def delete_valkeys_data(self) -> None:
        """Delete what Valkey wrote to the disk: its next start begins without data."""
        (self.folder / "valkey" / "dump.rdb").unlink(missing_ok=True)

    def limit_valkeys_memory(self, limit: int | None) -> None:
        """Let Valkey have no more than it uses now and so many bytes; None lifts that."""

        with self._valkey() as client:
            used = client.info("memory")["used_memory"]
            client.config_set("maxmemory", 0 if limit is None else used + limit)

    def wait_for_worker(self) -> None:
        """Return when the worker has done something from now on. Raises TimeoutError."""
        deadline = time.monotonic() + READY_SECONDS
        with self._valkey() as client:
            client.delete(HEARTBEAT_KEY)
            while not client.exists(HEARTBEAT_KEY):
                if time.monotonic() > deadline:
                    raise TimeoutError("the worker does nothing")
                time.sleep(0.1)

    def wait_for_valkey(self) -> None:
        """Return when Valkey answers, with what it holds. Raises TimeoutError."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            with contextlib.suppress(redis.RedisError), self._valkey() as client:
                if client.ping():
                    return
            if time.monotonic() > deadline:
                raise TimeoutError("Valkey does not answer")
            time.sleep(0.02)

    def _valkey(self) -> redis.Redis:
        return redis.Redis.from_url(self.environment["REDIS_URL"], socket_timeout=10)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a manage.py command."""
        return subprocess.run(
            [*run.MANAGE, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
