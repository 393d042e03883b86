"""`make backup` and `make restore`: a drill with a real copy, and all that a restore refuses."""

import os
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis

from deploy.local.backup import main, restore, save
from deploy.local.errors import StackError
from deploy.local.ports import free_port
from tests.conftest import WORKER
from tests.deploy.stack import COMMAND, ROOT, command, environment, manage, running
from tests.e2e.client import User, eventually, sign_up

ROWS = 20_000


# --- the drill -----------------------------------------------------------------------------------
def make_history(url: str) -> list[User]:
    """Let three people follow, post, like, retweet and delete; return them."""
    ada, bob, cleo = people = [sign_up(url) for _ in range(3)]
    bob.follow(ada, cleo)
    cleo.follow(ada)
    liked, _, removed = (ada.tweet(f"Number {number} 🦉") for number in range(3))
    for reader in (bob, cleo):
        reader.post("/tweet/like", {"tweet_id": str(liked)})
    cleo.post("/tweet/retweet", {"tweet_id": str(liked)}, status=201)
    ada.delete(f"/tweet/delete/{removed}")

    def counted() -> None:
        metrics = bob.get(f"/tweet/id/{liked}").data["public_metrics"]
        assert (metrics["like_count"], metrics["retweet_count"]) == (2, 1)
        assert ada.metrics()["followers_count"] == 2
        assert ada.metrics()["tweet_count"] == 2
        assert cleo.metrics()["tweet_count"] == 1

    eventually(counted)
    return people


def seen_by(person: User, people: list[User]) -> list[Any]:
    """Return all that somebody sees: home, profiles, timelines, follows, with likes and counts."""
    pages = [person.get("/timeline/timeline").json]
    for other in people:
        paths = ("/auth/id", "/timeline/user", "/auth/followers", "/auth/following")
        pages += [person.get(f"{path}/{other.id}").json for path in paths]
    return pages


@pytest.fixture
def writing() -> Iterator[Any]:
    """Return a function with which somebody tweets, again and again, until the test ends."""
    ended = threading.Event()
    threads = []

    def begin(person: User) -> None:
        def write() -> None:
            while not ended.wait(0.25):  # fewer than the limit of writes
                person.tweet("On and on")

        threads.append(threading.Thread(target=write))
        threads[-1].start()

    def end() -> None:
        ended.set()
        for thread in threads:
            thread.join()

    begin.end = end  # type: ignore[attr-defined]
    yield begin
    end()


def test_drill_everything_is_lost_and_restored(tmp_path: Path, writing: Any) -> None:
    state, file = tmp_path / "state", tmp_path / "kept" / "today.dump"
    with running(state, tmp_path / "first", PORT=str(free_port())) as stack:
        stack.wait_until_ready()
        people = make_history(stack.url)
        before = [seen_by(person, people) for person in people]
        writing(sign_up(stack.url))
        saved = command(state, "backup", str(file))
        assert saved.returncode == 0, saved.stderr
        writing.end()
        after_it = people[0].tweet("Written after the backup, and lost with the disk")
        in_use = command(state, "restore", str(file))
        assert in_use.returncode == 1
        assert "in use by another running copy" in in_use.stderr
        assert people[0].get(f"/tweet/id/{after_it}").status == 200
    assert [path.name for path in file.parent.iterdir()] == ["today.dump"]
    assert file.stat().st_mode & 0o777 == 0o600
    not_empty = command(state, "restore", str(file))
    assert not_empty.returncode == 1
    assert "which a restore would destroy" in not_empty.stderr

    shutil.rmtree(state)
    restored = command(state, "restore", str(file))
    assert restored.returncode == 0, restored.stderr

    with running(state, tmp_path / "second", PORT=str(free_port())) as stack:
        stack.wait_until_ready()
        assert " demo  " not in stack.output.read_text(), "no demo is mixed in"
        people = [
            User(stack.url, username=each.username, password=each.password) for each in people
        ]
        assert [seen_by(person, people) for person in people] == before
        people[0].get(f"/tweet/id/{after_it}", status=404)
        verified = manage(state, "verify_timelines", "--all")
        assert verified.returncode == 0, verified.stdout
        assert verified.stdout == "3 homes compared, 0 differ.\n"
        new = people[0].tweet("Life goes on")
        eventually(lambda: reads(people[1], new))
        verified = manage(state, "verify_timelines", "--all")
        assert verified.returncode == 0, verified.stdout


def reads(person: User, tweet: int) -> None:
    assert person.home()[0] == tweet


# --- a server of one's own -----------------------------------------------------------------------
class Server:
    """A database and two Redis databases on the servers of the tests."""

    def __init__(self) -> None:
        self.admin = os.environ["DATABASE_URL"]
        self.name = f"backup_{secrets.token_hex(4)}"
        base = os.environ["REDIS_URL"].rpartition("/")[0]
        self.urls = {
            "DATABASE_URL": f"{self.admin.rpartition('/')[0]}/{self.name}",
            "REDIS_URL": f"{base}/{50 + WORKER}",
            "CELERY_BROKER_URL": f"{base}/{57 + WORKER}",
        }

    def recreate(self) -> None:
        self.drop()
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {self.name}")

    def drop(self) -> None:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {self.name}")

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.urls["DATABASE_URL"]) as connection:
            connection.execute(statement)

    def words(self) -> tuple[int, str] | None:
        """Return how many rows the table has, and a digest of them; None without a table."""
        with psycopg.connect(self.urls["DATABASE_URL"]) as connection:
            try:
                return connection.execute(
                    "SELECT count(*), md5(string_agg(word, ',' ORDER BY number)) FROM words"
                ).fetchone()
            except psycopg.errors.UndefinedTable:
                return None


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Server]:
    """Return one with a table, which DATABASE_URL and the settings name."""
    server = Server()
    server.recreate()
    server.execute(
        "CREATE TABLE words AS SELECT number, md5(number::text) AS word"
        f" FROM generate_series(1, {ROWS}) AS number"
    )
    monkeypatch.setenv("DATABASE_URL", server.urls["DATABASE_URL"])
    settings.REDIS_URL = server.urls["REDIS_URL"]
    settings.CELERY_BROKER_URL = server.urls["CELERY_BROKER_URL"]
    yield server
    server.drop()


