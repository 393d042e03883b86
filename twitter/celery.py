"""The Celery entry point: `celery -A twitter worker`."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init
from celery.worker import consumer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "twitter.settings")

app = Celery("twitter")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def _accept_late_commits(**options: Any) -> None:
    from twitter.outbox.durability import accept_late_commits  # noqa: PLC0415 - needs settings

    accept_late_commits()


class Consumer(consumer.Consumer):
    """Celery's own, but it survives the loss of its broker with messages in hand.

    When it is closed, a channel of kombu 5.7.0 gives them back through the connection that Celery
    5.7.0 has taken from it just before, and the AttributeError ends the worker. Nothing is lost by
    not giving them back: what is not settled is sent again by the outbox.
    """

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        if self.connection is not None:
            for channel in getattr(self.connection.transport, "channels", ()):
                channel.do_restore = False
        super().on_connection_error_after_connected(exc)
