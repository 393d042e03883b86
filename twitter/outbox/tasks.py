"""What a task of the outbox is: it settles its delivery when it is done."""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import wraps
from typing import Any, NamedTuple

from celery import shared_task
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from twitter.lib import metrics, redis, tracing
from twitter.lib.health import HEARTBEAT_KEY
from twitter.lib.logging import within, without_details
from twitter.outbox.events import nudge
from twitter.outbox.models import Delivery

HEARTBEAT_SECONDS = 30

logger = logging.getLogger(__name__)

Work = Callable[..., Mapping[str, Any] | None]


class _Begun(NamedTuple):
    """A delivery that is to be done now. `age`: seconds since its event."""

    facts: dict[str, Any]
    age: float
    traceparent: str | None


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
        @wraps(function)
        def run(*, delivery_ids: Sequence[int] = (), **facts: Any) -> Mapping[str, Any] | None:
            if not delivery_ids:  # by the writer, who settles it if nothing is left to do
                return function(**facts)
            together = _begin(delivery_ids, most=0)
            _deliver_all(function, together, atomic=atomic)
            for delivery_id in delivery_ids:
                if delivery_id not in together:
                    begun = _begin([delivery_id], most=settings.OUTBOX_MAX_ATTEMPTS)
                    _deliver_all(function, begun, atomic=atomic)
            return None

        return shared_task(name=_name_of(function))(run)

    return decorate


def _name_of(function: Work) -> str:
    return f"{function.__module__}.{function.__name__}"


def _begin(delivery_ids: Sequence[int], *, most: int) -> dict[int, _Begun]:
    """Count an attempt of each delivery that was tried `most` times at most; return these.

    Not of what is settled or given up. Counted before the work, in a transaction of its own, so
    that a task that kills its worker comes to an end as well. Those that nobody has tried are begun
    and settled together; after a kill they have been tried, and go by themselves, so that none is
    given up for another. The facts are those of the row: a message may be older.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {Delivery._meta.db_table} SET attempts = attempts + 1,"
            " failed_at = CASE WHEN attempts >= %s THEN now() END"
            " WHERE id = ANY(%s) AND failed_at IS NULL AND attempts <= %s"
            " RETURNING id, failed_at IS NULL, payload,"
            " extract(epoch FROM clock_timestamp() - created_at), traceparent",
            [settings.OUTBOX_MAX_ATTEMPTS, list(delivery_ids), most],
        )
        return {
            delivery_id: _Begun(json.loads(payload), float(age), traceparent)
            for delivery_id, may_run, payload, age, traceparent in cursor.fetchall()
            if may_run
        }


def _deliver_all(function: Work, begun: Mapping[int, _Begun], *, atomic: bool) -> None:
    name = _name_of(function)
    done = []
    for delivery_id, one in begun.items():
        started = time.perf_counter()
        trace = {"trace_id": one.traceparent.split("-")[1]} if one.traceparent else {}
        span = tracing.span(f"process {name}", parent=one.traceparent, delivery_id=delivery_id)
        with within(delivery_id=delivery_id, **trace):
            outcome = _deliver(
                function, delivery_id=delivery_id, facts=one.facts, atomic=atomic, span=span
            )
        metrics.task_ran(name, outcome, seconds=time.perf_counter() - started, age=one.age)
        if outcome == metrics.DONE:
            done.append(delivery_id)
    if not atomic:
        _settle(done)


def _deliver(
    function: Work,
    *,
    delivery_id: int,
    facts: dict[str, Any],
    atomic: bool,
    span: AbstractContextManager[Any],
) -> str:
    """Do the work in a span, and settle it if it is atomic; return its outcome."""
    try:
        with span:
            if atomic:
                with transaction.atomic():
                    # A second run of the same delivery waits here, and then finds nothing to do.
                    if _settle([delivery_id]):
                        function(**facts)
                return metrics.DONE
            rest = function(**facts)
    except Exception as error:
        logger.exception("delivery %s failed", delivery_id)
        _note_failure(delivery_id, error)
        return metrics.FAILED
    if rest is None:
        return metrics.DONE
    Delivery.objects.filter(id=delivery_id).update(
        payload=dict(rest), attempts=0, sends=0, due_at=Now()
    )
    nudge()
    return metrics.CONTINUED


def _settle(delivery_ids: Sequence[int]) -> int:
    """Delete what is done; return how many there were."""
    if not delivery_ids:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {Delivery._meta.db_table} WHERE id = ANY(%s)", [list(delivery_ids)]
        )
        return int(cursor.rowcount)


def _note_failure(delivery_id: int, error: Exception) -> None:
    delivery = Delivery.objects.filter(id=delivery_id).first()
    if delivery is None:
        return
    # The class and message only: a traceback or PostgreSQL's details may quote what people wrote.
    delivery.last_error = without_details(f"{type(error).__name__}: {error}")[:1_000]
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
