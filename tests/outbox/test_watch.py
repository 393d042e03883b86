"""What metrics are told of the outbox: how tasks ended, what waits where, and for how long."""

from datetime import timedelta

import pytest
import redis as redis_library
from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from tests.conftest import WORKER
from tests.outbox.test_outbox import Happened, count_down, fail, note
from twitter.outbox import events, watch
from twitter.outbox.events import Subscription, publish
from twitter.outbox.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)

# A Redis database that no other test process takes; conftest.py gives them those from 2 on.
BROKER = f"{settings.REDIS_URL.rpartition('/')[0]}/{40 + WORKER}"


def delivery(task, monkeypatch):
    table = {Happened: [Subscription(task=task.name)]}
    monkeypatch.setattr(events, "subscriptions", lambda: table)
    with transaction.atomic():
        publish(Happened(number=1))
    return Delivery.objects.latest("id").pk


@pytest.mark.parametrize(
    ("task", "outcome", "lags"),
    [(note, "done", 1), (fail, "failed", 0), (count_down, "continued", 0)],
)
def test_runs_are_counted_by_how_they_ended(counted, monkeypatch, task, outcome, lags):
    task(delivery_ids=[delivery(task, monkeypatch)])
    assert counted("twitter_tasks_total", task=task.name, outcome=outcome) == 1
    assert counted("twitter_task_duration_seconds_count", task=task.name) == 1
    assert counted("twitter_outbox_lag_seconds_count", task=task.name) == lags


def test_what_waits_is_told_by_state_with_its_age(counted, monkeypatch):
    def stored(seconds, **fields):
        made = Delivery.objects.create(event="e", task="t", payload={})
        Delivery.objects.filter(id=made.pk).update(
            created_at=Now() - timedelta(seconds=seconds), **fields
        )

    later = Now() + timedelta(seconds=60)
    stored(500, due_at=Now() - timedelta(seconds=100))
    stored(5, due_at=Now())
    stored(200, due_at=later, sends=1)
    stored(300, due_at=later, sends=2, attempts=1, last_error="E")
    stored(0, due_at=later)
    stored(900, due_at=later, failed_at=Now())
    watch.look_at_outbox()
    for state, number, age in (
        ("due", 2, 100),
        ("sent", 1, 200),
        ("failing", 1, 300),
        ("later", 1, 0),
    ):
        assert counted("twitter_outbox_deliveries", state=state) == number
        assert counted("twitter_outbox_oldest_seconds", state=state) == pytest.approx(age, abs=30)
    assert counted("twitter_outbox_dead_letters") == 1
    assert counted("twitter_outbox_looked_timestamp_seconds") > 0
    Delivery.objects.all().delete()
    watch.look_at_outbox()
    assert counted("twitter_outbox_deliveries", state="due") == 0
    assert counted("twitter_outbox_oldest_seconds", state="due") == 0


def test_messages_are_counted_and_a_queue_that_is_not_there_is_empty(counted, monkeypatch):
    with redis_library.Redis.from_url(BROKER) as broker:
        broker.flushdb()
        with current_app.connection_for_write(BROKER) as connection:
            monkeypatch.setattr(current_app, "connection_or_acquire", lambda: connection)
            with current_app.amqp.Producer(connection) as producer:
                for _ in range(3):
                    producer.publish({}, routing_key="fan_out", exchange="")
            broker.lpush("default", b"{}")
            watch.look_at_queues()
        broker.flushdb()
    assert watch.queues() == ["default", "fan_out", "heartbeat", "removals"]
    assert counted("twitter_queue_messages", queue="default") == 1
    assert counted("twitter_queue_messages", queue="fan_out") == 3
    assert counted("twitter_queue_messages", queue="heartbeat") == 0
