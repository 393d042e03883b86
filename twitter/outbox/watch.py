"""Looking at what waits, for metrics: the outbox in PostgreSQL, and the broker's queues."""

import logging
import threading
import time

from celery import current_app
from django.db import connection
from kombu.exceptions import ChannelError

from twitter.base.observe import metrics
from twitter.outbox.models import Delivery

LOOK_SECONDS = 3.0
STATES = ("due", "failing", "later", "sent")
# More are not counted: looking must be cheap above all when there are many.
MOST = 100_000

# What is due waits for the relay, what was sent for a worker, what is failing for its next attempt,
# the rest for its time.
_WAITING = f"""
    SELECT state, count(*),
        extract(epoch FROM now() - min(CASE state WHEN 'due' THEN due_at ELSE created_at END))
    FROM (
        SELECT due_at, created_at, CASE
            WHEN due_at <= now() THEN 'due'
            WHEN last_error <> '' THEN 'failing'
            WHEN sends = 0 THEN 'later'
            ELSE 'sent' END AS state
        FROM {Delivery._meta.db_table} WHERE failed_at IS NULL
        ORDER BY due_at LIMIT {MOST}) AS waiting
    GROUP BY state"""
_DEAD = f"SELECT count(*) FROM {Delivery._meta.db_table} WHERE failed_at IS NOT NULL"

logger = logging.getLogger(__name__)


def begin() -> None:
    """Look every few seconds, in a thread that the relay does not wait for; not without metrics."""
    if metrics.instruments:
        threading.Thread(target=_watch, name="watch", daemon=True).start()


def _watch() -> None:
    while True:
        for look in (look_at_outbox, look_at_queues):
            try:
                look()
            except Exception as error:  # noqa: BLE001 - whatever it is, it may be over soon
                logger.warning("%s: %s", look.__name__, type(error).__name__)
                connection.close()
        time.sleep(LOOK_SECONDS)


def look_at_outbox() -> None:
    """Tell metrics what waits by state, and what was given up."""
    states, dead = outbox()
    metrics.outbox_is(states, dead=dead)


def look_at_queues() -> None:
    """Tell metrics how many messages wait in each queue."""
    for queue, messages in queue_lengths().items():
        metrics.queue_is(queue, messages)


def outbox() -> tuple[dict[str, tuple[int, float]], int]:
    """Return the number of deliveries in each state, and the seconds since the oldest's time.

    Also return how many were given up. Of those that wait, no more than MOST are counted.
    """
    with connection.cursor() as cursor:
        cursor.execute(_WAITING)
        found = {state: (number, float(age)) for state, number, age in cursor.fetchall()}
        cursor.execute(_DEAD)
        [(dead,)] = cursor.fetchall()
    return {state: found.get(state, (0, 0.0)) for state in STATES}, dead


def queue_lengths() -> dict[str, int]:
    """Ask the broker, whichever it is, how many messages wait in each queue."""
    lengths = {}
    with current_app.connection_or_acquire() as broker:
        for queue in queues():
            # A channel for each: AMQP closes one that asks for a queue which is not there.
            with broker.channel() as channel:
                try:
                    lengths[queue] = channel.queue_declare(queue, passive=True).message_count
                except ChannelError:  # not found: nothing was sent or fetched yet
                    lengths[queue] = 0
    return lengths


def queues() -> list[str]:
    """Return the names of the queues that tasks are sent to."""
    conf = current_app.conf
    return sorted({conf.task_default_queue, *(to["queue"] for to in conf.task_routes.values())})
