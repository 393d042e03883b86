"""Events: publishing them, storing them in rows, and the table of their subscribers.

The table is `settings.OUTBOX_EVENTS`, a module above all apps, because the outbox knows none.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from functools import lru_cache, partial
from typing import Any, ClassVar, Self, TypeVar

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils.module_loading import import_string

from twitter.base.data import parts, redis, resp
from twitter.base.data.parts import Part
from twitter.base.observe import tracing
from twitter.outbox.models import Delivery

NUDGE_CHANNEL = "outbox:nudge"
# For so long the relay leaves alone a delivery that runs at once: time to run it, and to settle it.
AT_ONCE_SECONDS = 5
# The key of a payload that names the event's version; a payload without it is of version 1.
VERSION = "version"

_DELIVER = f"""
    INSERT INTO {Delivery._meta.db_table}
        (event, task, payload, due_at, sends, attempts, last_error, traceparent)"""
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
    committed with the event or not at all. For small changes of Postgres and nothing else. It may
    be a `Statement` instead of a task.
    `at_once`: it is called in the writer's process, right after commit and before the answer goes
    out, so that the actor's next read shows what the actor did. If that went well, its delivery is
    settled; if not, the relay sends it AT_ONCE_SECONDS after it was published.
    `delay`: its delivery is due so many seconds after the event, not at once.
    `best_effort`: right after commit, too, and without a delivery, for it does a part of what
    another subscriber will do in any case. It is no task, but a function that takes the event and
    returns a part (`twitter.base.data.parts`), whose `parse` does what the replies call for: all of
    them share a round trip with the nudge.
    """

    task: str
    in_transaction: bool = False
    at_once: bool = False
    delay: float = 0
    best_effort: bool = False

    @property
    def is_recorded(self) -> bool:
        """Whether it has a delivery."""
        return not (self.in_transaction or self.best_effort)

    @property
    def due_after(self) -> float:
        """Seconds from the event until the relay sends it."""
        return AT_ONCE_SECONDS if self.at_once else self.delay


Table = Mapping[type[Event], Sequence[Subscription]]
E = TypeVar("E", bound=Event)


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
class Statement:
    """A subscriber in the transaction that is SQL, so that it can be part of another statement.

    `sql` reads `event`, a row with the fields of the event, of which it `takes` some: that is a
    class of events or a protocol, as tasks take them.
    """

    sql: str
    takes: type

    def run(self, event: Event) -> None:
        """Run it for an event, as a statement of its own."""
        facts = asdict(event)
        row = ", ".join(["%s"] * len(facts))
        with connection.cursor() as cursor:
            cursor.execute(
                f"WITH event ({', '.join(facts)}) AS (VALUES ({row})) {self.sql}",
                list(facts.values()),
            )


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
    due = [one for event in events for one in _due(event)]
    with tracing.span("publish", events=[event.name for event in events]):
        for one in due:
            if one.subscription.in_transaction:
                import_string(one.subscription.task).run(one.event)
        recorded = [one for one in due if one.subscription.is_recorded]
        deliveries = dict(zip(_record(recorded), recorded, strict=True)) if recorded else {}
    at_once = {number: one for number, one in deliveries.items() if one.subscription.at_once}
    _when_committed(due, at_once)


def insert_and_publish(event_type: type[E], insert: str, parameters: Sequence[Any]) -> E | None:
    """Store a fact and publish the event of it, by one statement; return the event.

    `insert` returns a row with the event's fields: `INSERT … RETURNING id AS tweet_id, author_id`.
    If it stores nothing, nothing is published, and None is returned.

    One statement is a transaction by itself, so this needs none around it. Raises TypeError for an
    event with a subscriber that is called: in the transaction by a task, or at once.
    """
    its = tuple(subscriptions().get(event_type, ()))
    with tracing.span("publish", events=[event_type.name]), connection.cursor() as cursor:
        traceparents = [tracing.traceparent() for each in its if each.is_recorded]
        statement = _joined(event_type, its, insert)  # type: ignore[arg-type]  # it is hashable
        cursor.execute(statement, [*parameters, *traceparents])
        facts = cursor.fetchone()
    if facts is None:
        return None
    names = (field.name for field in fields(event_type))
    event = event_type(**dict(zip(names, facts, strict=True)))
    _when_committed(_due(event), {})
    return event


