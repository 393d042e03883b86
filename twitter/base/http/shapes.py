"""Describing answers for the schema."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

# When things happen in examples.
EXAMPLE_TIME = "2026-11-25T22:00:00Z"


def shape(name: str, *, example: Any = None, **fields: Any) -> type[serializers.Serializer[Any]]:
    """Return a serializer that describes an object with these members.

    Made by a call because `data`, the envelope's first member, is a property of Serializer, which
    a class body could not override.
    """
    serializer = type(name, (serializers.Serializer,), fields)
    if example is not None:
        examples = [
            OpenApiExample(name, value=example, response_only=True, status_codes=[200, 201, 503])
        ]
        serializer = extend_schema_serializer(examples=examples)(serializer)
    return serializer


def request_example(value: Any) -> Any:
    """Return a decorator that gives a request's serializer an example."""
    examples = [OpenApiExample("Example", value=value, request_only=True)]
    return extend_schema_serializer(examples=examples)
