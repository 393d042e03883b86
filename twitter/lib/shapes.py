"""Describing answers for the schema."""

from typing import Any

from rest_framework import serializers


def shape(name: str, **fields: Any) -> type[serializers.Serializer[Any]]:
    """Return a serializer that describes an object with these members.

    Made by a call because `data`, the envelope's first member, is a property of Serializer, which
    a class body could not override.
    """
    return type(name, (serializers.Serializer,), fields)
