"""The audit log: Django admin's LogEntry, written by whoever changes something as a moderator."""

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models


def record(*, by_id: int, target: models.Model, action: str, reason: str) -> None:
    """Note who did what to `target` and why, within the running transaction."""
    LogEntry.objects.create(
        user_id=by_id,
        content_type=ContentType.objects.get_for_model(target),
        object_id=str(target.pk),
        object_repr=str(target)[:200],
        action_flag=CHANGE,
        change_message=f"{action}: {reason}",
    )
