"""What views read from a request."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from twitter.lib.errors import plain_problem


def actor_id(request: Request) -> int:
    """Return the id of the account that the token proves; the view requires authentication."""
    account_id: int = request.user.pk  # type: ignore[assignment]  # None only when anonymous
    return account_id


def body_or_query(request: Request) -> Any:
    """Return a DELETE's input: its JSON body, or its query parameters when it has no body."""
    return request.data or request.query_params.dict()


def query(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """Return the checked query parameters; raises ValidationError.

    As a plain dict: from a QueryDict, DRF would take an empty value for one that is not there.
    """
    checked = serializer(data=request.query_params.dict())
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def require_length(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: refuse a body without Content-Length (411), which WSGI would read as empty."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
            return plain_problem(411, "Send the body with its Content-Length.")
        return get_response(request)

    return middleware
