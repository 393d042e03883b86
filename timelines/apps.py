"""The timelines app: what a reader sees of those whom the reader follows."""

from django.apps import AppConfig


class TimelinesConfig(AppConfig):
    """Owns home timelines, which live in Redis only. It has no models."""

    name = "timelines"
