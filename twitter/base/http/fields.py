"""Serializers and fields that are stricter than DRF's own."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from rest_framework import serializers

from twitter.base import characters

# So many unknown fields of a body are named, and so much of each name: the answer must not be many
# times as long as the request.
NAMED_FIELDS = 20
NAMED_CHARACTERS = 100


class InputSerializer(serializers.Serializer[Any]):
    """Input of which nothing is ignored: an unknown field is refused by its name.

    A client that sends one expects something that would not happen.
    """

    def to_internal_value(self, data: Any) -> Any:
        """Return the checked values; raises ValidationError for all that is wrong at once."""
        unknown = self._unknown(data) if isinstance(data, Mapping) else {}
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            if isinstance(error.detail, dict):
                raise serializers.ValidationError({**error.detail, **unknown}) from error
            raise
        if unknown:
            raise serializers.ValidationError(unknown)
        return values

    def _unknown(self, data: Mapping[Any, Any]) -> dict[str, list[str]]:
        names = (str(name)[:NAMED_CHARACTERS] for name in data if name not in self.fields)
        return {name: ["There is no such field."] for name in islice(names, NAMED_FIELDS)}


class TextField(serializers.CharField):
    """A string. Unlike DRF's field, it refuses a number."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class LineField(TextField):
    """A line of text that others read, perhaps an empty one; see `characters`."""

    def __init__(self, *, max_length: int, **options: Any) -> None:
        super().__init__(max_length=max_length, allow_blank=True, **options)

    def to_internal_value(self, data: Any) -> str:
        return characters.line(super().to_internal_value(data), most=self.max_length or 0)


class LinesField(LineField):
    """Lines of text that others read, perhaps none; see `characters`."""

    def to_internal_value(self, data: Any) -> str:
        return characters.lines(
            super(LineField, self).to_internal_value(data), most=self.max_length or 0
        )
