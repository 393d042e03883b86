"""What a task of the outbox is: it settles its delivery when it is done."""

import inspect
import json
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from functools import cache, wraps
from itertools import islice
from typing import Any, NamedTuple

from celery import current_app, shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from twitter.base.data import redis
from twitter.base.http.health import HEARTBEAT_KEY, WORKER_OUT_SECONDS
from twitter.base.observe import metrics, tracing
from twitter.base.observe.logging import within, without_details
from twitter.outbox.events import Event, nudge, read
from twitter.outbox.models import Delivery

logger = logging.getLogger(__name__)

# Deliveries of one task that a message carries at most; of one that does them together. Few enough
# to be shared among workers, and to be done well within CELERY_TASK_SOFT_TIME_LIMIT: no more than
# MESSAGE_SIZE of a message are done one by one.
MESSAGE_SIZE, SET_SIZE = 20, 100

Work = Callable[..., Mapping[str, Any] | None]
Together = Callable[[Sequence[Any]], Collection[Any]]


class _Begun(NamedTuple):
    """A delivery that is to be done now. `since`: when its event was, by time.perf_counter."""

    event: str
    payload: dict[str, Any]
    since: float
    traceparent: str | None


def task(
    *, atomic: bool = False, together: Together | None = None, former: str = ""
) -> Callable[[Work], Any]:
    """Make a function a Celery task that the outbox may deliver.

    The function takes the event and may run more than once.

    - It returns None when all is done: the delivery is settled. Long work goes in bounded steps:
      what a step returns is kept in the delivery, and given to the next one as keyword arguments
      beside the event; `{}` when the database tells where to go on.
    - `atomic`: function and settlement share one transaction, so that what the function does in
      Postgres happens exactly once.
    - `together`: does the first step of up to SET_SIZE events at once, if that is cheaper. It takes
      the events and returns those that it has done, which are settled. The function does the
      others, one by one, and all of them if `together` raises an error: so what fails, fails by
      itself. It is not for tasks that are `atomic`, and may run more than once as well.
    - If it raises an error, that is noted, and it is tried again with growing delay,
      OUTBOX_MAX_ATTEMPTS times.
    - `former`: the name that rows of the release before have for it. It goes one release later.
    """

    def decorate(function: Work) -> Any:
        @wraps(function)
        def run(
            event: Event | None = None, *, delivery_ids: Sequence[int] = ()
        ) -> Mapping[str, Any] | None:
            if event is not None:  # by the writer, who settles it if nothing is left to do
                return function(event)
            fresh = _begin(delivery_ids, most=0)
            tried = _waiting([number for number in delivery_ids if number not in fresh])
            if together:
                fresh = _deliver_set(function, together, fresh)
            rest = [*fresh, *tried]
            _leave(rest[MESSAGE_SIZE:])
            mine = dict(islice(fresh.items(), MESSAGE_SIZE))
            _deliver_all(function, mine, atomic=atomic)
            for delivery_id in rest[len(fresh) : MESSAGE_SIZE]:
                begun = _begin([delivery_id], most=settings.OUTBOX_MAX_ATTEMPTS)
                _deliver_all(function, begun, atomic=atomic)
            return None

        options: dict[str, Any] = {"message_size": SET_SIZE} if together else {}
        if former:
            _registered(run, former, options)
        return _registered(run, _name_of(function), options)

    return decorate


def _registered(run: Callable[..., Any], name: str, options: Mapping[str, Any]) -> Any:
    return shared_task(name=name, **options)(run)  # type: ignore[no-untyped-call]


def periodic_in_steps(step: Callable[[], bool]) -> Any:
    """Make a function a periodic task that takes one bounded step after the other.

    The function takes a step and returns whether there may be more. Then the next step is sent at
    once, to the end of the queue, until nothing is left. A step that fails is left to the next
    period.
    """
    name = f"{step.__module__}.{step.__name__}"

    @wraps(step)
    def run() -> None:
        if step():
            current_app.tasks[name].apply_async(retry=False)

    return shared_task(name=name)(run)


def _name_of(function: Work) -> str:
    return f"{function.__module__}.{function.__name__}"


