"""The outbox: a delivery lives until its task is done."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import pytest
from celery import current_app
from django.db import connection, transaction
from django.db.models.functions import Now

from twitter.outbox import checks, events, relay
from twitter.outbox.events import Event, Subscription, publish
from twitter.outbox.models import Delivery
from twitter.outbox.tasks import task

ran: list[int] = []


@dataclass(frozen=True, kw_only=True)
class Happened(Event):
    name: ClassVar[str] = "tests.happened"
    number: int


@task()
def note(event: Happened) -> None:
    ran.append(event.number)


@task()
def fail(event: Happened) -> None:
    ran.append(event.number)
    msg = "no luck"
    raise ValueError(msg)


@task()
def count_down(event: Happened, *, left: int | None = None) -> dict | None:
    left = event.number if left is None else left
    ran.append(left)
    return {"left": left - 1} if left else None


@task(atomic=True)
def write_then_fail(event: Happened) -> None:
    Delivery.objects.create(event="tests.effect", task="none", payload={})
    if event.number == 13:
        raise ValueError


@pytest.fixture(autouse=True)
def table(monkeypatch):
    ran.clear()

    def subscribe(name, *, at_once=False):
        table = {Happened: [Subscription(task=f"{__name__}.{name}", at_once=at_once)]}
        monkeypatch.setattr(events, "subscriptions", lambda: table)

    return subscribe


def _publish(number=1) -> Delivery:
    with transaction.atomic():
        publish(Happened(number=number))
    return Delivery.objects.get(event="tests.happened")


def _publish_one(number: int) -> int:
    with transaction.atomic():
        publish(Happened(number=number))
    return Delivery.objects.latest("id").pk


def _run(delivery: Delivery) -> None:
    current_app.tasks[delivery.task](delivery_ids=[delivery.pk])


@pytest.mark.django_db(transaction=True)
def test_publishing_outside_of_a_transaction_is_an_error():
    with pytest.raises(transaction.TransactionManagementError):
        publish(Happened(number=1))


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_event_leaves_nothing(table):
    table("note", at_once=True)
    with transaction.atomic():
        publish(Happened(number=1))
        transaction.set_rollback(True)
    assert not Delivery.objects.exists()
    assert ran == []


@pytest.mark.django_db(transaction=True)
def test_a_delivery_goes_away_when_it_is_done_and_a_repeat_does_nothing(table):
    table("note")
    delivery = _publish()
    assert ran == []
    _run(delivery)
    _run(delivery)
    assert ran == [1]
    assert not Delivery.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_ran_at_once_after_the_commit_is_settled(table):
    table("note", at_once=True)
    with transaction.atomic():
        publish(Happened(number=1))
        assert ran == []
        assert Delivery.objects.count() == 1
    assert ran == [1]
    assert not Delivery.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_fails_at_once_does_not_reach_the_writer_and_is_due_later(table):
    table("fail", at_once=True)
    delivery = _publish()
    assert ran
    assert relay.send_due() == 0
    _run(delivery)
    assert len(ran) == 2


@pytest.mark.django_db(transaction=True)
def test_a_failing_task_is_tried_again_later_and_ends_as_a_dead_letter(table, settings):
    settings.OUTBOX_MAX_ATTEMPTS = 3
    table("fail")
    delivery = _publish()
    for attempt in (1, 2):
        _run(delivery)
        delivery.refresh_from_db()
        assert delivery.attempts == attempt
        assert delivery.failed_at is None
        assert delivery.due_at > delivery.created_at
        assert delivery.last_error == "ValueError: no luck"
    _run(delivery)
    delivery.refresh_from_db()
    assert delivery.failed_at is not None
    _run(delivery)
    assert len(ran) == 3


@pytest.mark.django_db(transaction=True)
def test_a_task_that_kills_its_worker_every_time_is_given_up(table, settings):
    settings.OUTBOX_MAX_ATTEMPTS = 3
    table("note")
    delivery = _publish()
    Delivery.objects.update(attempts=3)  # begun three times, never ended
    _run(delivery)
    delivery.refresh_from_db()
    assert delivery.failed_at is not None
    assert ran == []
    _run(delivery)
    assert ran == []


@pytest.mark.django_db(transaction=True)
def test_an_old_message_does_not_throw_long_work_back(table):
    table("count_down")
    old = _publish(number=2)
    _run(old)
    _run(old)
    assert ran == [2, 1]


@pytest.mark.django_db(transaction=True)
def test_long_work_goes_on_with_what_it_returned(table):
    table("count_down")
    delivery = _publish(number=2)
    for kept in ({}, {"left": 1}, {"left": 0}):
        delivery.refresh_from_db()
        assert delivery.payload == {"number": 2, **kept}
        _run(delivery)
    assert ran == [2, 1, 0]
    assert not Delivery.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_atomic_task_and_its_settlement_happen_together_or_not_at_all(table):
    table("write_then_fail")
    delivery = _publish(number=13)
    _run(delivery)
    assert not Delivery.objects.filter(event="tests.effect").exists()
    Delivery.objects.update(payload={"number": 1})
    delivery.refresh_from_db()
    _run(delivery)
    _run(delivery)
    assert Delivery.objects.filter(event="tests.effect").count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_relay_sends_what_is_due_once_and_again_when_it_is_not_settled(table, monkeypatch):
    sent = []
    monkeypatch.setattr(note, "apply_async", lambda kwargs, retry: sent.append(kwargs))
    table("note")
    delivery = _publish()
    assert relay.send_due() == 1
    assert relay.send_due() == 0
    assert sent == [{"delivery_ids": [delivery.pk]}]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_delivery SET due_at = now()")
    assert relay.send_due() == 1
    assert len(sent) == 2


@pytest.mark.django_db(transaction=True)
def test_what_the_broker_did_not_take_is_due_at_once(table, monkeypatch):
    def refuse(kwargs, retry):
        raise ConnectionError

    monkeypatch.setattr(note, "apply_async", refuse)
    table("note")
    _publish()
    with pytest.raises(ConnectionError):
        relay.send_due()
    monkeypatch.setattr(note, "apply_async", lambda kwargs, retry: None)
    assert relay.send_due() == 1


@pytest.mark.django_db(transaction=True)
def test_what_a_broker_that_was_away_may_have_lost_is_sent_again_at_once(table, monkeypatch):
    """Deliveries that wait for their next try, or were never sent, are left alone."""
    sent = []
    monkeypatch.setattr(note, "apply_async", lambda kwargs, retry: sent.append(kwargs))
    table("note")
    lost, failing, later = (_publish_one(number) for number in range(3))
    Delivery.objects.filter(id=later).update(due_at=Now() + timedelta(hours=1))
    assert relay.send_due() == 2
    Delivery.objects.filter(id=failing).update(last_error="ValueError: no luck")
    assert relay.send_due() == 0
    relay.distrust_broker()
    assert relay.send_due() == 1
    assert sent[-1] == {"delivery_ids": [lost]}


def test_a_name_in_the_table_that_is_no_task_is_a_failed_check(monkeypatch):
    table = {Happened: [Subscription(task=f"{__name__}.no_such_task")]}
    monkeypatch.setattr(checks, "subscriptions", lambda: table)
    monkeypatch.setattr(checks, "periodic_tasks", lambda: {"no.such.module": 1.0})
    errors = checks.named_tasks_exist()
    assert [error.id for error in errors] == ["outbox.E001"] * 2


def test_the_projects_own_table_names_tasks_only_that_take_their_events():
    assert checks.named_tasks_exist() == checks.tasks_take_their_events() == []
