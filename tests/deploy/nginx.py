"""All of the web side: a read pool with the role that may only SELECT, a write pool, and nginx."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.local import run
from deploy.local.ports import free_port
from tests.bench.stack import answers, ending, reader_url
from tests.conftest import WORKER
from tests.deploy.proxy import NGINX, START_SECONDS, Proxy, in_front
from tests.e2e.client import Answer, Client
from twitter.base.http.problems import KIND_OF

needs_nginx = pytest.mark.skipif(not NGINX, reason="needs nginx: nginx-light of Debian")
# Roles are known to all databases of a server, and each test process has a database of its own.
READER = f"twitter_reader_{WORKER}"
# Attempts to log in that one address has in five minutes, where both pools run.
LOG_INS = 3
READS = ("GET", "HEAD", "OPTIONS")
WRITES = ("POST", "PUT", "PATCH", "DELETE")


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


@contextlib.contextmanager
def two_pools(folder: Path, environment: Mapping[str, str]) -> Iterator[TwoPools]:
    """Run a process for each pool, and nginx in front; the environment is that of the service."""
    environment = {**environment, "WEB_HOST": "127.0.0.1", "WEB_WORKERS": "1", "TRUSTED_HOPS": "1"}
    ports = read_port, write_port = free_port(), free_port()
    logs = folder / "read.log", folder / "write.log"
    reading = environment | {
        "DATABASE_URL": reader_url(environment, role=READER),
        "PORT": str(read_port),
    }
    writing = environment | {"PORT": str(write_port)}
    with ending() as supervisor:
        supervisor.start("read", run.READ_POOL, environment=reading, log=logs[0])
        supervisor.start("write", run.PROCESSES["web"], environment=writing, log=logs[1])
        for port in ports:
            supervisor.wait(lambda port=port: answers(port, "/auth/healthz"), seconds=START_SECONDS)
        with in_front(folder / "nginx", read=[read_port], write=[write_port]) as proxy:
            yield TwoPools(proxy, *ports, *logs)


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
