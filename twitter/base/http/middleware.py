"""Which middleware runs for what.

The API knows no cookies and no static files, so what serves these runs for pages only: the admin
and Swagger UI. Django's checks look for it in MIDDLEWARE, by class; hence subclasses. Django's
protection against forged requests and frames runs for all under its own name, which `check
--deploy` asks for; the API's views are exempt from the former, and both cost next to nothing.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import OperationalError, connection
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.urls import Resolver404, ResolverMatch, resolve
from whitenoise.middleware import WhiteNoiseMiddleware

from twitter.base.http.errors import not_found, plain_problem
from twitter.base.observe import logging, metrics, tracing

API = ("/timeline/", "/tweet/", "/auth/")


class PagesOnly:
    """Mixin: a middleware that the API's requests pass by."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> Any:
        if request.path_info.startswith(API):
            return self.get_response(request)
        return super().__call__(request)  # type: ignore[misc]


class Session(PagesOnly, SessionMiddleware):
    """Sessions of the admin."""


class Authentication(PagesOnly, AuthenticationMiddleware):
    """Who is logged in to the admin."""


class Messages(PagesOnly, MessageMiddleware):
    """What the admin tells after a redirect."""


class StaticFiles(PagesOnly, WhiteNoiseMiddleware):  # type: ignore[misc]  # untyped
    """Style sheets and scripts of the admin and of Swagger UI."""


class Told:
    """Tell metrics, logs and trace which route a request has taken, and what it failed with.

    Comes first in MIDDLEWARE: a request that others refuse has a route as well.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        match = _match(request, response.status_code)
        if match:
            logging.note(route=f"/{match.route}")
        request.META[metrics.ANSWERED] = _group(request, match), response.status_code
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Tell the trace of an error that becomes a 500."""
        tracing.failed(exception)


def _match(request: HttpRequest, status: int) -> ResolverMatch | None:
    """Return the view that a request's path leads to, even if the request was refused before."""
    if request.resolver_match is None and status != HTTPStatus.NOT_FOUND:
        with suppress(Resolver404):
            return resolve(request.path_info)
    return request.resolver_match


def _group(request: HttpRequest, match: ResolverMatch | None) -> str:
    """Return the pattern of the URL that is asked for, of which there are only so many."""
    if request.path_info.startswith(settings.STATIC_URL):
        return metrics.STATIC
    if match is None:
        return metrics.UNKNOWN
    return metrics.ADMIN if match.app_name == "admin" else f"/{match.route}"


def bounded_body(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Refuse a body that is longer than MAX_BODY_BYTES (413) before anything is read of it."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if int(request.META.get("CONTENT_LENGTH") or 0) > settings.MAX_BODY_BYTES:
            return plain_problem(413, f"The body may have at most {settings.MAX_BODY_BYTES} bytes.")
        return get_response(request)

    return middleware


def options(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Answer OPTIONS with 204 and `Allow`, which anybody may know; the admin does it itself.

    Comes before the rate limits and the API's authentication: it asks neither Redis nor PostgreSQL.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.method != "OPTIONS":
            return get_response(request)
        view = getattr(resolve(request.path_info).func, "view_class", None)
        if view is None:
            return get_response(request)
        response = HttpResponse(status=HTTPStatus.NO_CONTENT)
        del response["Content-Type"]
        allowed = {name.upper() for name in view.http_method_names if hasattr(view, name)}
        response["Allow"] = ", ".join(sorted(allowed | ({"HEAD"} if "GET" in allowed else set())))
        return response

    return middleware


def is_admin_host(request: HttpRequest) -> bool:
    """Return whether a request names ADMIN_HOST; raises DisallowedHost."""
    domain, _ = split_domain_port(request.get_host())
    return bool(domain == settings.ADMIN_HOST)


def admin_apart(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """With ADMIN_HOST, answer 404 for the admin elsewhere, and for all but the admin there.

    Were Swagger UI or the API on that host as well, a script that got into one of their answers
    would act with the cookie of the moderator who looks at it. Comes before the rate limits, which
    would tell that there is a log-in.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if settings.ADMIN_HOST and not request.path_info.startswith(settings.STATIC_URL):
            is_admin = f"{request.path_info}/".startswith(f"/{settings.ADMIN_PATH}")
            if is_admin != is_admin_host(request):
                return not_found(request, Http404())
        return get_response(request)

    return middleware


class TooSlow(OperationalError):
    """The request has taken too long to begin another statement; told as if that had taken long."""

    sqlstate = "57014"


def in_time(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Refuse a request's statements, with 503, once it has taken REQUEST_SECONDS."""

    def middleware(request: HttpRequest) -> HttpResponse:
        deadline = time.monotonic() + settings.REQUEST_SECONDS

        def execute(execute: Any, *statement: Any) -> Any:
            if time.monotonic() > deadline:
                raise TooSlow
            return execute(*statement)

        with connection.execute_wrapper(execute):
            return get_response(request)

    return middleware
