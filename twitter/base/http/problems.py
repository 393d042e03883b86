"""One error shape everywhere: `application/problem+json` (RFC 9457).

What kind of problem it is, programs read from `type`; docs/errors.md lists the kinds.
"""

from enum import StrEnum
from typing import Any

CONTENT_TYPE = "application/problem+json"


class Kind(StrEnum):
    """The kinds of problems, as programs tell them apart. A kind keeps its name for ever."""

    INVALID_REQUEST = "invalid-request"
    INVALID_INPUT = "invalid-input"
    WRONG_PASSWORD = "wrong-password"
    UNAUTHENTICATED = "unauthenticated"
    INVALID_TOKEN = "invalid-token"
    EXPIRED_TOKEN = "expired-token"
    SUSPENDED = "suspended"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    TIMEOUT = "timeout"
    CONFLICT = "conflict"
    USERNAME_TAKEN = "username-taken"
    EMAIL_TAKEN = "email-taken"
    TOO_LARGE = "too-large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused"
    RATE_LIMITED = "rate-limited"
    INTERNAL_ERROR = "internal-error"
    NOT_IMPLEMENTED = "not-implemented"
    UNAVAILABLE = "unavailable"
    BUSY = "busy"

    @property
    def uri(self) -> str:
        """The `type` of a problem of this kind."""
        return f"/problems/{self.value}"

    @property
    def title(self) -> str:  # type: ignore[override]  # not that of `str`
        """What it is called, for a person."""
        return self.value.replace("-", " ").capitalize()


# What a status means where nothing more is known.
KIND_OF = {
    400: Kind.INVALID_REQUEST,
    401: Kind.UNAUTHENTICATED,
    403: Kind.FORBIDDEN,
    404: Kind.NOT_FOUND,
    405: Kind.METHOD_NOT_ALLOWED,
    408: Kind.TIMEOUT,
    409: Kind.CONFLICT,
    413: Kind.TOO_LARGE,
    414: Kind.TOO_LARGE,
    415: Kind.UNSUPPORTED_MEDIA_TYPE,
    417: Kind.INVALID_REQUEST,
    422: Kind.IDEMPOTENCY_KEY_REUSED,
    429: Kind.RATE_LIMITED,
    431: Kind.TOO_LARGE,
    500: Kind.INTERNAL_ERROR,
    501: Kind.NOT_IMPLEMENTED,
    502: Kind.UNAVAILABLE,
    503: Kind.UNAVAILABLE,
    504: Kind.UNAVAILABLE,
    505: Kind.NOT_IMPLEMENTED,
}


def problem(
    *,
    status: int,
    detail: str,
    kind: Kind | None = None,
    errors: dict[str, list[str]] | None = None,
) -> dict[str, Any]:
    """Return the body of an error; without `kind`, of the kind that KIND_OF has for the status."""
    kind = kind or KIND_OF[status]
    body: dict[str, Any] = {
        "type": kind.uri,
        "title": kind.title,
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = errors
    return body