def _begin(delivery_ids: Sequence[int], *, most: int) -> dict[int, _Begun]:
    """Count an attempt of each delivery that was tried `most` times at most; return these.

    Deliveries that are settled or given up are left out. An attempt is counted before the work, in
    a transaction of its own, so that a task that kills its worker is given up as well. Deliveries
    without an attempt are begun and settled together. After a kill these have an attempt, and each
    runs by itself, so that none is given up because of another. Event and step are those of the
    row: a message may be older.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {Delivery._meta.db_table} SET attempts = attempts + 1,"
            " failed_at = CASE WHEN attempts >= %s THEN now() END"
            " WHERE id = ANY(%s) AND failed_at IS NULL AND attempts <= %s"
            " RETURNING id, failed_at IS NULL, event, payload,"
            " extract(epoch FROM clock_timestamp() - created_at), traceparent",
            [settings.OUTBOX_MAX_ATTEMPTS, list(delivery_ids), most],
        )
        now = time.perf_counter()
        return {
            delivery_id: _Begun(event, json.loads(payload), now - float(age), traceparent)
            for delivery_id, may_run, event, payload, age, traceparent in cursor.fetchall()
            if may_run
        }


def _waiting(delivery_ids: Sequence[int]) -> list[int]:
    """Return which of the deliveries are neither settled nor given up."""
    if not delivery_ids:
        return []
    waiting = Delivery.objects.filter(id__in=delivery_ids, failed_at=None)
    return list(waiting.values_list("id", flat=True))


def _leave(delivery_ids: Sequence[int]) -> None:
    """Have deliveries sent again that would make a message's work too long.

    They may have an attempt, so they do not come in a set again, which would leave them again.
    """
    if delivery_ids:
        due_again(delivery_ids)
        nudge()


def due_again(delivery_ids: Sequence[int]) -> None:
    """Make deliveries due that were sent in vain."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {Delivery._meta.db_table} SET due_at = now(), sends = greatest(sends - 1, 0)"
            " WHERE id = ANY(%s)",
            [list(delivery_ids)],
        )


def _deliver_set(
    function: Work, together: Together, begun: Mapping[int, _Begun]
) -> dict[int, _Begun]:
    """Do what `together` does of deliveries, and settle it; return those that are left."""
    name, started, began = _name_of(function), time.perf_counter(), time.time_ns()
    events = _events_at_first_step(function, begun)
    try:
        done = set(together(list(events.values()))) if events else set()
    except SoftTimeLimitExceeded:  # there is no time left for one by one
        _leave(list(begun))
        raise
    except Exception as error:
        kind = type(error).__name__
        logger.warning("a set of %d is done one by one: %s", len(events), kind, exc_info=True)
        done = set()
    settled = [delivery_id for delivery_id, event in events.items() if event in done]
    _settle(settled)
    now = time.perf_counter()
    for delivery_id in settled:
        one, facts = begun[delivery_id], _numbers(events[delivery_id])
        with tracing.span(
            f"process {name}",
            parent=one.traceparent,
            since=began,
            delivery_id=delivery_id,
            together=len(settled),
            **facts,
        ):
            metrics.task_ran(
                name, metrics.DONE, seconds=(now - started) / len(settled), lag=now - one.since
            )
    return {number: one for number, one in begun.items() if events.get(number) not in done}


def _events_at_first_step(function: Work, begun: Mapping[int, _Begun]) -> dict[int, Event]:
    """Return the events of those deliveries that are readable and kept nothing from a step."""
    kept = kept_between_steps(function)
    events = {}
    for delivery_id, one in begun.items():
        if kept.isdisjoint(one.payload):
            with suppress(Exception):  # By itself it tells what is wrong.
                events[delivery_id] = read(one.event, one.payload)
    return events


def _deliver_all(function: Work, begun: Mapping[int, _Begun], *, atomic: bool) -> None:
    name = _name_of(function)
    done = []
    for delivery_id, one in begun.items():
        started = time.perf_counter()
        trace = {"trace_id": one.traceparent.split("-")[1]} if one.traceparent else {}
        span = tracing.span(f"process {name}", parent=one.traceparent, delivery_id=delivery_id)
        with within(delivery_id=delivery_id, **trace):
            outcome = _deliver(function, one, delivery_id=delivery_id, atomic=atomic, span=span)
        now = time.perf_counter()
        metrics.task_ran(name, outcome, seconds=now - started, lag=now - one.since)
        if outcome == metrics.DONE:
            done.append(delivery_id)
    if not atomic:
        _settle(done)


def _deliver(
    function: Work,
    begun: _Begun,
    *,
    delivery_id: int,
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
                        _step(function, begun)
                return metrics.DONE
            rest = _step(function, begun)
    except Exception as error:
        logger.exception("delivery %s failed", delivery_id)
        _note_failure(delivery_id, error)
        return metrics.FAILED
    if rest is None:
        return metrics.DONE
    Delivery.objects.filter(id=delivery_id).update(
        payload={**begun.payload, **rest}, attempts=0, sends=0, due_at=Now()
    )
    nudge()
    return metrics.CONTINUED


def _step(function: Work, begun: _Begun) -> Mapping[str, Any] | None:
    """Call the function with the event, and with what its last step kept for this one."""
    event = read(begun.event, begun.payload)
    kept = kept_between_steps(function) & begun.payload.keys()
    return function(event, **{name: begun.payload[name] for name in kept})


def _numbers(event: Event) -> dict[str, int]:
    """Return the ids that an event holds, for its span."""
    return {name: value for name, value in vars(event).items() if isinstance(value, int)}


@cache
def kept_between_steps(function: Work) -> frozenset[str]:
    """Return the names of what a step of a task's function keeps for the next."""
    parameters = inspect.signature(function).parameters.values()
    return frozenset(one.name for one in parameters if one.kind is one.KEYWORD_ONLY)


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
    redis.client().set(HEARTBEAT_KEY, int(time.time()), ex=WORKER_OUT_SECONDS)
