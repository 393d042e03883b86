"""TERM, or a lost broker, while worker and relay work, as `make run` starts them.

What they have begun is done to its end.

What TERM does to the web servers is in test_web_servers.py.
"""

import base64
import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import redis
from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count

from accounts.models import Account, AccountCounterDelta
from deploy.local.run import PROCESSES
from tests.conftest import WORKER
from tests.deploy.stack import ROOT
from twitter.outbox.management.commands.relay import BATCH
from twitter.outbox.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = "accounts.tasks.count_imported"
# A Redis database that no other test process takes; conftest.py gives them those from 2 on.
BROKER = f"{settings.REDIS_URL.rpartition('/')[0]}/{40 + WORKER}"


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    """Return the database of the messages, the others' being empty of them."""
    with redis.Redis.from_url(BROKER) as client:
        client.flushdb()
        yield client
        client.flushdb()


@contextlib.contextmanager
def process(name: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of the service's processes on the servers and the database of this test."""
    database = os.environ["DATABASE_URL"].rpartition("/")[0]
    environment = os.environ | {
        "DATABASE_URL": f"{database}/{connection.settings_dict['NAME']}",
        "REDIS_URL": settings.CACHES["default"]["LOCATION"],
        "CELERY_BROKER_URL": BROKER,
    }
    with log.open("wb") as output:
        started = subprocess.Popen(
            PROCESSES[name], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def wait_for(condition: Callable[[], object], *, log: Path) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.005)


def messages(broker: redis.Redis) -> list[list[int]]:
    """Return which deliveries the messages in the queue are for, each message's in a list."""
    bodies = [json.loads(message)["body"] for message in broker.lrange("default", 0, -1)]
    facts = [json.loads(base64.b64decode(body))[1] for body in bodies]
    return [each["delivery_ids"] for each in facts if "delivery_ids" in each]


def imported(make_account: Callable[[str], int], *, authors: int) -> dict[int, int]:
    """Make a delivery of COUNT for each of so many authors; return its id to the author's."""
    author_of = {}
    for _ in range(authors):
        author = make_account(f"author_{Account.objects.count()}")
        delivery = Delivery.objects.create(
            event="tweets.tweets_imported", task=COUNT, payload={"author_ids": [author]}
        )
        author_of[delivery.pk] = author
    return author_of


def send(delivery_ids: Iterable[int]) -> None:
    """Send a message of COUNT for each delivery."""
    with current_app.connection_for_write(url=BROKER) as sending:
        for delivery_id in delivery_ids:
            current_app.tasks[COUNT].apply_async(
                kwargs={"delivery_ids": [delivery_id]}, connection=sending
            )


@contextlib.contextmanager
def two_begun(delivery_ids: Iterable[int], *, log: Path) -> Iterator[None]:
    """Send deliveries to a worker; two have begun, and wait until the context ends."""
    wait_for(lambda: " ready" in log.read_text(), log=log)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {AccountCounterDelta._meta.db_table}")
        send(delivery_ids)
        wait_for(lambda: Delivery.objects.filter(attempts=1).count() == 2, log=log)
        yield


def test_a_worker_ends_the_tasks_it_has_begun_and_gives_the_others_back(
    broker, make_account, tmp_path
):
    """Two tasks run at once, as `--concurrency` says; both wait for a lock when TERM comes."""
    author_of = imported(make_account, authors=4)
    log = tmp_path / "log"
    with process("worker", log) as worker:
        with two_begun(author_of, log=log):
            worker.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                worker.wait(timeout=0.5)
        assert worker.wait(timeout=30) == 0, log.read_text()
    not_begun = set(Delivery.objects.filter(attempts=0).values_list("pk", flat=True))
    assert len(not_begun) == 2
    assert Delivery.objects.count() == 2, "what was begun is settled"
    assert sorted(messages(broker)) == [[delivery_id] for delivery_id in sorted(not_begun)]
    counted = AccountCounterDelta.objects.values_list("account_id", "tweet_count")
    assert set(counted) == {(author_of[pk], 1) for pk in author_of.keys() - not_begun}


def test_a_worker_that_loses_its_broker_ends_the_tasks_it_has_begun_and_goes_on(
    broker, make_account, tmp_path
):
    """Their messages belong to a connection that is gone, so they cannot be acknowledged."""
    begun = imported(make_account, authors=2)
    log = tmp_path / "log"
    with process("worker", log) as worker:
        with two_begun(begun, log=log):
            lose_connections(broker)
            wait_for(lambda: "Connection to broker lost" in log.read_text(), log=log)
        wait_for(lambda: not Delivery.objects.exists(), log=log)
        later = imported(make_account, authors=1)
        send(later)
        wait_for(lambda: not Delivery.objects.exists(), log=log)
        assert worker.poll() is None, log.read_text()
    counted = AccountCounterDelta.objects.values_list("account_id", "tweet_count")
    assert set(counted) == {(author, 1) for author in (begun | later).values()}


def lose_connections(broker: redis.Redis) -> None:
    """End all connections to the database of the messages but this."""
    own, number = str(broker.client_id()), BROKER.rpartition("/")[2]
    for client in broker.client_list():
        if client["db"] == number and client["id"] != own:
            broker.client_kill_filter(_id=client["id"])


def test_a_relay_ends_between_two_batches(broker, tmp_path):
    """All that it claimed is sent, and what it did not send is due for the next relay."""
    rows = 40 * BATCH
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Delivery._meta.db_table} (event, task, payload, sends, attempts,"
            " last_error) SELECT 'accounts.account_changed', 'accounts.tasks.refresh_account',"
            " jsonb_build_object('account_id', number), 0, 0, ''"
            " FROM generate_series(1, %s) AS number",
            [rows],
        )
    log = tmp_path / "log"
    with process("relay", log) as relay:
        wait_for(Delivery.objects.filter(sends=1).exists, log=log)
        relay.send_signal(signal.SIGTERM)
        assert relay.wait(timeout=30) == 0, log.read_text()
    by_sends = dict(Delivery.objects.values_list("sends").annotate(Count("pk")))
    assert by_sends.keys() == {0, 1}, "TERM came in the middle"
    assert by_sends[1] % BATCH == 0
    sent = sorted(pk for message in messages(broker) for pk in message)
    assert sent == sorted(Delivery.objects.filter(sends=1).values_list("pk", flat=True))
