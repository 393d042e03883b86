"""The Django project package. Importing it makes the Celery app the current one."""

from twitter.celery import app as celery_app

__all__ = ["celery_app"]
