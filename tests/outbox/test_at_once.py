"""What runs at once: settled by the writer, and delivered by the relay when that did not happen."""

import contextlib
import multiprocessing
import os
import signal
from dataclasses import dataclass
from typing import ClassVar

import pytest
from celery import current_app
from django.db import DataError, connection, connections, transaction

from tests.conftest import take_redis_away
from twitter.base.data import redis as project_redis
from twitter.base.data import resp
from twitter.base.data.parts import Part
from twitter.outbox import events, relay
from twitter.outbox.events import Event, Statement, Subscription, insert_and_publish, publish
from twitter.outbox.models import Delivery
from twitter.outbox.tasks import task

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "tests:noted"
INSERT = """
    INSERT INTO outbox_delivery (event, task, payload, sends, attempts, last_error)
    VALUES ('tests.fact', 'none', to_jsonb(%s), 0, 0, '')
    RETURNING payload::int AS number"""


@dataclass(frozen=True, kw_only=True)
class Happened(Event):
    name: ClassVar[str] = "tests.at_once"
    number: int


@task()
def note(event: Happened) -> None:
    project_redis.client().sadd(KEY, event.number)


@task()
def note_in_steps(event: Happened) -> dict:
    project_redis.client().sadd(KEY, event.number)
    return {}


@task()
def kill(event: Happened) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@task()
def note_or_die(event: Happened) -> None:
    if event.number == 1:
        raise KeyboardInterrupt  # as a kill: nothing is noted and nothing settled
    project_redis.client().sadd(KEY, event.number)


def add(event: Happened) -> Part[list]:
    return Part([resp.pack("SADD", KEY, event.number)], list)


def add_what_is_no_set(event: Happened) -> Part[list]:
    return Part([resp.pack("SET", "tests:none", ""), resp.pack("SADD", "tests:none", 1)], list)


copy = Statement(
    "INSERT INTO outbox_delivery (event, task, payload, sends, attempts, last_error)"
    " SELECT 'tests.copy', 'none', to_jsonb(event), 0, 0, '' FROM event",
    takes=Happened,
)


@task()
def store(event: Happened) -> None:
    payload = {"number": event.number}
    Delivery.objects.create(event="tests.effect", task="none", payload=payload)


@pytest.fixture
def subscribe(monkeypatch):
    def use(*subscribers: tuple[str, str]):
        table = {
            Happened: [
                Subscription(task=f"{__name__}.{name}", **{when: True} if when else {})
                for name, when in subscribers
            ]
        }
        monkeypatch.setattr(events, "subscriptions", lambda: table)

    return use


@pytest.fixture
def nudges(monkeypatch):
    """Return a list that receives for each nudge the parts that share its round trip."""
    sent = []
    exchange = events.parts.exchange

    def note(*wanted):
        if wanted[-1] is events._NUDGE:
            sent.append(wanted[:-1])
        return exchange(*wanted)

    monkeypatch.setattr(events.parts, "exchange", note)
    return sent


@pytest.fixture
def worker(monkeypatch):
    """Return a function that sends what is due, as the relay does, and runs it."""

    def run():
        for name in ("note", "note_in_steps", "kill"):
            registered = current_app.tasks[f"{__name__}.{name}"]
            monkeypatch.setattr(
                registered, "apply_async", lambda kwargs, retry, run=registered.run: run(**kwargs)
            )
        return relay.send_due()

    return run


def _make_due():
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_delivery SET due_at = due_at - interval '5 seconds'")


def _noted(valkey):
    return {int(number) for number in valkey.smembers(KEY)}


def test_several_events_are_settled_by_one_statement_and_nobody_is_nudged(
    subscribe, nudges, valkey, sql_statements
):
    subscribe(("note", "at_once"))
    with transaction.atomic():
        publish(Happened(number=1), Happened(number=2))
    assert _noted(valkey) == {1, 2}
    assert not Delivery.objects.exists()
    assert len([sql for sql in sql_statements if "DELETE" in sql]) == 1
    assert nudges == []


def test_what_the_relay_must_send_is_nudged_for(subscribe, nudges, valkey):
    subscribe(("note", "at_once"), ("note_in_steps", ""))
    with transaction.atomic():
        publish(Happened(number=1))
    assert list(Delivery.objects.values_list("task", flat=True)) == [f"{__name__}.note_in_steps"]
    assert len(nudges) == 1


