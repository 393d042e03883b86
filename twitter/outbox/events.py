"""Events: publishing them, storing them in rows, and the table of their subscribers.

The table is `settings.OUTBOX_EVENTS`, a module above all apps, because the outbox knows none.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils.module_loading import import_string

from twitter.base.data import redis, resp
from twitter.base.observe import tracing
from twitter.outbox.models import Delivery

NUDGE_CHANNEL = "outbox:nudge"
# For so long the relay leaves alone a delivery that runs at once: time to run it, and to settle it.
AT_ONCE_SECONDS = 5
# The key of a payload that names the event's version; a payload without it is of version 1.
VERSION = "version"

# A lost settlement only means that a task runs again, so this does not wait for the disk.
_SETTLE = f"""
    WITH unsynced AS (SELECT set_config('synchronous_commit', 'off', true))
    DELETE FROM {Delivery._meta.db_table} USING unsynced WHERE id = ANY(%s)"""

logger = logging.getLogger(__name__)


class UnreadableEvent(Exception):
    """A row's event is unknown here, or of a later version: newer code must run it."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact, past tense. A subclass is a frozen dataclass of ids, and has a name of its own.

    Rows outlast a deployment, and the code before and after it reads the same rows. So a field that
    is added has a default, for the rows written before; code that does not know it ignores it; and
    a field goes one release after the last code that needs it.

    `version` is raised only when a field that stays means something else. `upcast` then translates
    earlier rows, and earlier code leaves later rows alone: they wait for a worker of the new code.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1

    @classmethod
    def upcast(cls, facts: Mapping[str, Any], *, version: int) -> Mapping[str, Any]:
        """Return the fields of a row of an earlier version as this one has them."""
        raise NotImplementedError(f"{cls.name}: nothing reads version {version} any more")

    @classmethod
    def read(cls, payload: Mapping[str, Any]) -> Self:
        """Return the event that a payload holds; other keys of the payload are ignored.

        Raises UnreadableEvent when the payload is of a later version.
        """
        version = payload.get(VERSION, 1)
        if version > cls.version:
            raise UnreadableEvent(f"{cls.name} of version {version}")
        facts = payload if version == cls.version else cls.upcast(payload, version=version)
        names = {field.name for field in fields(cls)}
        return cls(**{name: facts[name] for name in names & facts.keys()})

    def payload(self) -> dict[str, Any]:
        """Return what a row holds: the fields, and the version if it is not the first.

        Flat, and of version 1 without a version, as rows were before events had versions.
        """
        facts = asdict(self)
        return facts if self.version == 1 else {**facts, VERSION: self.version}


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """A task that runs because of an event.

    `in_transaction`: it is called in the writer's transaction and has no delivery: what it does is
    committed with the event or not at all. For small changes of Postgres and nothing else.
    `at_once`: it is called in the writer's process, right after commit and before the answer goes
    out, so that the actor's next read shows what the actor did. If that went well, its delivery is
    settled; if not, the relay sends it AT_ONCE_SECONDS after it was published.
    `delay`: its delivery is due so many seconds after the event, not at once.
    `best_effort`: it is called like `at_once`, and has no delivery, for it does a part of what
    another subscriber will do in any case.
    """

    task: str
    in_transaction: bool = False
    at_once: bool = False
    delay: float = 0
    best_effort: bool = False

    @property
    def due_after(self) -> float:
        """Seconds from the event until the relay sends it."""
        return AT_ONCE_SECONDS if self.at_once else self.delay


Table = Mapping[type[Event], Sequence[Subscription]]


def subscriptions() -> Table:
    """Return the table of the project: each event, and who subscribes to it."""
    table: Table = import_string(f"{settings.OUTBOX_EVENTS}.SUBSCRIPTIONS")
    return table


def read(name: str, payload: Mapping[str, Any]) -> Event:
    """Return the event of this name that a payload holds.

    Raises UnreadableEvent when the table has no such event, or an earlier version of it.
    """
    for event_type in subscriptions():
        if event_type.name == name:
            return event_type.read(payload)
    raise UnreadableEvent(name)


def periodic_tasks() -> Mapping[str, float]:
    """Return the project's clock: task name to the seconds between two runs."""
    table: Mapping[str, float] = import_string(f"{settings.OUTBOX_EVENTS}.EVERY")
    return table


@dataclass(frozen=True)
class _Due:
    subscription: Subscription
    event: Event


def publish(*events: Event) -> None:
    """Record, within the running transaction, what must happen because of `events`.

    Raises TransactionManagementError outside of a transaction: an event without its fact, or a
    fact without its event, must not be stored.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "publish() belongs inside transaction.atomic()"
        )
    table = subscriptions()
    due = [
        _Due(subscription=subscription, event=event)
        for event in events
        for subscription in table.get(type(event), ())
    ]
    best_effort = [one for one in due if one.subscription.best_effort]
    with tracing.span("publish", events=[event.name for event in events]):
        recorded = []
        for one in due:
            if one.subscription.in_transaction:
                import_string(one.subscription.task).run(one.event)
            elif not one.subscription.best_effort:
                recorded.append(one)
        deliveries = dict(zip(_record(recorded), recorded, strict=True)) if recorded else {}
    if deliveries or best_effort:
        transaction.on_commit(partial(_after_commit, deliveries, best_effort))


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
                    one.subscription.task,
                    json.dumps(one.event.payload()),
                    one.subscription.due_after,
                    traceparent,
                )
            ],
        )
        return [row[0] for row in cursor.fetchall()]


def _after_commit(deliveries: Mapping[int, _Due], best_effort: Sequence[_Due]) -> None:
    for due in best_effort:
        _ran(due)
    at_once = {number: due for number, due in deliveries.items() if due.subscription.at_once}
    done = [number for number, due in at_once.items() if _ran(due)]
    if not all(due.subscription.due_after for due in deliveries.values()):
        nudge()
    if done:
        _settle(done)


def _ran(due: _Due) -> bool:
    try:
        with tracing.span(f"run {due.subscription.task}"):
            return import_string(due.subscription.task).run(due.event) is None
    except Exception:
        logger.exception("%s is left to the relay", due.subscription.task)
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
