"""Serializer fields that are stricter than DRF's own."""

from typing import Any

from rest_framework import serializers


class TextField(serializers.CharField):
    """A string; a number is none, other than for DRF."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)
