"""Both web servers, as `make run` and deploy/entrypoint start them, on the servers of the tests."""

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from django.db import connection

from deploy.local import run
from deploy.local.ports import free_port
from tests.bench.stack import answers
from tests.conftest import WORKER
from tests.deploy.stack import ROOT
from tests.e2e.client import eventually
from tests.limits import NOBODY_MEETS
from tests.monitoring.observers import get

COMMANDS = {"gunicorn": run.PROCESSES["web"], "Granian": run.READ_POOL}
START_SECONDS = 60.0


@dataclass(frozen=True)
class WebServer:
    """A web server that runs."""

    process: subprocess.Popen[bytes]
    port: int
    metrics_port: int
    output: Path

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> list[psutil.Process]:
        """Return the processes that answer requests."""
        return psutil.Process(self.process.pid).children()

    def lines(self) -> list[dict[str, Any]]:
        """Return what it has logged; it may log nothing but JSON."""
        return [json.loads(line) for line in self.output.read_text().splitlines()]

    def requests(self) -> list[dict[str, Any]]:
        """Return what it has logged of requests."""
        return [line for line in self.lines() if line["logger"] == "access"]


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of the service, on the database and Redis of these tests."""
    server = os.environ["DATABASE_URL"].rpartition("/")[0]
    return {
        **os.environ,
        **NOBODY_MEETS,
        "DATABASE_URL": f"{server}/{connection.settings_dict['NAME']}",
        "REDIS_URL": f"{settings.REDIS_URL.rpartition('/')[0]}/{2 + WORKER}",
        "WEB_HOST": "127.0.0.1",
        "WEB_ACCESS_LOG": "-",
        **changes,
    }


@contextlib.contextmanager
def serving(
    name: str,
    folder: Path,
    *,
    application: str = "",
    first: Callable[[], object] | None = None,
    **changes: str,
) -> Iterator[WebServer]:
    """Run one of COMMANDS with one process, or as `changes` of the environment say.

    `first` is what its process does before it becomes the server.
    """
    port, metrics_port = free_port(), free_port()
    ports = {"PORT": str(port), "METRICS_PORT": str(metrics_port)}
    output = folder / f"{name}.log"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*COMMANDS[name], *filter(None, [application])],
            cwd=ROOT,
            env=environment(**{"WEB_WORKERS": "1"} | ports | changes),
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=first,  # noqa: PLW1509 - it sets a limit, and takes no lock
        )
    server = WebServer(process, port, metrics_port, output)

    def is_there() -> None:
        assert process.poll() is None, output.read_text()
        assert answers(port, "/auth/healthz")

    try:
        eventually(is_there, seconds=START_SECONDS)
        yield server
    finally:
        ended = psutil.Process(process.pid).children() if process.poll() is None else []
        process.terminate()
        try:
            process.wait(timeout=30)
        finally:
            for each in [*ended, process]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()


def start_failure(name: str, **changes: str) -> str:
    """Return what a server says that is expected not to start."""
    done = subprocess.run(
        COMMANDS[name],
        cwd=ROOT,
        env=environment(PORT=str(free_port()), **changes),
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )
    assert done.returncode != 0
    return done.stdout + done.stderr


def metric(server: WebServer, name: str, **labels: str) -> float:
    """Return a metric's value, summed over those that have the labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    lines = get(server.metrics_port, "/metrics").splitlines()
    found = [line for line in lines if line.startswith(name) and all(w in line for w in wanted)]
    return sum(float(line.split()[-1]) for line in found)
