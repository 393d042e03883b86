"""Deliveries of a message that a task does together, and what one of them that fails spoils."""

import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import pytest
from celery import current_app
from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.db.models.functions import Now

from twitter.base.observe import tracing
from twitter.outbox import events, relay, tasks
from twitter.outbox.events import Event, Subscription, publish
from twitter.outbox.models import Delivery
from twitter.outbox.tasks import task

pytestmark = pytest.mark.django_db(transaction=True)

# What happens to these numbers.
POISON, KILLER, STRANGE, SLOW = 666, 9, 5, 90
together: list[list[int]] = []
alone: list[int] = []


@dataclass(frozen=True, kw_only=True)
class Happened(Event):
    name: ClassVar[str] = "tests.together"
    number: int


def _check(numbers: list[int]) -> None:
    if POISON in numbers:
        raise ValueError("poison")
    if KILLER in numbers:
        raise KeyboardInterrupt  # as a kill: nothing is noted and nothing settled
    if SLOW in numbers:
        raise SoftTimeLimitExceeded


def _all(several: list[Happened]) -> list[Happened]:
    """Do all but those above a thousand."""
    together.append(sorted(event.number for event in several))
    _check(together[-1])
    return [event for event in several if event.number < 1_000]


@task(together=_all)
def note(event: Happened, *, left: int = 1) -> dict | None:
    """Take two steps."""
    _check([event.number])
    alone.append(event.number)
    return {"left": left - 1} if left else None


@task()
def plain(event: Happened) -> None:
    pass


@pytest.fixture(autouse=True)
def table(monkeypatch):
    together.clear()
    alone.clear()

    def subscribe(name: str = "note", *, at_once: bool = False) -> None:
        subscription = Subscription(task=f"{__name__}.{name}", at_once=at_once)
        monkeypatch.setattr(events, "subscriptions", lambda: {Happened: [subscription]})

    subscribe()
    return subscribe


def _publish(*numbers: int) -> list[int]:
    with transaction.atomic():
        publish(*(Happened(number=number) for number in numbers))
    return list(Delivery.objects.order_by("id").values_list("id", flat=True))


def _run(delivery_ids: list[int]) -> None:
    current_app.tasks[f"{__name__}.note"](delivery_ids=delivery_ids)


def _run_what_waits() -> None:
    _run(list(Delivery.objects.filter(failed_at=None).values_list("id", flat=True)))


def test_deliveries_are_begun_done_and_settled_together_however_many_they_are(sql_statements):
    ids = _publish(*range(20, 50))
    sql_statements.clear()
    _run(ids)
    assert together == [list(range(20, 50))]
    assert alone == []
    assert [sql.split()[0] for sql in sql_statements] == ["UPDATE", "DELETE"]
    assert not Delivery.objects.exists()


def test_a_message_that_comes_again_looks_once_and_does_nothing(sql_statements):
    ids = _publish(*range(20, 50))
    _run(ids)
    sql_statements.clear()
    _run(ids)
    assert len(together) == 1
    assert [sql.split()[0] for sql in sql_statements] == ["UPDATE", "SELECT"]


def test_what_fails_in_a_set_fails_by_itself_and_ends_as_a_dead_letter(settings, caplog):
    settings.OUTBOX_MAX_ATTEMPTS = 3
    _run(_publish(1, POISON, 2))
    assert together == [[1, 2, POISON]]
    assert alone == [1, 2]
    poisoned = Delivery.objects.get(payload__number=POISON)
    assert poisoned.last_error == "ValueError: poison"
    assert poisoned.attempts == 1
    assert poisoned.due_at > poisoned.created_at
    assert "a set of 3 is done one by one: ValueError" in caplog.text
    _publish(3)
    _run_what_waits()  # the others at their second step, a new one, and the poisoned one
    assert together == [[1, 2, POISON], [3]]
    assert sorted(alone) == [1, 1, 2, 2]
    _run_what_waits()
    poisoned.refresh_from_db()
    assert poisoned.attempts == 3
    assert poisoned.failed_at is not None
    assert Delivery.objects.count() == 1


def test_what_a_killed_worker_had_in_hand_goes_one_by_one(settings):
    settings.OUTBOX_MAX_ATTEMPTS = 3
    ids = _publish(1, KILLER, 2)
    for _ in range(6):  # the message comes again and again
        with contextlib.suppress(KeyboardInterrupt):
            _run(ids)
    assert together == [[1, 2, KILLER]]
    assert sorted(alone) == [1, 1, 2, 2]
    assert Delivery.objects.get().payload == {"number": KILLER}
    assert Delivery.objects.get().failed_at is not None


