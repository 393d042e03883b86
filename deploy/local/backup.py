"""`make backup` and `make restore`: PostgreSQL's own pg_dump, pg_restore and psql.

    python -m deploy.local.backup save [FILE]
    python -m deploy.local.backup restore [--replace] FILE

They work on DATABASE_URL, and a restore empties the Redis databases that the settings name.
docs/operations.md tells how to use them, and what is not in a backup.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import psycopg
import redis
from django.conf import settings
from kombu.exceptions import OperationalError
from tqdm import tqdm

from deploy.local.errors import StackError
from deploy.local.postgres import program
from deploy.local.run import QUEUES
from twitter.celery import app as celery

FOLDER = Path("backups")
# The user who restores owns all of it: the database's user has another name elsewhere.
ANYBODYS = ("--no-owner", "--no-privileges")
# Django's tables have no other schema. CASCADE takes what the backup does not know as well.
EMPTY = """
    SET LOCAL lock_timeout = '10s';
    DROP SCHEMA public CASCADE;
    CREATE SCHEMA public AUTHORIZATION pg_database_owner;
    GRANT USAGE ON SCHEMA public TO PUBLIC;
"""
CHUNK_BYTES = 1 << 20
PROGRESS_SECONDS = 0.2


def main(arguments: Sequence[str]) -> None:
    """Run one of the commands; StackError when it can't be done."""
    match arguments:
        case ["save"]:
            save(FOLDER / f"twitter-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.dump")
        case ["save", file]:
            save(Path(file))
        case ["restore", "--replace", file]:
            restore(Path(file), replace=True)
        case ["restore", file]:
            restore(Path(file), replace=False)
        case _:
            raise StackError("Name one file: make restore FILE=backups/….dump", code=2)


def save(file: Path) -> None:
    """Write a backup of DATABASE_URL, as of one moment, while the service runs.

    The file appears when it is complete, and only its owner may read it.

    Raises:
        StackError: it is there already, can't be written, or pg_dump failed.
    """
    if file.exists():
        raise StackError(f"{file} exists: a backup is never overwritten. Name another file.")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        unfinished = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as output:
                _dump(output)
                os.fsync(descriptor)
            size = unfinished.stat().st_size
            unfinished.rename(file)
        except BaseException:
            unfinished.unlink()
            raise
    except OSError as error:
        raise StackError(f"{file} can't be written: {error.strerror}.") from error
    print(f"{file}: {size:,} bytes. Keep the secrets as well: docs/operations.md.")


