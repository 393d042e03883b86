"""`manage.py relay`: send deliveries to Celery as they fall due, and keep the clock."""

import logging
import signal
import time
from typing import Any

import redis
from celery import current_app
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection
from redis.client import PubSub

from twitter.base.alive import show_alive
from twitter.base.data.redis import client, without_redis
from twitter.base.http.health import RELAY_KEY, RELAY_OUT_SECONDS
from twitter.base.observe import exporter, metrics, tracing
from twitter.outbox import watch
from twitter.outbox.durability import accept_late_commits
from twitter.outbox.events import NUDGE_CHANNEL, periodic_tasks
from twitter.outbox.relay import distrust_broker, passing_errors, send_due

BATCH = 500
IDLE_SECONDS = 1.0
# The least time between two looks. What falls due meanwhile is claimed and sent together, for a
# message costs as much CPU as some 40 fan-outs in a set do (ADR 0049).
PACE_SECONDS = 0.05
SHOWN_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    """Any number of relays may run side by side."""

    help = "Send the outbox to Celery, until TERM."

    def handle(self, *args: Any, **options: Any) -> None:
        self.running = True
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        accept_late_commits()
        current_app.loader.import_default_modules()  # so that every task is known by its name
        exporter.begin()
        watch.begin()
        exporter.serve()
        nudges = Nudges()
        clock = Clock()
        shown = Shown()
        broker_was_away = False
        tracing.start("relay")
        passing = passing_errors()
        logger.info("the relay runs")
        while self.running:
            show_alive()
            shown.again()
            metrics.relay_turned()
            try:
                clock.send_due()
                if broker_was_away:
                    distrust_broker()
                    broker_was_away = False
                if send_due(limit=BATCH) == BATCH:
                    continue
            except passing as error:
                logger.warning("the relay tries again: %s", error)
                broker_was_away |= not isinstance(error, DatabaseError)
                connection.close()
                time.sleep(IDLE_SECONDS)
            time.sleep(PACE_SECONDS)
            nudges.wait(IDLE_SECONDS)
        tracing.stop()

    def _stop(self, *args: Any) -> None:
        self.running = False


class Shown:
    """Shows in Redis that a relay runs; `/auth/healthz?ready=1` looks for it."""

    def __init__(self) -> None:
        self._next = 0.0

    def again(self) -> None:
        """Show it, if SHOWN_SECONDS have passed since the last time."""
        if self._next <= time.monotonic():
            self._next = time.monotonic() + SHOWN_SECONDS
            show_relay()


@without_redis(lambda: None)
def show_relay() -> None:
    """Note that a relay runs now."""
    client().set(RELAY_KEY, int(time.time()), ex=RELAY_OUT_SECONDS)


class Nudges:
    """Waits for writers' nudges, so that a tweet does not wait for the next look."""

    def __init__(self) -> None:
        self._subscription = _subscription()

    def wait(self, seconds: float) -> None:
        """Return at once if there were nudges since the last time, else at the next or later."""
        try:
            if not self._subscription.subscribed:
                self._subscription.subscribe(NUDGE_CHANNEL)
            if self._subscription.get_message(timeout=seconds):
                while self._subscription.get_message():
                    pass
        except redis.RedisError:
            self._subscription.close()
            self._subscription = _subscription()
            time.sleep(seconds)


def _subscription() -> PubSub:
    pubsub: PubSub = client().pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    return pubsub


class Clock:
    """Sends the periodic tasks. Two relays send them twice as often, which does no harm."""

    def __init__(self) -> None:
        self._next = dict.fromkeys(periodic_tasks(), 0.0)

    def send_due(self) -> None:
        """Send each periodic task whose time has come."""
        now = time.monotonic()
        for name, seconds in periodic_tasks().items():
            if self._next[name] <= now:
                # It expires, so that they do not pile up while no worker runs.
                current_app.tasks[name].apply_async(expires=max(seconds, 10), retry=False)
                self._next[name] = now + seconds
