"""The Celery entry point: `celery -A twitter worker`."""

import os
import time
from logging import captureWarnings
from typing import Any

from celery import Celery
from celery.signals import (
    setup_logging,
    task_postrun,
    task_prerun,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
)
from celery.worker import consumer
from django.db import close_old_connections

from twitter.base.alive import show_alive
from twitter.base.observe import exporter, logging, metrics, tracing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "twitter.settings")

ALIVE_SECONDS = 10

app = Celery("twitter")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def _accept_late_commits(**options: Any) -> None:
    from twitter.outbox.durability import accept_late_commits  # noqa: PLC0415 - needs settings

    accept_late_commits()


@worker_ready.connect
def _keep_showing_alive(sender: Any, **options: Any) -> None:
    """Show that the main process goes on, which hands the messages to the others."""
    show_alive()
    sender.controller.timer.call_repeatedly(ALIVE_SECONDS, show_alive)


@worker_init.connect
def _begin_to_count(sender: Any, **options: Any) -> None:
    exporter.begin()
    if metrics.instruments:
        task_prerun.connect(_note_beginning)
        task_postrun.connect(_measure)


@worker_ready.connect
def _serve_metrics(sender: Any, **options: Any) -> None:
    metrics.worker_processes(sender.controller.concurrency)
    exporter.serve()


@worker_process_init.connect
def _go_on_counting(**options: Any) -> None:
    exporter.join()


def _note_beginning(task: Any, **options: Any) -> None:
    task.request.begun = time.perf_counter()


def _measure(task: Any, kwargs: Any, state: str, **options: Any) -> None:
    """Measure what the relay's clock has run. What the outbox delivers, it measures itself."""
    if "delivery_ids" not in kwargs:
        outcome = metrics.DONE if state == "SUCCESS" else metrics.FAILED
        metrics.task_ran(task.name, outcome, seconds=time.perf_counter() - task.request.begun)


@setup_logging.connect
def _keep_logging(**options: Any) -> None:
    """Keep Django's logging: Celery's own, and warnings, would write lines of another form."""
    captureWarnings(capture=True)


@worker_process_init.connect
def _start_tracing(**options: Any) -> None:
    tracing.start("worker")


@worker_process_shutdown.connect
def _stop_tracing(**options: Any) -> None:
    tracing.stop()


@task_prerun.connect
def _replace_a_broken_connection(**options: Any) -> None:
    """Have a connection to PostgreSQL replaced that broke, or that is old.

    Without, a process whose connection broke would fail each task until it is ended.
    """
    close_old_connections()


@task_prerun.connect
def _begin_logging(task: Any, kwargs: dict[str, Any], **options: Any) -> None:
    ids = kwargs.get("delivery_ids")
    logging.begin(task=task.name, **({"delivery_ids": ids} if ids else {}))


@task_postrun.connect
def _end_logging(**options: Any) -> None:
    logging.end()


class Consumer(consumer.Consumer):
    """Celery's own, but it survives the loss of a Redis broker with messages in hand.

    A message belongs to the channel that it came by. Celery 5.7.0 takes the channel's connection
    away when that is lost; kombu 5.7.0 then gives the message back, or acknowledges it when its
    task ends, through a connection that is None, and the AttributeError ends the worker. Here
    neither is done, and nothing is lost: the outbox sends a delivery again that is not settled, and
    one that is settled does nothing when it comes again.
    """

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        if self.connection is not None:
            for channel in getattr(self.connection.transport, "channels", ()):
                channel.do_restore = False
                channel.basic_ack = channel.basic_reject = _do_nothing
        super().on_connection_error_after_connected(exc)


def _do_nothing(delivery_tag: str, **options: Any) -> None:
    pass