@lru_cache
def _joined(event_type: type[Event], its: Sequence[Subscription], insert: str) -> str:
    """Return the statement that runs `insert` and what must be committed with its event.

    It returns the event's fields. Its last parameters are the traceparents of the deliveries.
    """
    called = [each.task for each in its if each.at_once]
    deliveries, effects = [], []
    for each in its:
        if each.is_recorded:
            deliveries.append(_delivery(event_type, each))
        elif each.in_transaction:
            subscriber = import_string(each.task)
            if isinstance(subscriber, Statement):
                effects.append(subscriber.sql)
            else:
                called.append(each.task)
    if called:
        raise TypeError(f"{event_type.name}: {', '.join(called)} can't be part of a statement.")
    if deliveries:
        effects.append(f"{_DELIVER} {' UNION ALL '.join(deliveries)}")
    names = ", ".join(field.name for field in fields(event_type))
    ctes = "".join(f", effect_{place} AS ({sql})" for place, sql in enumerate(effects))
    return f"WITH event AS ({insert}){ctes} SELECT {names} FROM event"


def _delivery(event_type: type[Event], its: Subscription) -> str:
    """Return the SELECT that makes the row of a delivery from the row `event`."""
    payload = "to_jsonb(event)"
    if event_type.version > 1:
        payload += f" || jsonb_build_object('{VERSION}', {event_type.version})"
    due_at = f"now() + make_interval(secs => {its.due_after})"
    return f"SELECT '{event_type.name}', '{its.task}', {payload}, {due_at}, 0, 0, '', %s FROM event"


def _due(event: Event) -> list[_Due]:
    return [_Due(subscription=each, event=event) for each in subscriptions().get(type(event), ())]


def _record(due: Sequence[_Due]) -> list[int]:
    """Insert a delivery for each; returns their ids, in order."""
    row = "(%s, %s, %s, now() + make_interval(secs => %s), 0, 0, '', %s)"
    traceparent = tracing.traceparent()
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_DELIVER} VALUES {', '.join([row] * len(due))} RETURNING id",
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


def _when_committed(due: Sequence[_Due], at_once: Mapping[int, _Due]) -> None:
    """Have done after the commit what is done then; `at_once` has the ids of the deliveries."""
    best_effort = [one for one in due if one.subscription.best_effort]
    nudges = any(one.subscription.is_recorded and not one.subscription.due_after for one in due)
    if at_once or best_effort or nudges:
        transaction.on_commit(partial(_after_commit, best_effort, at_once, nudges=nudges))


def _after_commit(
    best_effort: Sequence[_Due], at_once: Mapping[int, _Due], *, nudges: bool
) -> None:
    if best_effort or nudges:
        _try(best_effort, nudges=nudges)
    done = [number for number, due in at_once.items() if _ran(due)]
    if done:
        _settle(done)


def _try(best_effort: Sequence[_Due], *, nudges: bool) -> None:
    """Do what is best effort, and wake the relay, in one round trip."""
    try:
        with ExitStack() as spans:
            for due in best_effort:
                spans.enter_context(tracing.span(f"run {due.subscription.task}"))
            wanted = [import_string(due.subscription.task)(due.event) for due in best_effort]
            _exchange([*wanted, _NUDGE] if nudges else wanted)
    except Exception:
        logger.exception("what is best effort is left to the relay")


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


_NUDGE = Part([resp.pack("PUBLISH", NUDGE_CHANNEL, b"")], list)


@redis.without_redis(lambda: None)
def _exchange(wanted: Sequence[Part[Any]]) -> None:
    parts.exchange(*wanted)


def nudge() -> None:
    """Wake the relay, which otherwise looks once a second."""
    _exchange([_NUDGE])
