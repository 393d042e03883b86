"""Publishing an event, and the table that says who hears it.

The table is `settings.OUTBOX_EVENTS`, a module above all apps, because the outbox knows none.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils.module_loading import import_string

from twitter.lib import redis, resp, tracing
from twitter.outbox.models import Delivery

NUDGE_CHANNEL = "outbox:nudge"
# The relay leaves what runs at once alone for so long: time to run it and to settle its row.
AT_ONCE_SECONDS = 5

# A lost settlement only means that a task runs again, so nobody waits for the disk.
_SETTLE = f"""
    WITH unsynced AS (SELECT set_config('synchronous_commit', 'off', true))
    DELETE FROM {Delivery._meta.db_table} USING unsynced WHERE id = ANY(%s)"""

logger = logging.getLogger(__name__)


class Event(Protocol):
    """A fact, past tense: a frozen dataclass of ids, with the name under which it is heard."""

    name: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Hearer:
    """A task that hears an event.

    `in_transaction`: it is called in the writer's transaction and has no delivery: what it does is
    committed with the event or not at all. For small changes of Postgres and nothing else.
    `at_once`: it is called in the writer's process, right after commit and before the answer goes
    out, so that the actor's next read shows what the actor did. If that went well, its delivery is
    settled; if not, the relay sends it AT_ONCE_SECONDS after it was published.
    `delay`: its delivery is due so many seconds after the event, not at once.
    `hastens`: it is called likewise, and has no delivery, for it does a part of what another hearer
    will do in any case.
    """

    task: str
    in_transaction: bool = False
    at_once: bool = False
    delay: float = 0
    hastens: bool = False

    @property
    def due_after(self) -> float:
        """Seconds from the event until the relay sends it."""
        return AT_ONCE_SECONDS if self.at_once else self.delay


def hearers() -> Mapping[str, Sequence[Hearer]]:
    """Return the table of the project: event name to those who hear it."""
    table: Mapping[str, Sequence[Hearer]] = import_string(f"{settings.OUTBOX_EVENTS}.HEARERS")
    return table


def periodic_tasks() -> Mapping[str, float]:
    """Return the project's clock: task name to the seconds between two runs."""
    table: Mapping[str, float] = import_string(f"{settings.OUTBOX_EVENTS}.EVERY")
    return table


@dataclass(frozen=True)
class _Due:
    hearer: Hearer
    event: Event
    facts: Mapping[str, Any]


def publish(*events: Event) -> None:
    """Record, within the running transaction, what must happen because of `events`.

    Raises TransactionManagementError outside of a transaction: an event without its fact, or a
    fact without its event, must not be stored.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "publish() belongs inside transaction.atomic()"
        )
    table = hearers()
    due = [
        _Due(hearer=hearer, event=event, facts=facts)
        for event, facts in ((event, asdict(event)) for event in events)
        for hearer in table.get(event.name, ())
    ]
    with tracing.span("publish", events=[event.name for event in events]):
        for one in due:
            if one.hearer.in_transaction:
                import_string(one.hearer.task).run(**one.facts)
        recorded = [one for one in due if not (one.hearer.in_transaction or one.hearer.hastens)]
        deliveries = dict(zip(_record(recorded), recorded, strict=True)) if recorded else {}
    hastening = [one for one in due if one.hearer.hastens]
    if deliveries or hastening:
        transaction.on_commit(partial(_after_commit, deliveries, hastening))


def _record(due: Sequence[_Due]) -> list[int]:
    """Insert a delivery for each; returns their ids, in order."""
    row = "(%s, %s, %s, now() + make_interval(secs => %s), 0, 0, '', %s)"
    traceparent = tracing.traceparent()
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Delivery._meta.db_table}"
            " (event, task, payload, due_at, sends, attempts, last_error, traceparent)"
            f" VALUES {', '.join([row] * len(due))} RETURNING id",
            [
                value
                for one in due
                for value in (
                    one.event.name,
                    one.hearer.task,
                    json.dumps(one.facts),
                    one.hearer.due_after,
                    traceparent,
                )
            ],
        )
        return [row[0] for row in cursor.fetchall()]


def _after_commit(deliveries: Mapping[int, _Due], hastening: Sequence[_Due]) -> None:
    for due in hastening:
        _ran(due)
    at_once = {number: due for number, due in deliveries.items() if due.hearer.at_once}
    done = [number for number, due in at_once.items() if _ran(due)]
    if not all(due.hearer.due_after for due in deliveries.values()):
        nudge()
    if done:
        _settle(done)


def _ran(due: _Due) -> bool:
    try:
        with tracing.span(f"run {due.hearer.task}"):
            return import_string(due.hearer.task).run(**due.facts) is None
    except Exception:
        logger.exception("%s is left to the relay", due.hearer.task)
        return False


def _settle(ids: list[int]) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(_SETTLE, [ids])
    except DatabaseError as error:
        logger.warning("done at once, and will be done again by the relay: %s", error)


@redis.without_redis(lambda: None)
def nudge() -> None:
    """Wake the relay, which otherwise looks once a second."""
    resp.exchange(resp.pack("PUBLISH", NUDGE_CHANNEL, b""))
