"""Runs `python -m deploy.local run` as `make run` does, and looks at it from outside."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "deploy.local", "run"]
# What the servers of the test run itself are known by: a stack of its own must not see them.
NOT_INHERITED = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "JWT_SIGNING_KEYS", "STATE_DIR", "PORT")
READY_SECONDS = 180  # on a machine that is busy with other tests, too


def environment(state: Path, **extra: str) -> dict[str, str]:
    """Return the environment for a copy with that state folder."""
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    return inherited | {"STATE_DIR": str(state), "WEB_WORKERS": "1"} | extra


def refusal(state: Path, *, prefix: tuple[str, ...] = (), **extra: str) -> tuple[int, str]:
    """Run a copy that is expected not to start; return its exit code and what it says about it."""
    done = subprocess.run(
        [*prefix, *COMMAND],
        cwd=ROOT,
        env=environment(state, **extra),
        capture_output=True,
        text=True,
        timeout=READY_SECONDS,
        check=False,
    )
    return done.returncode, done.stderr


def manage(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a manage.py command as `make manage` does."""
    return command(state, "manage", *arguments)


def command(state: Path, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run another command of the Makefile for the copy with that state folder."""
    return subprocess.run(
        [*COMMAND[:-1], *words],
        cwd=ROOT,
        env=environment(state, **extra),
        capture_output=True,
        text=True,
        timeout=READY_SECONDS,
        check=False,
    )


class Stack:
    """A copy that runs."""

    def __init__(self, process: subprocess.Popen[bytes], state: Path, output: Path) -> None:
        self.process = process
        self.state = state
        self.output = output
        self.url = ""

    def wait_until_ready(self) -> None:
        """Wait for the line that says so, and learn the address from it."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            for line in self.output.read_text().splitlines():
                if line.startswith("ready"):
                    self.url = line.split()[1]
                    return
            time.sleep(0.05)
        raise AssertionError(self.output.read_text())

    def processes(self) -> dict[str, psutil.Process]:
        """Return the processes that it started, by a word of their command lines."""
        words = ("bin/postgres", "valkey-server", "gunicorn", "celery", "relay")
        found = {}
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # a step that has just ended
                command = " ".join(child.cmdline())
                found |= {word: child for word in words if word in command}
        return found

    def family(self) -> list[psutil.Process]:
        """Return all that descend from it."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def servers(self) -> Mapping[str, str]:
        """Return DATABASE_URL and REDIS_URL."""
        return json.loads((self.state / "running.json").read_text())["servers"]


@contextmanager
def running(state: Path, output: Path, **extra: str) -> Iterator[Stack]:
    """Run a copy inside the `with`; it need not be ready at once, and it may end by itself."""
    die_with_the_tests = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*die_with_the_tests, *COMMAND],
            cwd=ROOT,
            env=environment(state, **extra),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Stack(process, state, output)
    finally:
        process.terminate()
        process.wait(timeout=60)