def test_what_has_more_steps_is_not_settled_after_the_first(subscribe):
    subscribe(("note_in_steps", "at_once"))
    with transaction.atomic():
        publish(Happened(number=1))
    assert Delivery.objects.count() == 1


def test_without_redis_the_delivery_stays_and_the_relay_sends_it_later(
    subscribe, valkey, worker, monkeypatch
):
    subscribe(("note", "at_once"))
    with monkeypatch.context() as without:
        take_redis_away(without)
        with transaction.atomic():
            publish(Happened(number=1))
    assert _noted(valkey) == set()
    assert worker() == 0, "the relay must leave the writer time"
    _make_due()
    assert worker() == 1
    assert _noted(valkey) == {1}
    assert not Delivery.objects.exists()


def test_a_writer_that_is_killed_after_its_commit_leaves_the_delivery(subscribe, valkey, worker):
    subscribe(("kill", "at_once"), ("note", "at_once"))
    connections.close_all()

    def write():
        with transaction.atomic():
            publish(Happened(number=1))

    writer = multiprocessing.get_context("fork").Process(target=write)
    writer.start()
    writer.join(30)
    assert writer.exitcode == -signal.SIGKILL
    assert _noted(valkey) == set()
    assert Delivery.objects.count() == 2
    Delivery.objects.filter(task=f"{__name__}.kill").delete()
    _make_due()
    assert worker() == 1
    assert _noted(valkey) == {1}


def test_the_settlement_alone_does_not_wait_for_the_disk(subscribe):
    subscribe(("note", "at_once"))
    during = []

    def ask(execute, sql, params, many, context):
        if "DELETE" not in sql:
            return execute(sql, params, many, context)
        sql += " RETURNING current_setting('synchronous_commit')"
        result = execute(sql, params, many, context)
        during.extend(context["cursor"].fetchall())
        return result

    with connection.cursor() as cursor, connection.execute_wrapper(ask):
        cursor.execute("SET synchronous_commit = on")
        with transaction.atomic():
            publish(Happened(number=1))
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone() == ("on",)
    assert during == [("off",)]


def test_a_subscriber_in_the_transaction_shares_its_fate_and_has_no_delivery(subscribe, nudges):
    subscribe(("store", "in_transaction"))
    with transaction.atomic():
        publish(Happened(number=1))
        assert Delivery.objects.get().event == "tests.effect"
        transaction.set_rollback(True)
    assert not Delivery.objects.exists()
    with transaction.atomic():
        publish(Happened(number=2))
    assert Delivery.objects.get().payload == {"number": 2}
    assert nudges == []


def test_a_message_carries_several_deliveries_and_one_that_fails_does_not_stop_the_others(
    subscribe, valkey, worker, monkeypatch
):
    subscribe(("note", ""))
    with transaction.atomic():
        publish(*(Happened(number=number) for number in range(45)))
    sizes = []
    run = current_app.tasks[f"{__name__}.note"].run
    Delivery.objects.filter(payload__number=3).update(payload={"number": None})  # sadd refuses it

    def note(kwargs, retry):
        sizes.append(len(kwargs["delivery_ids"]))
        run(**kwargs)

    monkeypatch.setattr(current_app.tasks[f"{__name__}.note"], "apply_async", note)
    assert relay.send_due() == 45
    assert sizes == [20, 20, 5]
    assert _noted(valkey) == set(range(45)) - {3}
    assert Delivery.objects.get().last_error.startswith("DataError")


def test_what_is_best_effort_has_no_delivery_and_shares_the_nudges_round_trip(
    subscribe, nudges, valkey
):
    subscribe(("add", "best_effort"), ("note_in_steps", ""))
    with transaction.atomic():
        publish(Happened(number=1))
        assert Delivery.objects.count() == 1
        assert _noted(valkey) == set()
    assert _noted(valkey) == {1}
    assert [len(others) for others in nudges] == [1]
    with transaction.atomic():
        publish(Happened(number=3))
        transaction.set_rollback(True)
    assert _noted(valkey) == {1}


