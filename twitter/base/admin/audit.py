"""The audit log: Django admin's LogEntry. Each change that a moderator makes writes an entry."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Case, F, Func, QuerySet, Value, When
from rest_framework import serializers

from twitter.base.data import keyset


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


def record_erasure(
    *, by_id: int, kind: type[models.Model], what: str, action: str, reason: str
) -> None:
    """Note who erased an object of some kind and why, but not which object.

    It is written in the running transaction. Neither `anonymise` nor a search for the erased person
    finds the entry, so it stays.
    """
    LogEntry.objects.create(
        user_id=by_id,
        content_type=ContentType.objects.get_for_model(kind),
        object_id=None,
        object_repr=what,
        action_flag=DELETION,
        change_message=f"{action}: {reason}",
    )


class ExportedAuditEntrySerializer(serializers.Serializer[Any]):
    """What a moderator did, and why."""

    id = serializers.CharField()
    at = serializers.DateTimeField()
    object_type = serializers.CharField(help_text="`account`, `follow`, `tweet`, `delivery` …")
    object_id = serializers.CharField(
        allow_null=True, help_text="Null when the object belonged to a deleted account."
    )
    message = serializers.CharField()


def about(target: type[models.Model], ids: Iterable[int] | QuerySet[Any]) -> QuerySet[LogEntry]:
    """Return the entries about these objects; `ids` may be a query that selects them as text."""
    which = ids if isinstance(ids, QuerySet) else [str(number) for number in ids]
    return LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(target), object_id__in=which
    )


def rows(entries: QuerySet[LogEntry]) -> Iterator[dict[str, Any]]:
    """Yield entries as JSON shows them to the person whom they concern, without the moderator."""
    fields = ("action_time", "content_type__model", "object_id", "change_message")
    for number, at, kind, object_id, message in keyset.walk(entries, *fields):
        yield {
            "id": str(number),
            "at": at,
            "object_type": kind,
            "object_id": object_id,
            "message": message,
        }


def anonymise(entries: QuerySet[LogEntry], *, what: str) -> None:
    """Take the object and the reason out of entries: both may name a person.

    They still tell who did what, and when. `what` stands where the object's name was, such as
    "a deleted account".
    """
    message = F("change_message")
    # `record` and the admin's forms write "Action: reason"; what Django writes is a JSON array.
    action = Func(
        message,
        Value(": .*"),
        Value(""),
        function="regexp_replace",
        output_field=models.TextField(),
    )
    entries.update(
        object_id=None,
        object_repr=what,
        change_message=Case(When(change_message__startswith="[", then=message), default=action),
    )
