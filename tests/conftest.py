"""Fixtures for all tests: a real PostgreSQL, a real Valkey, and Celery tasks on demand.

The servers come from DATABASE_URL and REDIS_URL, which `make test` sets. Each xdist worker has a
database and a Redis database of its own.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from operator import attrgetter
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.test import TransactionTestCase
from prometheus_client import CollectorRegistry
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework.test import APIClient
from whitenoise.middleware import WhiteNoiseMiddleware
from xdist.scheduler import LoadFileScheduling

from accounts.sessions.hashing import BoundedArgon2Hasher
from accounts.sessions.tokens import issue_access_token
from accounts.tasks import fold_counters
from tweets.tasks import fold_metrics
from twitter.base.data import redis as project_redis
from twitter.base.data import resp
from twitter.base.http import limits
from twitter.base.observe import metrics
from twitter.outbox.models import Delivery

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def assert_commits() -> None:
    """Assert that other connections see what the test stores: it does not roll back."""
    rolls_back = any(block._from_testcase for block in connection.atomic_blocks)
    assert not rolls_back, "mark the test: @pytest.mark.django_db(transaction=True)"


# What takes longest: tests that start whole services, most of whose time is waiting, and search.
BEGUN_FIRST = (
    *("e2e", "tests/chaos/", "tests/bench/", "tests/monitoring/", "tests/deploy/"),
    *("tests/timelines/home/test_model.py", "tests/test_races.py"),
)


def scope_of(nodeid: str) -> str:
    """Return what one process runs as a whole: a file; tests/e2e/, which shares one service."""
    return "e2e" if nodeid.startswith("tests/e2e/") else nodeid.partition("::")[0]


class LongestFirst(LoadFileScheduling):
    """`--dist loadfile`, but what takes long is begun first, so that all processes end together.

    Not `loadgroup`: with pytest 9.2 it does not group (pytest-xdist issue 1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    config.option.loadscopereorder = False  # the order is the one of pytest_collection_modifyitems
    return LongestFirst(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config) -> int:
    """Return one process more than there are processors: there is always one that waits."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put BEGUN_FIRST first, then the files with the most tests."""
    sizes = Counter(scope_of(item.nodeid) for item in items)

    def place(item: pytest.Item) -> tuple[int, int, str]:
        scope = scope_of(item.nodeid)
        long = [n for n, start in enumerate(BEGUN_FIRST) if scope.startswith(start)]
        return long[0] if long else len(BEGUN_FIRST), -sizes[scope], scope

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def _own_redis_database() -> None:
    """Point the cache at a Redis database of this worker's own, before it is first used."""
    base = settings.REDIS_URL.rpartition("/")[0]
    settings.CACHES["default"]["LOCATION"] = f"{base}/{2 + WORKER}"


@pytest.fixture(scope="session", autouse=True)
def _cheap_beginnings() -> Iterator[None]:
    """Spare each client of a test what a process does once, and each password what it is to cost.

    Every client loads the middleware, for which WhiteNoise looks at each static file: 30 ms. A hash
    with its own parameters takes 19 MiB and 20 ms; it is still Argon2's, with the same code.
    """
    found: dict[str, Any] = {}
    find = WhiteNoiseMiddleware.add_files_from_finders

    def find_once(self: WhiteNoiseMiddleware) -> None:
        if not found:
            find(self)
            found.update(self.files)
        self.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", find_once)
        for name, least in (("time_cost", 1), ("memory_cost", 8), ("parallelism", 1)):
            patch.setattr(BoundedArgon2Hasher, name, least)
        yield


# Django's own data, which migrating wrote and nothing here changes.
KEPT_TABLES = {"django_content_type", "auth_permission"}


@pytest.fixture(scope="session", autouse=True)
def _deleting_instead_of_truncating() -> Iterator[None]:
    """After a test with real commits, delete its rows, in the place of Django's `flush`.

    That truncates every table, which makes new files for each and for its indexes, and stores
    content types and permissions again: 130 ms a test. Tables that hold a few rows are emptied in
    10 ms by DELETE. Without triggers the order does not matter; foreign keys are triggers.
    """
    tables = sorted(set(connection.introspection.django_table_names()) - KEPT_TABLES)
    delete = ";".join(f'DELETE FROM "{table}"' for table in tables)

    def empty(_: TransactionTestCase) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL session_replication_role = replica;{delete}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty)
        yield


@pytest.fixture(autouse=True)
def valkey(_own_redis_database: None) -> Iterator[redis.Redis]:
    """Return the real server's client, the database being empty."""
    client = project_redis.client()
    client.flushdb()
    yield client
    client.flushdb()