def test_a_set_that_takes_too_long_is_left_and_goes_one_by_one_in_another_run():
    ids = _publish(1, SLOW)
    with pytest.raises(SoftTimeLimitExceeded):
        note(delivery_ids=ids)
    assert alone == []
    assert Delivery.objects.filter(due_at__lte=Now(), attempts=1).count() == 2
    note(delivery_ids=ids)
    assert (len(together), alone) == (1, [1])


def test_what_cannot_be_read_does_not_spoil_the_others():
    ids = _publish(1, 2, 3, 4)
    unknown, later, broken = (Delivery.objects.filter(id=number) for number in ids[:3])
    unknown.update(event="tests.unheard_of")
    later.update(payload={"number": 2, "version": 2})
    broken.update(payload={})
    _run(ids)
    assert together == [[4]]
    assert [one.last_error for one in Delivery.objects.order_by("id")] == [
        "UnreadableEvent: tests.unheard_of",
        "UnreadableEvent: tests.together of version 2",
        "TypeError: Happened.__init__() missing 1 required keyword-only argument: 'number'",
    ]


def test_what_the_set_leaves_goes_in_steps_and_comes_in_no_set_again():
    ids = _publish(1, 1_001, 2)
    _run(ids)
    assert together == [[1, 2, 1_001]]
    assert alone == [1_001]
    assert Delivery.objects.get().payload == {"number": 1_001, "left": 0}
    assert Delivery.objects.get().attempts == 0
    _run(ids)
    assert len(together) == 1
    assert alone == [1_001, 1_001]
    assert not Delivery.objects.exists()


def test_a_message_does_no_more_one_by_one_than_one_without_a_set(monkeypatch):
    nudges = []
    monkeypatch.setattr(tasks, "nudge", lambda: nudges.append(None))
    ids = _publish(*range(2_000, 2_050))
    Delivery.objects.update(due_at=Now() + timedelta(hours=1), sends=1)  # as when sent
    _run(ids)
    assert len(alone) == tasks.MESSAGE_SIZE
    left = Delivery.objects.exclude(payload__number__in=alone)
    assert left.filter(due_at__lte=Now(), sends=0).count() == 30
    assert len(nudges) == tasks.MESSAGE_SIZE + 1, "for each that goes on, and for those left"
    done = list(alone)
    _run(list(left.values_list("id", flat=True)))
    assert len(together) == 1, "they would be left again"
    assert len(set(alone) - set(done)) == tasks.MESSAGE_SIZE
    while Delivery.objects.exists():
        _run_what_waits()
    assert sorted(alone) == sorted([*range(2_000, 2_050)] * 2)


def test_a_message_carries_more_of_a_task_that_does_them_together(table, monkeypatch):
    sizes = []
    for name in ("note", "plain"):
        monkeypatch.setattr(
            current_app.tasks[f"{__name__}.{name}"],
            "apply_async",
            lambda kwargs, retry: sizes.append(len(kwargs["delivery_ids"])),
        )
    _publish(*range(120))
    table("plain")
    _publish(*range(30))
    assert relay.send_due() == 150
    assert sizes == [100, 20, 20, 10]


def test_at_once_the_function_runs_by_itself(table):
    table(at_once=True)
    _publish(1)
    assert (alone, together) == ([1], [])


def test_each_delivery_of_a_set_is_measured_with_its_share(counted):
    labels = {"task": f"{__name__}.note"}
    _run(_publish(*range(20, 50)))
    assert counted("twitter_tasks_total", **labels, outcome="done") == 30
    assert counted("twitter_task_duration_seconds_count", **labels) == 30
    assert counted("twitter_outbox_lag_seconds_count", **labels) == 30
    seconds = counted("twitter_task_duration_seconds_sum", **labels)
    lag = counted("twitter_outbox_lag_seconds_sum", **labels)
    assert 0 < 30 * seconds < lag, "all waited for the whole set, which ran once"


def test_each_traced_delivery_of_a_set_has_its_span(monkeypatch):
    spans = []

    def span(name, *, parent=None, since=None, **attributes):
        spans.append((name, parent, attributes))
        assert since is None or since > 0
        return contextlib.nullcontext()

    ids = _publish(1, 2, 1_001)
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    Delivery.objects.exclude(id=ids[0]).update(traceparent=traceparent)
    monkeypatch.setattr(tracing, "span", span)
    _run(ids)
    name = f"process {__name__}.note"
    assert sorted(spans, key=lambda one: one[2]["delivery_id"]) == [
        (name, None, {"delivery_id": ids[0], "together": 2, "number": 1}),
        (name, traceparent, {"delivery_id": ids[1], "together": 2, "number": 2}),
        (name, traceparent, {"delivery_id": ids[2]}),
    ]
