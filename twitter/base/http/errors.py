"""What goes wrong, as exceptions, and how each becomes an answer: a problem (RFC 9457)."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from django.core.exceptions import DisallowedHost, PermissionDenied
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions, serializers
from rest_framework.response import Response
from rest_framework.views import exception_handler

from twitter.base.data.postgresql import trouble
from twitter.base.http.problems import CONTENT_TYPE, Kind, problem
from twitter.base.http.shapes import shape

RETRY_AFTER_SECONDS = 5

logger = logging.getLogger(__name__)


class DomainError(Exception):
    """A rule of the domain says no. `field` names the part of the input that broke it.

    Without `kind`, here or in the class, its kind is the one that KIND_OF has for the status.
    """

    status = HTTPStatus.BAD_REQUEST
    kind: Kind | None = None

    def __init__(self, detail: str, *, field: str | None = None, kind: Kind | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.kind = kind or self.kind


class Invalid(DomainError):
    """400: the input is well-formed but breaks a rule."""

    kind = Kind.INVALID_INPUT


class Unauthenticated(DomainError):
    """401: the credentials are wrong or no longer valid."""

    status = HTTPStatus.UNAUTHORIZED


class Forbidden(DomainError):
    """403: known, seen, and not allowed."""

    status = HTTPStatus.FORBIDDEN


class NotFound(DomainError):
    """404: it does not exist, or the reader may not see it. Both must get the same answer."""

    status = HTTPStatus.NOT_FOUND


class Conflict(DomainError):
    """409: the input is valid by itself, but not together with what is stored."""

    status = HTTPStatus.CONFLICT


class Unavailable(exceptions.APIException):
    """503: PostgreSQL cannot do it right now."""

    status_code = 503
    kind = Kind.UNAVAILABLE
    wait = RETRY_AFTER_SECONDS  # becomes the Retry-After header


class Unprocessable(DomainError):
    """422: the same Idempotency-Key came with another body."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TryLater(DomainError):
    """Not now; `seconds` from now it is worth another try."""

    def __init__(self, detail: str, *, seconds: int) -> None:
        super().__init__(detail)
        self.seconds = seconds


class TooMany(TryLater):
    """429: asked too often."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class TooBusy(TryLater):
    """503: this process already does as much of this work as it may."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    kind = Kind.BUSY


@contextmanager
def unless_purged(gone: Mapping[str, DomainError]) -> Iterator[None]:
    """Raise an error when a row that is referred to was deleted between the look and the commit.

    `gone`: the foreign keys that may tell so, by the names of their constraints, and the error for
    each. Any other violated constraint is a bug, and stays the IntegrityError that it is.
    """
    try:
        yield
    except IntegrityError as cause:
        error = gone.get(violated_constraint(cause) or "")
        if error is None:
            raise
        raise error from cause


def violated_constraint(error: IntegrityError) -> str | None:
    """Return the name of the constraint that PostgreSQL says was violated."""
    name: str | None = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
    return name


Problem = shape(
    "Problem",
    type=serializers.CharField(
        help_text="The kind of problem, for programs to compare: `/problems/expired-token`, say. "
        "It is a name, not an address to open."
    ),
    title=serializers.CharField(help_text="The kind of problem, for a person."),
    status=serializers.IntegerField(help_text="The same as the answer's own."),
    detail=serializers.CharField(help_text="What went wrong this time, for a person."),
    errors=serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="When input was not valid: the name of each field, and what is wrong with it.",
    ),
)


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn what a view raised into a problem; DRF's EXCEPTION_HANDLER.

    An error that is not one of DRF, Django or the domain stays unhandled: a bug, so a 500.
    """
    if isinstance(error, DomainError):
        error = _as_api_error(error)
    elif said := trouble.noted(error):
        error = Unavailable(said)
    response = exception_handler(error, context)
    if response is None:
        return None
    kind = getattr(error, "kind", None)
    if isinstance(error, exceptions.ValidationError):
        kind = kind or Kind.INVALID_INPUT
        errors = _by_field(error.detail)
        detail = "; ".join(f"{field}: {' '.join(texts)}" for field, texts in errors.items())
    else:
        errors, detail = None, _detail(error)
    response.data = problem(status=response.status_code, kind=kind, detail=detail, errors=errors)
    response.content_type = CONTENT_TYPE
    return response


def _as_api_error(error: DomainError) -> exceptions.APIException:
    translated: exceptions.APIException
    if error.field:
        translated = exceptions.ValidationError({error.field: [error.detail]})
    elif error.status == HTTPStatus.UNAUTHORIZED:
        translated = exceptions.AuthenticationFailed(error.detail)
        # DRF sets the challenge of 401 answers from this attribute.
        translated.auth_header = 'Bearer realm="api"'  # type: ignore[attr-defined]
    else:
        translated = exceptions.APIException(error.detail)
    translated.status_code = error.status
    translated.kind = error.kind  # type: ignore[attr-defined]  # for `handle`
    if isinstance(error, TryLater):
        translated.wait = error.seconds  # type: ignore[attr-defined]  # becomes Retry-After
    return translated


def _detail(error: Exception) -> str:
    if isinstance(error, Http404):
        return "There is nothing here."
    if isinstance(error, PermissionDenied):
        return "You may not do this."
    return str(getattr(error, "detail", error))


def _by_field(detail: Any) -> dict[str, list[str]]:
    """Flatten DRF's nested messages into `{"a.b": [messages]}`."""
    if not isinstance(detail, dict):
        return {"non_field_errors": [str(message) for message in detail]}
    flat: dict[str, list[str]] = {}
    for field, below in detail.items():
        if isinstance(below, dict):
            flat.update({f"{field}.{key}": texts for key, texts in _by_field(below).items()})
        else:
            messages = below if isinstance(below, list | tuple) else [below]
            flat[str(field)] = [str(message) for message in messages]
    return flat


def plain_problem(status: int, detail: str) -> HttpResponse:
    """Return a problem from outside of DRF, with its length: it may pass no middleware."""
    response = JsonResponse(
        problem(status=status, detail=detail), status=status, content_type=CONTENT_TYPE
    )
    response["Content-Length"] = str(len(response.content))
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400 outside of DRF, as for an unknown Host header."""
    if isinstance(exception, DisallowedHost):
        return plain_problem(400, "The Host header names no host of this service.")
    return plain_problem(400, "The request is not valid.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404 for a path that no view serves."""
    return plain_problem(404, "There is nothing here.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403 outside of DRF."""
    return plain_problem(403, "You may not do this.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500 for a bug, which Django logs with its traceback.

    Answer 503 when PostgreSQL cannot do it right now, or this process is too busy. Django calls
    this while it handles the exception.
    """
    error = sys.exception()
    if isinstance(error, TooBusy):
        said, seconds = error.detail, error.seconds
    else:
        said, seconds = trouble.noted(error), RETRY_AFTER_SECONDS
    if not said:
        return plain_problem(500, "Something went wrong on our side.")
    response = plain_problem(503, said)
    response["Retry-After"] = str(seconds)
    return response
