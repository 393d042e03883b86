"""The Celery entry point: `celery -A twitter worker`."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "twitter.settings")

app = Celery("twitter")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def _accept_late_commits(**options: Any) -> None:
    from twitter.outbox.durability import accept_late_commits  # noqa: PLC0415 - needs settings

    accept_late_commits()
