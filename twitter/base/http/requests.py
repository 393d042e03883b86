"""What views read from a request."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request


def actor_id(request: Request) -> int:
    """Return the id of the account that the token proves; the view requires authentication."""
    account_id: int = request.user.pk  # type: ignore[assignment]  # None only when anonymous
    return account_id


def body_or_query(request: Request) -> Any:
    """Return a DELETE's input: its JSON body, or its query parameters when it has no body."""
    return request.data or request.query_params.dict()


def checked(serializer: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    """Return input as a serializer reads it; raises ValidationError."""
    given = serializer(data=data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


def query(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """Return the checked query parameters; raises ValidationError.

    As a plain dict: from a QueryDict, DRF would take an empty value for one that is not there.
    """
    return checked(serializer, request.query_params.dict())