@pytest.fixture
def file(server: Server, tmp_path: Path) -> Path:
    """Return a backup of it."""
    file = tmp_path / "file.dump"
    save(file)
    return file


def test_a_server_of_ones_own_is_restored_and_its_redis_emptied(
    server: Server, tmp_path: Path
) -> None:
    state, file = tmp_path / "state", tmp_path / "file.dump"
    words = server.words()
    saved = command(state, "backup", str(file), **server.urls)
    assert saved.returncode == 0, saved.stderr
    server.recreate()
    urls = server.urls["REDIS_URL"], server.urls["CELERY_BROKER_URL"]
    with redis.Redis.from_url(urls[0]) as cache, redis.Redis.from_url(urls[1]) as broker:
        cache.set("home", 1)
        broker.set("message", 1)
        restored = command(state, "restore", str(file), **server.urls)
        assert restored.returncode == 0, restored.stderr
        assert (cache.dbsize(), broker.dbsize()) == (0, 0)
    assert server.words() == words
    assert not (state / "postgres").exists(), "no server was started"


def test_a_database_in_use_is_left_alone(server: Server, file: Path) -> None:
    with (
        psycopg.connect(server.urls["DATABASE_URL"]),
        pytest.raises(StackError, match="in use by 1 other connections: stop the service first"),
    ):
        restore(file, replace=True)


def test_a_restore_replaces_only_when_told_and_then_all_that_is_there(
    server: Server, file: Path
) -> None:
    """It also replaces what the backup does not know, such as the tables of a later version."""
    words = server.words()
    server.execute("DELETE FROM words WHERE number > 10")
    server.execute("CREATE TABLE later AS SELECT 1 AS number")
    with pytest.raises(StackError, match="has 2 tables, which a restore would destroy"):
        restore(file, replace=False)
    assert (server.words() or (0,))[0] == 10
    restore(file, replace=True)
    assert server.words() == words
    with pytest.raises(psycopg.errors.UndefinedTable):
        server.execute("SELECT FROM later")


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda whole: whole[: len(whole) // 2],
    "changed": lambda whole: whole[: len(whole) // 2] + bytes(64) + whole[len(whole) // 2 + 64 :],
    "empty": lambda whole: b"",
    "text": lambda whole: b"DROP TABLE words;\n",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_changes_nothing(server: Server, file: Path, damage: str) -> None:
    whole = file.read_bytes()
    assert len(whole) > ROWS, "the middle is in the middle of the table"
    file.write_bytes(DAMAGES[damage](whole))
    server.execute("DELETE FROM words WHERE number > 10")
    words = server.words()
    with pytest.raises(StackError, match="was not restored"):
        restore(file, replace=True)
    assert server.words() == words
    server.recreate()
    with pytest.raises(StackError, match="was not restored"):
        restore(file, replace=False)
    assert server.words() is None


def test_a_restore_without_redis_changes_nothing(server: Server, file: Path, settings: Any) -> None:
    server.recreate()
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/1"
    with pytest.raises(StackError, match=r"Redis does not answer.*Nothing was restored\."):
        restore(file, replace=False)
    assert server.words() is None


def test_a_backup_that_is_interrupted_leaves_no_file(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    with psycopg.connect(server.urls["DATABASE_URL"]) as blocking:
        blocking.execute("LOCK TABLE words")  # pg_dump waits for it
        process = subprocess.Popen(
            [*COMMAND[:-1], "backup", str(folder / "file.dump")],
            cwd=ROOT,
            env=environment(tmp_path / "state", **server.urls),
            stderr=subprocess.DEVNULL,
        )
        family: list[psutil.Process] = []
        deadline = time.monotonic() + 60
        while not any("pg_dump" in each.name() for each in family):
            assert time.monotonic() < deadline
            time.sleep(0.1)
            family = psutil.Process(process.pid).children(recursive=True)
        assert list(folder.iterdir())
        process.terminate()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
        assert list(folder.iterdir()) == []
        assert psutil.wait_procs(family, timeout=30)[1] == []


def test_a_backup_that_fails_leaves_no_file(server: Server, tmp_path: Path) -> None:
    server.drop()
    with pytest.raises(StackError, match="no backup was written"):
        save(tmp_path / "file.dump")
    assert list(tmp_path.iterdir()) == []


def test_a_backup_is_never_overwritten(file: Path) -> None:
    whole = file.read_bytes()
    with pytest.raises(StackError, match="a backup is never overwritten"):
        save(file)
    assert file.read_bytes() == whole


def test_a_restore_needs_a_file(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="Name one file: make restore FILE="):
        main(["restore"])
    with pytest.raises(StackError, match="There is no file"):
        restore(tmp_path / "none.dump", replace=False)
