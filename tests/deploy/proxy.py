"""The nginx of config/nginx.conf, in front of servers that run on this machine."""

import contextlib
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.ports import free_port
from tests.bench.stack import ending

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / "config" / "nginx.conf"
SERVICE = ROOT / "config" / "nginx-service.conf"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or ""
# No process is left out, however often it failed.
ALWAYS = "max_fails=0"
START_SECONDS = 60.0


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


def listens(port: int) -> bool:
    """Tell whether something takes connections."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
