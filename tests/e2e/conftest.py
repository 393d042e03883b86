"""Fixtures for end-to-end tests: the whole service as `make run` serves it, and people who use it.

With E2E_BASE_URL the tests use a service that runs already; then DEMO_PASSWORD and ADMIN_PASSWORD
are the passwords of its users `demo` and `admin` (or ADMIN_USERNAME). The stories, which `make e2e`
runs, can do without.
"""

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local import servers
from deploy.local.errors import StackError
from deploy.local.ports import free_port
from deploy.local.state import StateFolder
from deploy.local.supervisor import Supervisor
from tests.e2e.client import Client, User, sign_up
from tests.limits import NOBODY_MEETS

START_SECONDS = 180.0
# The origin of an app in the browser, which may use the API; a test serves its page there.
APP_PORT = free_port()
APP = f"http://localhost:{APP_PORT}"
SETTINGS = {"LOG_LEVEL": "WARNING", "CORS_ALLOWED_ORIGINS": APP, **NOBODY_MEETS}
# What `make test` sets for the tests' own servers; the stack makes its own.
OF_THE_TESTS = {
    "CELERY_BROKER_URL",
    "DATABASE_URL",
    "DJANGO_SETTINGS_MODULE",
    "JWT_SIGNING_KEYS",
    "REDIS_URL",
    "SECRET_KEY",
    "TWITTER_ENV",
}
# But for a health check's 503, which a starting service answers until it is ready.
ERROR = re.compile('"level": "(error|critical)"(?!.*Service Unavailable: /[a-z]+/healthz")')

# Addresses and passwords of the tests' users, hashes of passwords, access tokens.
SECRET = re.compile(r"@example\.org|correct horse battery|argon2\$|\beyJ", re.IGNORECASE)


@dataclass(frozen=True)
class Stack:
    """A service that runs; a password that is not known here is empty.

    `environment` is that of its processes, empty when it was not started here.
    """

    url: str
    demo_password: str
    admin_username: str
    admin_password: str
    environment: Mapping[str, str]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return the service that runs; at the end, it has ended, and logged no error and no secret."""
    if url := os.environ.get("E2E_BASE_URL", "").rstrip("/"):
        try:
            Client(url).get("/auth/healthz")
        except (OSError, KeyError) as error:
            pytest.exit(f"There is no service at {url}: {error}", returncode=1)
        yield Stack(
            url=url,
            demo_password=os.environ.get("DEMO_PASSWORD", ""),
            admin_username=os.environ.get("ADMIN_USERNAME", "admin"),
            admin_password=os.environ.get("ADMIN_PASSWORD", ""),
            environment={},
        )
        return
    folder = tmp_path_factory.mktemp("stack")
    log = folder / "output"
    with _running(folder / "state", log):
        printed = log.read_text()
        yield Stack(
            url=_found(r"^ready: (\S+) answers", printed),
            demo_password=_found(r"^Demo user .*password (\S+)$", printed),
            admin_username="admin",
            admin_password=_found(r"^Admin .*password (\S+)$", printed),
            environment=_environment(StateFolder(folder / "state")),
        )
    errors = [line for line in log.read_text().splitlines() if ERROR.search(line)]
    assert not errors, "\n".join(errors[:10])
    logs = [log, *(folder / "state").glob("*.log")]
    assert len(logs) > 1  # PostgreSQL and Valkey write files of their own
    secrets = [line for one in logs for line in one.read_text().splitlines() if SECRET.search(line)]
    assert not secrets, "\n".join(secrets[:10])


@contextlib.contextmanager
def _running(state: Path, log: Path) -> Iterator[None]:
    environment = {name: value for name, value in os.environ.items() if name not in OF_THE_TESTS}
    environment |= {"PORT": str(free_port()), "STATE_DIR": str(state), **SETTINGS}
    supervisor = Supervisor()
    with contextlib.ExitStack() as ending:
        # Only its end: its beginning would take the signals away from pytest.
        ending.push(supervisor)
        command = [sys.executable, "-m", "deploy.local", "run"]
        supervisor.start("stack", command, environment=environment, log=log)
        try:
            supervisor.wait(
                lambda: re.search("^ready", log.read_text(), re.MULTILINE) is not None,
                seconds=START_SECONDS,
            )
        except (StackError, TimeoutError):
            pytest.fail(f"The service did not start:\n{log.read_text()[-4_000:]}", pytrace=False)
        yield


def _environment(state: StateFolder) -> dict[str, str]:
    """Return the environment of the stack's processes, whose secrets are not those of the tests."""
    running = json.loads((state.path / "running.json").read_text())
    secrets = {name: state.secrets()[name] for name in ("SECRET_KEY", "JWT_SIGNING_KEYS")}
    return servers.environment(state, running["servers"]) | SETTINGS | secrets


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    assert match, f"{pattern} is not in:\n{text}"
    return match[1]


@pytest.fixture(scope="session")
def anybody(stack: Stack) -> Client:
    """Return a client without a token."""
    return Client(stack.url)


@pytest.fixture(scope="session")
def join(stack: Stack) -> Callable[[], User]:
    """Return a function that makes a new user, logged in."""
    return lambda: sign_up(stack.url)


@pytest.fixture
def ada(join: Callable[[], User]) -> User:
    """Return a new user."""
    return join()


@pytest.fixture
def bob(join: Callable[[], User]) -> User:
    """Return another new user."""
    return join()
