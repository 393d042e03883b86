"""What a task of the outbox is: it settles its delivery when it is done."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import wraps
from typing import Any

from celery import shared_task
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from twitter.lib import redis
from twitter.lib.health import HEARTBEAT_KEY
from twitter.outbox.events import nudge
from twitter.outbox.models import Delivery

HEARTBEAT_SECONDS = 30

logger = logging.getLogger(__name__)

Work = Callable[..., Mapping[str, Any] | None]


def task(*, atomic: bool = False) -> Callable[[Work], Any]:
    """Make a function a Celery task that the outbox may deliver.

    The function takes the event's facts as keyword arguments and may run more than once.

    - It returns None when all is done: the delivery is settled. Or it returns arguments, which
      replace those of the delivery, and goes on with them later: long work in bounded steps.
    - `atomic`: function and settlement share one transaction, so that what the function does in
      Postgres happens exactly once.
    - What it raises is noted and tried again with growing delay, OUTBOX_MAX_ATTEMPTS times.
    """

    def decorate(function: Work) -> Any:
        name = f"{function.__module__}.{function.__name__}"

        @wraps(function)
        def run(*, delivery_ids: Sequence[int] = (), **facts: Any) -> Mapping[str, Any] | None:
            if not delivery_ids:  # by the writer, who settles it if nothing is left to do
                return function(**facts)
            for delivery_id in delivery_ids:
                if (current := _begin(delivery_id)) is not None:
                    _deliver(function, delivery_id=delivery_id, facts=current, atomic=atomic)
            return None

        return shared_task(name=name)(run)

    return decorate


def _begin(delivery_id: int) -> dict[str, Any] | None:
    """Count the attempt; return the task's arguments, or None when it is settled or given up.

    Counted before the work, in a transaction of its own, so that a task that kills its worker
    comes to an end as well. The arguments are those of the row: a message may be older.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {Delivery._meta.db_table} SET attempts = attempts + 1,"
            " failed_at = CASE WHEN attempts >= %s THEN now() END"
            " WHERE id = %s AND failed_at IS NULL RETURNING failed_at IS NULL, payload",
            [settings.OUTBOX_MAX_ATTEMPTS, delivery_id],
        )
        row = cursor.fetchone()
    if row is None or not row[0]:
        return None
    facts: dict[str, Any] = json.loads(row[1])
    return facts


def _deliver(function: Work, *, delivery_id: int, facts: dict[str, Any], atomic: bool) -> None:
    try:
        if atomic:
            with transaction.atomic():
                # A second run of the same delivery waits here, and then finds nothing to do.
                if _settle(delivery_id):
                    function(**facts)
            return
        rest = function(**facts)
    except Exception as error:
        logger.exception("delivery %s failed", delivery_id)
        _note_failure(delivery_id, error)
        return
    if rest is None:
        _settle(delivery_id)
    else:
        Delivery.objects.filter(id=delivery_id).update(
            payload=dict(rest), attempts=0, sends=0, due_at=Now()
        )
        nudge()


def _settle(delivery_id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {Delivery._meta.db_table} WHERE id = %s", [delivery_id])
        return bool(cursor.rowcount)


def _note_failure(delivery_id: int, error: Exception) -> None:
    delivery = Delivery.objects.filter(id=delivery_id).first()
    if delivery is None:
        return
    # The class and message only: a traceback may quote what people wrote.
    delivery.last_error = f"{type(error).__name__}: {error}"[:1_000]
    if delivery.attempts >= settings.OUTBOX_MAX_ATTEMPTS:
        Delivery.objects.filter(id=delivery_id).update(
            last_error=delivery.last_error, failed_at=Now()
        )
    else:
        delay = timedelta(seconds=min(2**delivery.attempts, 600))
        Delivery.objects.filter(id=delivery_id).update(
            last_error=delivery.last_error, due_at=Now() + delay
        )


@shared_task
def heartbeat() -> None:
    """Show that relay, broker and worker pass work on; `/auth/healthz?ready=1` looks for it."""
    redis.client().set(HEARTBEAT_KEY, b"1", ex=HEARTBEAT_SECONDS)
