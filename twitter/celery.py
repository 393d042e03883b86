"""The Celery entry point: `celery -A twitter worker`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "twitter.settings")

app = Celery("twitter")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
