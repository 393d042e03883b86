"""Whose requests are counted together: those of a user, of a session, and of an address."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.permissions import SAFE_METHODS

from accounts.sessions.tokens import Claims, claims_in
from twitter.base.http import limits
from twitter.base.http.errors import plain_problem
from twitter.base.http.limits import Bucket, Standing
from twitter.base.http.middleware import API
from twitter.base.observe import metrics
from twitter.base.observe.logging import HEALTH

# The key in a WSGI environment under which the shortcut before Django leaves a request's counts.
COUNTED = "twitter.limits"
_OF_THEIR_OWN = {
    ("POST", "/auth/create"): "sign-ups",
    ("POST", "/auth/token"): "log-ins",
    ("GET", "/auth/export"): "exports",
    ("HEAD", "/auth/export"): "exports",
}


# Pages of the admin that check a password.
_ADMIN_CHECKS = ("login/", "password_change/")
_HEALTH = {f"{service[:-1]}{name}" for service in API for name in HEALTH}


def kind_of(*, method: str, path: str) -> str | None:
    """Return which of RATE_LIMITS a request is subject to."""
    if kind := _OF_THEIR_OWN.get((method, path)):
        return kind
    if not path.startswith((*API, "/api/")):
        admin = [f"/{settings.ADMIN_PATH}{name}" for name in _ADMIN_CHECKS]
        return "admin-log-ins" if method == "POST" and path in admin else None
    if path in _HEALTH:
        return None
    return "reads" if method in SAFE_METHODS else "writes"


def buckets(environ: Mapping[str, Any], *, claims: Claims | None) -> list[Bucket]:
    """Return the buckets that a WSGI request counts in; `claims` are those of its access token."""
    kind = kind_of(method=environ["REQUEST_METHOD"], path=environ["PATH_INFO"])
    if kind is None:
        return []
    user, token = (claims.account_id, claims.session_id) if claims else (None, None)
    whose: dict[str, str | int | None] = {
        "user": user,
        "token": token,
        "address": limits.client_address(environ),
    }
    found = [
        limits.bucket(kind=kind, subject=subject, who=who, limit=limit)
        for subject, limit in settings.RATE_LIMITS[kind].items()
        if (who := whose.get(subject)) is not None
    ]
    return [each for each in found if each]


def reset_counts(account_id: int) -> None:
    """Reset the counts of an account's requests."""
    for kind, rules in settings.RATE_LIMITS.items():
        its = limits.bucket(kind=kind, subject="user", who=account_id, limit=rules.get("user"))
        if its:
            limits.reset_count(its)


def rate_limits(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Refuse clients that ask too often (429), and tell all clients how they stand."""

    def middleware(request: HttpRequest) -> HttpResponse:
        counted: list[Standing] | None = request.META.get(COUNTED)
        if counted is None:
            claims = claims_in(request.META.get("HTTP_AUTHORIZATION", ""))
            counted = limits.count(buckets(request.META, claims=claims))
        over = limits.exceeded(counted)
        response = _refusal(over) if over else get_response(request)
        for name, value in limits.headers([over] if over else counted):
            response[name] = value
        return response

    return middleware


def _refusal(over: Standing) -> HttpResponse:
    its = over.bucket
    metrics.refused(its.name)
    detail = f"Too many requests: {its.name} allows {its.quota} in {its.seconds} seconds."
    response = plain_problem(HTTPStatus.TOO_MANY_REQUESTS, detail)
    response["Retry-After"] = str(over.reset)
    return response
