"""Serializer fields that are stricter than DRF's own."""

from typing import Any

from rest_framework import serializers

from twitter.lib import characters


class TextField(serializers.CharField):
    """A string; a number is none, other than for DRF."""

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