@pytest.fixture
def commits(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run what waits for a commit where the code under test commits, though the test rolls back.

    Within the test's transaction such a commit releases a savepoint, the outermost one. Django's
    captureOnCommitCallbacks would run the callbacks at the end of its own block instead: after an
    answer that was to show what they do. A test that is marked to have real commits keeps them.
    """
    if not connection.in_atomic_block:
        return
    of_the_test = len(connection.savepoint_ids)
    release, wait = connection.savepoint_commit, connection.on_commit

    def commit(savepoint: str) -> None:
        release(savepoint)
        while connection.run_on_commit and len(connection.savepoint_ids) == of_the_test:
            _, callback, _ = connection.run_on_commit.pop(0)
            callback()

    def on_commit(callback: Callable[[], object], robust: bool = False) -> None:
        if len(connection.savepoint_ids) == of_the_test:
            callback()
        else:
            wait(callback, robust)

    monkeypatch.setattr(connection, "savepoint_commit", commit)
    monkeypatch.setattr(connection, "on_commit", on_commit)


def take_redis_away(patch: pytest.MonkeyPatch) -> None:
    """Put Redis out of reach, until `patch` is undone."""
    nowhere = redis.Redis(port=1, retry=Retry(NoBackoff(), 0))
    patch.setattr(project_redis, "client", lambda: nowhere)
    caches = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    patch.setattr(settings, "CACHES", caches)


@pytest.fixture
def redis_gone(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that puts Redis out of reach."""
    return partial(take_redis_away, monkeypatch)


@pytest.fixture
def round_trips(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return a list that receives the commands of each round trip to Redis from now on."""
    trips: list[bytes] = []
    send = resp._Connection.send

    def note(self: Any, message: bytes) -> None:
        trips.append(message)
        send(self, message)

    monkeypatch.setattr(resp._Connection, "send", note)
    return trips


@pytest.fixture(autouse=True)
def no_window_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock that requests are counted by stand still, at the beginning of a window."""
    begun = time.time() // 86_400 * 86_400.0
    monkeypatch.setattr(limits, "time", SimpleNamespace(time=lambda: begun))


@pytest.fixture
def without_limits(settings: Any) -> None:
    """Let everybody ask as often as they like."""
    settings.RATE_LIMITS = {kind: {} for kind in settings.RATE_LIMITS}


@pytest.fixture
def run_outbox() -> Callable[[], int]:
    """Return a function that runs all that waits in the outbox, until it is quiet, and folds.

    It does what relay and worker do, in this process: those of one task in a row are a message.
    Returns how many deliveries ran.
    """

    current_app.loader.import_default_modules()

    def run() -> int:
        ran = 0
        while batch := list(Delivery.objects.filter(failed_at=None).order_by("id")[:100]):
            for name, deliveries in groupby(batch, key=attrgetter("task")):
                ids = [delivery.pk for delivery in deliveries]
                current_app.tasks[name](delivery_ids=ids)
                ran += len(ids)
            assert ran < 10_000, f"the outbox does not come to rest: {batch[0]}"
            failed = Delivery.objects.exclude(last_error="").first()
            assert failed is None, f"{failed}: {failed.last_error}"
        fold_counters()
        fold_metrics()
        return ran

    return run


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., float]:
    """Count from now on; return a function that tells the value of a metric with some labels."""
    registry = CollectorRegistry()
    monkeypatch.setattr(metrics, "instruments", metrics.Instruments(registry))

    def value(name: str, **labels: str) -> float:
        return registry.get_sample_value(name, labels) or 0.0

    return value


@pytest.fixture
def sql_statements() -> Iterator[list[str]]:
    """Return a list that receives each SQL statement of the test from now on."""
    statements: list[str] = []

    def note(execute, sql, params, many, context):
        statements.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield statements


@pytest.fixture
def make_account(db: None) -> Callable[[str], int]:
    """Return a function that stores an account, without a password, and returns its id."""

    def make(username: str) -> int:
        from accounts.models import Account

        return Account.objects.create_user(username, email=f"{username}@example.com").pk

    return make


@pytest.fixture
def api() -> Callable[..., APIClient]:
    """Return a function that makes a client for an account id, or one without a token."""

    def make(account_id: int | None = None) -> APIClient:
        client = APIClient(raise_request_exception=False)
        if account_id is not None:
            token = issue_access_token(account_id=account_id, session_id=1, generation=0)
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        return client

    return make


@pytest.fixture
def at_once() -> Callable[..., list[Any]]:
    """Return a function that calls others at the same time, each on a connection of its own.

    Returns what they return or raise, in order.
    """

    def run(*calls: Callable[[], Any]) -> list[Any]:
        assert_commits()
        barrier = Barrier(len(calls))

        def run_one(call: Callable[[], Any]) -> Any:
            try:
                connection.ensure_connection()
                barrier.wait(10)
                return call()
            except Exception as error:  # noqa: BLE001
                return error
            finally:
                connection.close()

        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(run_one, calls))

    return run
