"""Publishing an event, and the table that says who hears it.

The table is `settings.OUTBOX_EVENTS`, a module above all apps, because the outbox knows none.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from twitter.lib import redis
from twitter.outbox.models import Delivery

NUDGE_CHANNEL = "outbox:nudge"

logger = logging.getLogger(__name__)


class Event(Protocol):
    """A fact, past tense: a frozen dataclass of ids, with the name under which it is heard."""

    name: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Hearer:
    """A task that hears an event.

    `at_once`: it is also called in the writer's process, right after commit and before the answer
    goes out, so that the actor's next read shows what the actor did. That call is best effort; the
    delivery through the outbox is what counts.
    """

    task: str
    at_once: bool = False


def hearers() -> Mapping[str, Sequence[Hearer]]:
    """Return the table of the project: event name to those who hear it."""
    table: Mapping[str, Sequence[Hearer]] = import_string(f"{settings.OUTBOX_EVENTS}.HEARERS")
    return table


def periodic_tasks() -> Mapping[str, float]:
    """Return the project's clock: task name to the seconds between two runs."""
    table: Mapping[str, float] = import_string(f"{settings.OUTBOX_EVENTS}.EVERY")
    return table


def publish(event: Event) -> None:
    """Record, within the running transaction, what must happen because of `event`.

    Raises TransactionManagementError outside of a transaction: an event without its fact, or a
    fact without its event, must not be stored.
    """
    connection = transaction.get_connection()
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "publish() belongs inside transaction.atomic()"
        )
    heard_by = hearers().get(event.name, ())
    facts = asdict(event)
    Delivery.objects.bulk_create(
        Delivery(event=event.name, task=hearer.task, payload=facts) for hearer in heard_by
    )
    at_once = [hearer.task for hearer in heard_by if hearer.at_once]
    transaction.on_commit(lambda: _after_commit(at_once, facts))


def _after_commit(tasks: Sequence[str], facts: Mapping[str, Any]) -> None:
    for name in tasks:
        try:
            import_string(name)(**facts)
        except Exception:
            logger.exception("%s will be delivered by the relay", name)
    nudge()


@redis.without_redis(lambda: None)
def nudge() -> None:
    """Wake the relay, which otherwise looks once a second."""
    redis.client().publish(NUDGE_CHANNEL, b"")
