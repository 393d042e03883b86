"""`make run`: the whole service on this machine, until Ctrl-C."""

import hashlib
import http.client
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local import servers
from deploy.local.errors import StackError
from deploy.local.ports import web_host, web_port
from deploy.local.state import InUseError, StateFolder, hold
from deploy.local.supervisor import Supervisor

MANAGE = [sys.executable, "manage.py"]
BACKUP = [sys.executable, "-m", "deploy.local.backup"]
QUEUES = ("default", "fan_out", "heartbeat", "removals")
# deploy/entrypoint has the same for containers.
PROCESSES = {
    "web": [sys.executable, "-m", "gunicorn", "-c", "config/gunicorn.conf.py"],
    "worker": [
        *(sys.executable, "-m", "celery", "--quiet", "-A", "twitter", "worker"),
        *("-Q", ",".join(QUEUES)),
        *("--without-gossip", "--without-mingle"),  # for talking with other workers: there is none
    ],
    "relay": [*MANAGE, "relay"],
}
# Of containers only: it must be behind nginx.
READ_POOL = [sys.executable, "-m", "twitter.read_pool"]
READY_SECONDS = 120.0


def run() -> None:
    """Start everything and serve; ends only by raising (Stopped, StackError)."""
    try:
        with hold(state_path()) as state, Supervisor() as supervisor:
            _serve(supervisor, state, web_port())
    except InUseError as error:
        raise error.reason from None


def manage(arguments: Sequence[str]) -> int:
    """Run a manage.py command on the servers of the copy and return its exit code."""
    if not state_path().exists() and not os.environ.get("DATABASE_URL"):
        print(
            f"{state_path()} is new: its database is empty until `make run/migration`.",
            file=sys.stderr,
        )
    return _beside([*MANAGE, *arguments])


def backup(arguments: Sequence[str]) -> int:
    """Write a backup, while the copy runs or rests; return the exit code."""
    return _beside([*BACKUP, "save", *arguments])


def restore(arguments: Sequence[str]) -> int:
    """Restore a backup into the copy, which must rest; return the exit code."""
    try:
        with hold(state_path()) as state, Supervisor() as supervisor:
            environment = servers.environment(state, servers.start(supervisor, state))
            command = [*BACKUP, "restore", *arguments]
            code = supervisor.run_in_foreground(command, environment=environment)
            if code == 0:  # what was restored is not to be mixed with a demo
                _note_demo_data(state)
            return code
    except InUseError as error:
        raise error.reason from None


def _beside(command: Sequence[str]) -> int:
    """Run a command on the servers of the copy and return its exit code.

    It works on DATABASE_URL and REDIS_URL if set, else on the copy that runs, or on the servers of
    the one that rests, which are started for it.
    """
    with Supervisor() as supervisor:
        try:
            with hold(state_path()) as state:
                urls = servers.start(supervisor, state)
                environment = servers.environment(state, urls)
                return supervisor.run_in_foreground(command, environment=environment)
        except InUseError as error:
            if not error.servers:  # it is still starting
                raise error.reason from None
            state = StateFolder(state_path())
            urls = {name: os.environ.get(name) or url for name, url in error.servers.items()}
            environment = servers.environment(state, urls)
            return supervisor.run_in_foreground(command, environment=environment)


def state_path() -> Path:
    """Return the absolute path of STATE_DIR (default `.local`)."""
    return Path(os.environ.get("STATE_DIR") or ".local").expanduser().absolute()


def _serve(supervisor: Supervisor, state: StateFolder, port: int) -> None:
    if os.environ.get("SCRIPT_NAME"):
        raise StackError("SCRIPT_NAME: the service can't live below a path, only at a host's root.")
    urls = servers.start(supervisor, state)
    environment = servers.environment(state, urls) | {"PORT": str(port), "WEB_HOST": web_host()}
    _migrate(supervisor, environment)
    secrets = state.secrets()
    logins = {
        "DEMO_USERNAME": "demo",
        "DEMO_PASSWORD": secrets["DEMO_PASSWORD"],
        "ADMIN_USERNAME": "admin",
        "ADMIN_PASSWORD": secrets["ADMIN_PASSWORD"],
    }
    if not state.demo_data.exists() or _database() not in state.demo_data.read_text().split():
        supervisor.run("demo", [*MANAGE, "demo"], environment=environment | logins)
        _note_demo_data(state)
    host = web_host().replace("0.0.0.0", "127.0.0.1")  # noqa: S104
    url = f"http://{host}:{port}"
    for name, command in PROCESSES.items():
        supervisor.start(name, command, environment=environment_of(name, environment))
    state.announce(url=url, servers=urls)
    ready = threading.Event()
    # In a thread, as an answer may take long. No process is forked from now on.
    threading.Thread(target=_await_health, args=(host, port, ready), daemon=True).start()
    try:
        supervisor.wait(ready.is_set, seconds=READY_SECONDS)
    except TimeoutError:
        raise StackError(f"{url} did not become ready: {_health(host, port)}") from None
    supervisor.say(
        f"\nAPI         {url}"
        f"\nSwagger UI  {url}/api/docs/"
        f"\nAdmin       {_admin_url(url)}       log in as {logins['ADMIN_USERNAME']}, "
        f"password {logins['ADMIN_PASSWORD']}"
        f"\nDemo user   {logins['DEMO_USERNAME']}, password {logins['DEMO_PASSWORD']}\n"
        f"\nready: {url} answers; Ctrl-C stops everything"
    )
    if web_host() != "127.0.0.1":
        supervisor.say(
            f"WEB_HOST is {web_host()}: clients that send or read slowly can stop this server. "
            "Where strangers come in, put nginx before it: docs/proxy.md."
        )
    supervisor.wait(lambda: False)


def environment_of(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process: all are on one machine, so METRICS_PORT counts on."""
    if not environment.get("METRICS_PORT"):
        return dict(environment)
    port = int(environment["METRICS_PORT"]) + list(PROCESSES).index(name)
    return {**environment, "METRICS_PORT": str(port)}


def _admin_url(url: str) -> str:
    """Return where the admin is (ADMIN_HOST, ADMIN_PATH)."""
    parts = urlsplit(url)
    host = os.environ.get("ADMIN_HOST") or parts.hostname
    path = os.environ.get("ADMIN_PATH") or "admin/"
    return f"{parts.scheme}://{host}:{parts.port}/{path}"


def _migrate(supervisor: Supervisor, environment: dict[str, str]) -> None:
    supervisor.run("migrate", [*MANAGE, "migrate", "--noinput"], environment=environment)


def _note_demo_data(state: StateFolder) -> None:
    """Note that the database in use gets no demo data any more."""
    with state.demo_data.open("a", encoding="utf-8") as file:
        file.write(f"{_database()}\n")


def _database() -> str:
    """Return one word that stands for the database in use, and gives away no password."""
    url = os.environ.get("DATABASE_URL")
    return hashlib.sha256(url.encode()).hexdigest() if url else "embedded"


def _await_health(host: str, port: int, ready: threading.Event) -> None:
    while not _health(host, port).startswith("200 "):
        time.sleep(0.1)
    ready.set()


def _health(host: str, port: int) -> str:
    """Return status and body of the readiness check, or why there is none.

    http.client, because it doesn't know of proxies.
    """
    connection = http.client.HTTPConnection(host, port, timeout=20)
    try:
        connection.request("GET", "/auth/healthz?ready=1")
        response = connection.getresponse()
        return f"{response.status} {response.read().decode(errors='replace')}"
    except (OSError, http.client.HTTPException) as error:
        return str(error)
    finally:
        connection.close()