def restore(file: Path, *, replace: bool) -> None:
    """Fill the database of DATABASE_URL from a backup, in one transaction; then empty Redis.

    Redis may know more than the backup. All of it is made again from PostgreSQL.

    Raises:
        StackError: the file is no whole backup, the service runs, or the database has tables and
            shall not be replaced; all is as it was. Or Redis was lost meanwhile.
    """
    if not file.is_file():
        raise StackError(f"There is no file {file}.")
    _refuse_to_harm(replace=replace)
    for client in _redis_databases():
        _answered(client.ping, "Nothing was restored.")
    _empty_queues(dry_run=True)
    script = f"BEGIN;{EMPTY if replace else ''}".encode()
    with (
        _started("pg_restore", *ANYBODYS, "--file=-", str(file), stdout=subprocess.PIPE) as archive,
        _started(
            *("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        ) as session,
    ):
        assert archive.stdout is not None and session.stdin is not None  # noqa: PT018, S101
        # psql ends early when a statement fails; its exit code tells.
        with contextlib.suppress(BrokenPipeError), session.stdin:
            session.stdin.write(script)
            _copy(archive.stdout, session.stdin)
            # What pg_restore could not read to its end is never committed.
            if archive.wait() == 0:
                session.stdin.write(b"COMMIT; ANALYZE;\n")
        archive.stdout.close()
        if session.wait() != 0 or archive.wait() != 0:
            raise StackError(
                f"{file} was not restored, the reason stands above; the database is as it was."
            )
    for client in _redis_databases():
        _answered(client.flushdb, "The database is restored: empty Redis before the service runs.")
    _empty_queues()
    print(f"{file} is restored, and Redis is empty.")


def _dump(output: IO[bytes]) -> None:
    # A file, not a pipe: pg_dump goes back in it to note where each table begins.
    with (
        _started("pg_dump", "--format=custom", *ANYBODYS, stdout=output) as dump,
        tqdm(desc="backup", unit="B", unit_scale=True, disable=None) as progress,
    ):
        while dump.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                dump.wait(PROGRESS_SECONDS)
            progress.update(os.fstat(output.fileno()).st_size - progress.n)
        if dump.returncode != 0:
            raise StackError("pg_dump failed, the reason stands above; no backup was written.")


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    with tqdm(desc="restore", unit="B", unit_scale=True, disable=None) as progress:
        while chunk := source.read(CHUNK_BYTES):
            target.write(chunk)
            progress.update(len(chunk))


def _refuse_to_harm(*, replace: bool) -> None:
    """Raise StackError when the service uses the database, or when it has tables to lose."""
    try:
        with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=5) as connection:
            others, tables = connection.execute(
                "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND usesysid IS NOT NULL AND pid <> pg_backend_pid()),"
                " (SELECT count(*) FROM pg_tables WHERE schemaname = 'public')"
            ).fetchone() or (0, 0)
    except psycopg.OperationalError as error:
        raise StackError(f"PostgreSQL can't be reached: {error}") from error
    if others:
        raise StackError(
            f"The database is in use by {others} other connections: stop the service first."
        )
    if tables and not replace:
        raise StackError(
            f"The database has {tables} tables, which a restore would destroy. Restore into an "
            "empty database, or, if they shall be lost, add ARGS=--replace."
        )


def _redis_databases() -> list[redis.Redis]:
    """Return a client of each Redis database that the service uses: cache and homes, messages."""
    urls = {settings.REDIS_URL}
    if settings.BROKER_IS_REDIS:
        urls.add(settings.CELERY_BROKER_URL)
    return [redis.Redis.from_url(url, socket_timeout=60) for url in urls]


def _empty_queues(*, dry_run: bool = False) -> None:
    """Empty RabbitMQ's queues, if the messages are there; `dry_run` only looks whether it answers.

    Their deliveries may be others' after a restore, which counts ids from where the backup was.
    """
    if settings.BROKER_IS_REDIS:
        return
    try:
        with celery.connection_for_write(url=settings.CELERY_BROKER_URL) as broker:
            broker.ensure_connection(max_retries=1)
            for name in () if dry_run else QUEUES:
                queue = celery.amqp.queues[name].bind(broker.default_channel)
                queue.declare()
                queue.purge()
    except OperationalError as error:
        otherwise = (
            "Nothing was restored." if dry_run else "The database is restored: purge its queues."
        )
        raise StackError(f"RabbitMQ does not answer: {error}. {otherwise}") from error


def _answered(command: object, otherwise: str) -> None:
    try:
        command()  # type: ignore[operator]
    except redis.RedisError as error:
        raise StackError(f"Redis does not answer: {error}. {otherwise}") from error


@contextlib.contextmanager
def _started(
    name: str,
    *options: str,
    stdin: int = subprocess.DEVNULL,
    stdout: int | IO[bytes],
) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of PostgreSQL's programs; it does not outlive a failure here."""
    process = subprocess.Popen(
        [program(name), *options], env=_environment(), stdin=stdin, stdout=stdout
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _environment() -> dict[str, str]:
    """Return an environment in which PostgreSQL's programs find DATABASE_URL.

    As an argument, every user of the machine could read its password.
    """
    options = psycopg.pq.Conninfo.parse(os.environ["DATABASE_URL"].encode())
    given = {
        each.envvar.decode(): each.val.decode() for each in options if each.envvar and each.val
    }
    return {**os.environ, **given}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except StackError as error:
        print(error, file=sys.stderr)
        sys.exit(error.code)
