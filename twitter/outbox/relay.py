"""Sending what is due to Celery."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from amqp.exceptions import MessageNacked
from celery import current_app
from django.conf import settings
from django.db import DatabaseError, connection
from kombu.exceptions import OperationalError
from redis import RedisError

from twitter.base.observe import metrics, tracing
from twitter.outbox.models import Delivery
from twitter.outbox.tasks import MESSAGE_SIZE, due_again

logger = logging.getLogger(__name__)

# An array, so that the rows are chosen once. With IN, PostgreSQL may choose them again for each row
# of a table that its statistics call empty, as autovacuum mostly finds this one.
_CLAIM = f"""
    UPDATE {Delivery._meta.db_table} SET
        sends = least(sends + 1, 1000),
        due_at = now() + make_interval(secs => %s * 2 ^ least(sends, 6))
    WHERE id = ANY (ARRAY(
        SELECT id FROM {Delivery._meta.db_table}
        WHERE due_at <= now() AND failed_at IS NULL
        ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED))
    RETURNING task, id, traceparent"""


def send_due(*, limit: int = 500) -> int:
    """Send up to `limit` due deliveries, oldest first; returns how many.

    They are claimed before they are sent: should the process die in between, they are sent when
    they are due again. So are those of a task that only newer code has. Raises one of
    `passing_errors` when the broker is out of reach or does not take a message; what was not sent
    is then due at once.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [settings.OUTBOX_RESEND_SECONDS, limit])
        claimed = sorted(cursor.fetchall())
    traceparents = {delivery_id: traceparent for _, delivery_id, traceparent in claimed}
    unsent = set(traceparents)
    for name, ids in _messages(claimed):
        try:
            with tracing.spans(f"send {name}", parents=map(traceparents.get, ids)):
                current_app.tasks[name].apply_async(kwargs={"delivery_ids": ids}, retry=False)
        except Exception:
            due_again(list(unsent))
            raise
        metrics.sent(name, len(ids))
        unsent -= set(ids)
    return len(claimed)


def passing_errors() -> tuple[type[BaseException], ...]:
    """Return what is raised while PostgreSQL, Redis or the broker is away, or refuses a message.

    kombu's own error stands for others only while it connects: a connection that breaks under a
    message raises what the broker's library does.
    """
    broker = current_app.connection_for_write()
    return (
        *(DatabaseError, RedisError, OperationalError, MessageNacked),
        *broker.connection_errors,
        *broker.channel_errors,
    )


def distrust_broker() -> None:
    """Have all that was sent and is not settled sent again: the broker may have lost it.

    What it has not lost comes twice, which does no harm.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {Delivery._meta.db_table} SET due_at = now(), sends = 0"
            " WHERE sends > 0 AND due_at > now() AND failed_at IS NULL AND last_error = ''"
        )


def _messages(claimed: Iterable[tuple[str, int, Any]]) -> Iterator[tuple[str, list[int]]]:
    ids_of = defaultdict(list)
    for name, delivery_id, _ in claimed:
        ids_of[name].append(delivery_id)
    for name, ids in ids_of.items():
        if name not in current_app.tasks:
            logger.warning("%s is left to a newer relay", name)
            continue
        size = getattr(current_app.tasks[name], "message_size", MESSAGE_SIZE)
        for start in range(0, len(ids), size):
            yield name, ids[start : start + size]
