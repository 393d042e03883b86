"""Ids that order by time: 41 bits of milliseconds since 2024, 12 bits of sequence.

53 bits are exact as a JavaScript number, as a Redis score and as a Postgres bigint. Ids are made
in Postgres, as the column's default. The sequence wraps inside a millisecond and transactions
commit in any order: a larger id may well have become visible earlier than a smaller one.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import models
from django.db.models import BigIntegerField, Func
from django.urls import register_converter
from rest_framework import serializers

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
SEQUENCE_BITS = 12
SEQUENCE_NAME = "twitter_id_seq"
MAX_ID = 2**53 - 1

CREATE_SEQUENCE = (
    f"CREATE SEQUENCE {SEQUENCE_NAME} AS smallint MINVALUE 0 MAXVALUE {2**SEQUENCE_BITS - 1} CYCLE"
)
DROP_SEQUENCE = f"DROP SEQUENCE {SEQUENCE_NAME}"

_EPOCH_MS = int(EPOCH.timestamp() * 1000)


class NextId(Func):
    """The database default of an id column: now, and the next number of the sequence.

    `clock_timestamp()` and not `now()`: the latter stands still for a whole transaction.
    """

    template = (
        f"(((extract(epoch FROM clock_timestamp()) * 1000)::bigint - {_EPOCH_MS})"
        f" << {SEQUENCE_BITS} | nextval('{SEQUENCE_NAME}'))"
    )
    output_field: ClassVar[Any] = BigIntegerField()


class IdField(models.BigIntegerField):  # type: ignore[type-arg]  # not generic at run time
    """A primary key whose values Postgres makes, ordered by time."""

    def __init__(self, **options: Any) -> None:
        options.update(primary_key=True, db_default=NextId(), editable=False)
        super().__init__(**options)

    def deconstruct(self) -> Any:
        name, path, args, options = super().deconstruct()
        for fixed in ("primary_key", "db_default", "editable"):
            options.pop(fixed, None)
        return name, path, args, options


class WireIdField(serializers.Field):  # type: ignore[type-arg]  # not generic at run time
    """An id in JSON: written as a string of digits, read from a string or an integer."""

    default_error_messages: ClassVar[Any] = {
        "invalid": f"An id is a whole number from 1 to {MAX_ID}, as a string of digits.",
    }

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int | str):
            self.fail("invalid")
        try:
            return parse_id(str(data))
        except DjangoValidationError:
            self.fail("invalid")

    def to_representation(self, value: int) -> str:
        return str(value)


def parse_id(text: str) -> int:
    """Read an id from 1 to 16 ASCII digits; raises Django's ValidationError when it is none."""
    if len(text) <= len(str(MAX_ID)) and text.isascii() and text.isdigit():
        number = int(text)
        if 0 < number <= MAX_ID:
            return number
    raise DjangoValidationError(WireIdField.default_error_messages["invalid"])


def id_at(when: datetime) -> int:
    """Return the smallest id of `when`'s millisecond; a time before the epoch gives 0."""
    milliseconds = (when - EPOCH) // timedelta(milliseconds=1)
    return min(max(milliseconds, 0) << SEQUENCE_BITS, MAX_ID)


def id_before(microseconds: int) -> int:
    """Return the smallest id of a millisecond, given in microseconds since 1970."""
    return max(microseconds // 1_000 - _EPOCH_MS, 0) << SEQUENCE_BITS


def time_of(number: int) -> datetime:
    """Return the moment (UTC, to the millisecond) at which the id was made."""
    return EPOCH + timedelta(milliseconds=number >> SEQUENCE_BITS)


class IdConverter:
    """URL path converter `<id:...>`: what is no id matches no route, hence 404."""

    regex = "[0-9]+"

    def to_python(self, value: str) -> int:
        try:
            return parse_id(value)
        except DjangoValidationError as error:
            raise ValueError(value) from error

    def to_url(self, value: int) -> str:
        return str(value)


register_converter(IdConverter, "id")
