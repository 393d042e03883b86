"""The outbox as a Django app."""

from django.apps import AppConfig


class OutboxConfig(AppConfig):
    """Registers the check that every named task exists."""

    name = "twitter.outbox"
    label = "outbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from twitter.outbox import checks  # noqa: F401, PLC0415 - registers on import
