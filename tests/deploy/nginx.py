"""The nginx of config/nginx.conf, in front of servers that run on this machine.

`in_front` runs nginx alone. `two_pools` runs all of the web side: a read pool with the role that
may only SELECT, a write pool, and nginx in front of both.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.local import run
from deploy.local.ports import free_port
from tests.bench.stack import answers, ending
from tests.conftest import WORKER
from tests.deploy.stack import ROOT
from tests.e2e.client import Answer, Client
from twitter.base.http.problems import KIND_OF

CONFIGURATION = ROOT / "config" / "nginx.conf"
SERVICE = ROOT / "config" / "nginx-service.conf"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or ""
needs_nginx = pytest.mark.skipif(not NGINX, reason="needs nginx: nginx-light of Debian")
# Roles are known to all databases of a server, and each test process has a database of its own.
READER = f"twitter_reader_{WORKER}"
# No process is left out, however often it failed.
ALWAYS = "max_fails=0"
START_SECONDS = 60.0
# Attempts to log in that one address has in five minutes, where both pools run.
LOG_INS = 3
READS = ("GET", "HEAD", "OPTIONS")
WRITES = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Proxy:
    """An nginx that runs."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> list[dict[str, Any]]:
        """Return what it has logged of requests."""
        return [json.loads(line) for line in (self.folder / "access.log").read_text().splitlines()]

    def all_logs(self) -> str:
        """Return whatever it has written anywhere."""
        return "".join(file.read_text() for file in self.folder.glob("*.log"))


@dataclass(frozen=True)
class TwoPools:
    """Both pools' processes and the nginx in front of them."""

    proxy: Proxy
    read_port: int
    write_port: int
    read_log: Path
    write_log: Path

    @property
    def url(self) -> str:
        """Where nginx answers."""
        return self.proxy.url


def configured(
    folder: Path,
    *,
    port: int,
    read: Sequence[int],
    write: Sequence[int],
    notes: int | None = None,
    more: Mapping[str, str] | None = None,
) -> Path:
    """Write the shipped configuration with other addresses and port, and all it writes in `folder`.

    `read` and `write` are the ports of the pools' processes, `notes` that of the service which
    config/nginx-service.conf has as its example. `more` is what else is changed, text by text.
    """
    changes = {
        "/tmp/": f"{folder}/",  # before what has the folder in it
        "listen 8080 ": f"listen 127.0.0.1:{port} ",
        f"server read-api:8080 {ALWAYS};": _servers(read),
        f"server write-api:8080 {ALWAYS};": _servers(write),
        "/dev/stdout": f"{folder}/access.log",
        **(more or {}),
    }
    path = folder / "nginx.conf"
    path.write_text(_changed(CONFIGURATION.read_text(), changes))
    if notes is not None:
        (folder / "services").mkdir()
        text = _changed(SERVICE.read_text(), {"//notes:8080": f"//127.0.0.1:{notes}"})
        (folder / "services" / "notes.conf").write_text(text)
    return path


def _servers(ports: Sequence[int]) -> str:
    return " ".join(f"server 127.0.0.1:{port} {ALWAYS};" for port in ports)


def _changed(text: str, changes: Mapping[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, f"{old} is not in the configuration any more"
        text = text.replace(old, new)
    return text


def command(configuration: Path, *options: str) -> list[str]:
    """Return how nginx is run; as root it would make its processes somebody else's."""
    user = " user root;" if os.geteuid() == 0 else ""
    where = ["-e", "stderr", "-p", str(configuration.parent), "-c", str(configuration)]
    return [NGINX, *where, "-g", f"daemon off;{user}", *options]


@contextlib.contextmanager
def in_front(
    folder: Path, *, read: Sequence[int], write: Sequence[int], **options: Any
) -> Iterator[Proxy]:
    """Run nginx in front of processes that listen on these ports; see `configured`."""
    folder.mkdir()
    port = free_port()
    configuration = configured(folder, port=port, read=read, write=write, **options)
    with ending() as supervisor:
        log = folder / "output.log"
        supervisor.start("nginx", command(configuration), log=log)
        supervisor.wait(lambda: listens(port), seconds=START_SECONDS)
        yield Proxy(port, folder)


@contextlib.contextmanager
def two_pools(folder: Path, environment: Mapping[str, str]) -> Iterator[TwoPools]:
    """Run a process for each pool, and nginx in front; the environment is that of the service."""
    environment = {**environment, "WEB_HOST": "127.0.0.1", "WEB_WORKERS": "1", "TRUSTED_HOPS": "1"}
    ports = read_port, write_port = free_port(), free_port()
    logs = folder / "read.log", folder / "write.log"
    reading = environment | {"DATABASE_URL": reader_url(environment), "PORT": str(read_port)}
    writing = environment | {"PORT": str(write_port)}
    with ending() as supervisor:
        supervisor.start("read", run.READ_POOL, environment=reading, log=logs[0])
        supervisor.start("write", run.PROCESSES["web"], environment=writing, log=logs[1])
        for port in ports:
            supervisor.wait(lambda port=port: answers(port, "/auth/healthz"), seconds=START_SECONDS)
        with in_front(folder / "nginx", read=[read_port], write=[write_port]) as proxy:
            yield TwoPools(proxy, *ports, *logs)


def reader_url(environment: Mapping[str, str]) -> str:
    """Make the role that may only SELECT; return the DATABASE_URL that logs in as it."""
    password = secrets.token_hex(16)
    subprocess.run(
        [*run.MANAGE, "create_reader_role", "--role", READER],
        cwd=ROOT,
        env={**environment, "READER_PASSWORD": password},
        check=True,
        capture_output=True,
    )
    return f"postgres://{READER}:{password}@{environment['DATABASE_URL'].rpartition('@')[2]}"


def listens(port: int) -> bool:
    """Tell whether something takes connections."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def ask(url: str, method: str, path: str, **options: Any) -> Answer:
    """Return what one request gets."""
    return Client(url).send(method, path, **options)


def assert_problem(answer: Answer, status: int) -> None:
    """Assert that nginx answered with a problem of the shape that all errors have."""
    answer.assert_problem(status)
    problem = answer.json
    assert list(problem) == ["type", "title", "status", "detail"]
    assert problem["type"] == KIND_OF[status].uri
    assert problem["title"] == KIND_OF[status].title
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])
    assert answer.headers.get_all("Server") == ["nginx"]