@pytest.mark.parametrize("number", [None, 2])
def test_what_is_best_effort_hurts_nobody_when_it_fails(subscribe, valkey, number):
    """Whether the commands can't be made, or Redis refuses one."""
    subscribe(("add_what_is_no_set", "best_effort"), ("add", "best_effort"), ("note_in_steps", ""))
    with transaction.atomic():
        publish(Happened(number=number))
    assert Delivery.objects.filter(event="tests.at_once").count() == 1
    assert _noted(valkey) == ({number} if number else set())


def test_a_row_is_stored_and_its_event_published_by_one_statement(
    subscribe, nudges, valkey, sql_statements
):
    subscribe(
        ("copy", "in_transaction"), ("note", ""), ("note_in_steps", ""), ("add", "best_effort")
    )
    event = insert_and_publish(Happened, INSERT, [7])
    assert event == Happened(number=7)
    assert len(sql_statements) == 1
    rows = Delivery.objects.order_by("task").values_list("event", "task", "payload")
    assert list(rows) == [
        ("tests.fact", "none", 7),
        ("tests.copy", "none", {"number": 7}),
        ("tests.at_once", f"{__name__}.note", {"number": 7}),
        ("tests.at_once", f"{__name__}.note_in_steps", {"number": 7}),
    ]
    assert _noted(valkey) == {7}
    assert [len(others) for others in nudges] == [1]


def test_within_a_transaction_what_follows_waits_for_its_commit(subscribe, nudges, valkey):
    subscribe(("copy", "in_transaction"), ("note", ""), ("add", "best_effort"))
    with transaction.atomic():
        insert_and_publish(Happened, INSERT, [7])
        assert Delivery.objects.count() == 3
        transaction.set_rollback(True)
    assert not Delivery.objects.exists()
    with transaction.atomic():
        insert_and_publish(Happened, INSERT, [8])
        assert (_noted(valkey), nudges) == (set(), [])
    assert _noted(valkey) == {8}
    assert len(nudges) == 1


def test_a_statement_that_fails_leaves_nothing(subscribe, nudges, valkey):
    subscribe(("copy", "in_transaction"), ("note", ""), ("add", "best_effort"))
    with pytest.raises(DataError):
        insert_and_publish(Happened, INSERT.replace("%s", "%s / 0"), [7])
    assert not Delivery.objects.exists()
    assert (_noted(valkey), nudges) == (set(), [])


@pytest.mark.parametrize("subscriber", [("store", "in_transaction"), ("note", "at_once")])
def test_who_is_called_can_not_subscribe_to_what_a_statement_publishes(subscribe, subscriber):
    subscribe(subscriber, ("note_in_steps", ""))
    with pytest.raises(TypeError, match=subscriber[0]):
        insert_and_publish(Happened, INSERT, [7])
    assert not Delivery.objects.exists()


def test_a_statement_may_be_published_to_as_well(subscribe):
    subscribe(("copy", "in_transaction"))
    with transaction.atomic():
        publish(Happened(number=1), Happened(number=2))
    copies = Delivery.objects.filter(event="tests.copy").order_by("id")
    assert [each.payload for each in copies] == [{"number": 1}, {"number": 2}]


def test_deliveries_of_a_message_are_begun_and_settled_together(
    subscribe, worker, valkey, sql_statements
):
    subscribe(("note", ""))
    with transaction.atomic():
        publish(*(Happened(number=number) for number in range(20)))
    sql_statements.clear()
    assert worker() == 20
    assert _noted(valkey) == set(range(20))
    assert not Delivery.objects.exists()
    changes = [sql for sql in sql_statements if sql.startswith(("UPDATE", "DELETE"))]
    assert len([sql for sql in changes if "outbox_delivery" in sql]) == 2


def test_who_shared_a_message_with_a_task_that_kills_is_not_given_up_with_it(
    subscribe, valkey, settings
):
    settings.OUTBOX_MAX_ATTEMPTS = 3
    subscribe(("note_or_die", ""))
    with transaction.atomic():
        publish(*(Happened(number=number) for number in range(4)))
    ids = list(Delivery.objects.order_by("id").values_list("id", flat=True))
    for _ in range(5):  # the message comes again and again
        with contextlib.suppress(KeyboardInterrupt):
            current_app.tasks[f"{__name__}.note_or_die"].run(delivery_ids=ids)
    assert _noted(valkey) == {0, 2, 3}
    assert Delivery.objects.get().payload == {"number": 1}
    assert Delivery.objects.get().failed_at is not None
