"""What goes wrong: each fault takes some seconds, and ends with all parts running again."""

import contextlib
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import redis
from celery import current_app
from django.db import DatabaseError, connection
from kombu.exceptions import OperationalError

from tests.chaos.stack import Stack

# Bytes that Valkey may take beyond what it has when its memory is full: nearly nothing.
SPARE_BYTES = 16_384


@dataclass(frozen=True)
class Context:
    """What a fault has to work with: the parts, its own chance, and how long it should last."""

    stack: Stack
    chance: random.Random
    seconds: float

    def wait(self, part: float = 1.0) -> None:
        """Let so much of its time pass."""
        time.sleep(self.seconds * part)


def _kill(name: str) -> Callable[[Context], None]:
    def fault(context: Context) -> None:
        context.stack.parts[name].kill()
        context.wait(context.chance.uniform(0.2, 0.8))
        context.stack.parts[name].start()

    return fault


def _kill_children(name: str) -> Callable[[Context], None]:
    def fault(context: Context) -> None:
        for _ in range(3):
            context.stack.parts[name].kill_child(context.chance)
            context.wait(1 / 3)

    return fault


def _kill_workers_children(context: Context) -> None:
    """Those of a worker that works: of one that starts, Celery takes a dead child for a failure."""
    context.stack.wait_for_worker()
    _kill_children("worker")(context)


def _pause(name: str) -> Callable[[Context], None]:
    def fault(context: Context) -> None:
        part = context.stack.parts[name]
        part.signal(signal.SIGSTOP)
        try:
            context.wait()
        finally:
            part.signal(signal.SIGCONT)

    return fault


def _lose_valkeys_data(context: Context) -> None:
    context.stack.delete_valkeys_data()
    _kill("valkey")(context)


def _bring_old_data_back(context: Context) -> None:
    """Valkey comes back with what it held some time ago."""
    context.stack.keep_valkeys_data()
    context.wait()
    _kill("valkey")(context)
    context.stack.wait_for_valkey()  # which reads it when it starts
    context.stack.delete_valkeys_data()


def _fill_memory(context: Context) -> None:
    context.stack.limit_valkeys_memory(SPARE_BYTES)
    try:
        context.wait()
    finally:
        context.stack.limit_valkeys_memory(None)


def _deliver_twice(context: Context) -> None:
    """What waits in the outbox is sent twice more, in any order, while it is sent anyway."""
    from twitter.outbox.models import Delivery

    current_app.loader.import_default_modules()
    end = time.monotonic() + context.seconds
    while time.monotonic() < end:
        with contextlib.suppress(DatabaseError, OperationalError, redis.RedisError):
            waiting = list(Delivery.objects.order_by("?").values_list("task", "id")[:40]) * 2
            context.chance.shuffle(waiting)
            for task, number in waiting:
                current_app.tasks[task].apply_async(kwargs={"delivery_ids": [number]}, retry=False)
        connection.close()
        time.sleep(0.1)


FAULTS: dict[str, Callable[[Context], None]] = {
    "web processes killed": _kill_children("web"),
    "web killed": _kill("web"),
    "worker's children killed": _kill_workers_children,
    "worker killed": _kill("worker"),
    "relay killed": _kill("relay"),
    "Valkey killed, its data lost": _lose_valkeys_data,
    "Valkey killed, old data back": _bring_old_data_back,
    "PostgreSQL shut down at once": _kill("postgres"),
    "web stands still": _pause("web"),
    "worker stands still": _pause("worker"),
    "relay stands still": _pause("relay"),
    "Valkey stands still": _pause("valkey"),
    "PostgreSQL stands still": _pause("postgres"),
    "Valkey's memory full": _fill_memory,
    "tasks twice and out of order": _deliver_twice,
}
# During these, and while all recovers, answers may be 503; no others may ever be 5xx.
POSTGRES_AWAY = {"PostgreSQL shut down at once", "PostgreSQL stands still"}
# During these, a request may get no answer.
WEB_AWAY = {"web processes killed", "web killed"}


def deck(chance: random.Random, *, count: int, only: Sequence[str] = ()) -> list[str]:
    """Return so many faults' names, each as often as any other, in an order of chance.

    `only`: of these; all when there are none.
    """
    kinds = sorted(only or FAULTS)
    names: list[str] = []
    while len(names) < count:
        names += chance.sample(kinds, len(kinds))
    return names[:count]
