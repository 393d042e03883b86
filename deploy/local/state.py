"""The state folder: everything of one copy that outlives its processes.

lock           held (flock) by the process that runs this copy; the kernel drops it with it
secrets.json   made on the first run, readable by its owner only
running.json   the process, the address and the servers of the copy that runs
demo-data      the databases that have had their demo data
postgres/ valkey/ *.log
"""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.local.errors import DISK_ERRORS, StackError, unusable


class StateFolder:
    """One copy's state. Make it with `hold`, which makes sure that no other process uses it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def demo_data(self) -> Path:
        """The file that names, one a line, the databases that have had their demo data."""
        return self.path / "demo-data"

    def write_private(self, name: str, text: str) -> Path:
        """Write a file that only its owner may read, whole or not at all; return its path."""
        path = self.path / name
        unfinished = self.path / f"{name}.new"
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        return unfinished.replace(path)

    def secrets(self) -> dict[str, str]:
        """Return this copy's secrets by name; those that are not there yet are made and kept."""
        path = self.path / "secrets.json"
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        made = {
            "SECRET_KEY": secrets.token_urlsafe(48),
            "JWT_SIGNING_KEYS": f"{secrets.token_hex(4)}:{secrets.token_urlsafe(48)}",
            "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
            "VALKEY_PASSWORD": secrets.token_urlsafe(24),
            "DEMO_PASSWORD": secrets.token_urlsafe(12),
            "ADMIN_PASSWORD": secrets.token_urlsafe(12),
        }
        if made.keys() - known.keys():
            self.write_private("secrets.json", json.dumps({**made, **known}, indent=2) + "\n")
        return {**made, **known}

    def announce(self, *, url: str, servers: Mapping[str, str]) -> None:
        """Note what runs here, for `running` in other processes, until the lock is dropped."""
        note = {"pid": os.getpid(), "url": url, "servers": dict(servers)}
        self.write_private("running.json", json.dumps(note, indent=2) + "\n")


class InUseError(Exception):
    """Another process holds the state folder; `servers` has its DATABASE_URL and REDIS_URL."""

    def __init__(self, path: Path) -> None:
        note = path / "running.json"
        running = json.loads(note.read_text()) if note.exists() else {}
        self.servers: dict[str, str] = running.get("servers", {})
        self.reason = StackError(
            f"The state folder {path} is in use by another running copy"
            + (f" (process {running['pid']}, {running['url']})" if running else "")
            + ". Stop that one, or choose another folder and port: "
            "make run STATE_DIR=.local-2 PORT=8081."
        )


@contextlib.contextmanager
def hold(path: Path) -> Iterator[StateFolder]:
    """Make the folder where it is missing, and keep other copies out of it.

    Raises:
        InUseError: another process has it.
        StackError: it can't be written.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_WRONLY | os.O_CREAT, 0o600)
    except OSError as error:
        raise unusable(path, error) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InUseError(path) from error
        running = path / "running.json"
        try:
            running.unlink(missing_ok=True)  # of a copy that was killed
            try:
                yield StateFolder(path)
            finally:
                running.unlink(missing_ok=True)
        except OSError as error:
            if error.errno in DISK_ERRORS or str(error.filename).startswith(str(path)):
                raise unusable(path, error) from error
            raise
    finally:
        os.close(lock)
