"""Headers for all answers, beside those of Django's own middleware: security, and CORS."""

from collections.abc import Mapping
from functools import lru_cache, partial
from http import HTTPStatus
from io import BytesIO
from typing import Any

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.deprecation import MiddlewareMixin

from twitter.base.http.conditional import KEPT
from twitter.base.http.errors import plain_problem
from twitter.base.http.middleware import API, is_admin_host

# What a browser may load for an answer (Content Security Policy level 3). The API's are data:
# should a browser take one for a page, it loads and runs nothing.
DATA = "default-src 'none'; frame-ancestors 'none'"
PAGE = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
# These have no body, and Content-Length would tell of one (RFC 9110, section 8.6).
WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
# In bytes. An address in a redirect is made of the request's, where one byte may become five. A
# proxy takes an answer whose header is too long for a failure of the server.
MAX_LOCATION = 2_048


class SecurityHeaders(MiddlewareMixin):
    """Say what a browser may do with an answer, unless the view has said so itself."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Add what is missing; files, which whitenoise serves, are public and no pages."""
        response = _bounded(response)
        if response.status_code in WITHOUT_BODY:
            response.headers.pop("Content-Length", None)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if not request.path_info.startswith(settings.STATIC_URL):
            is_page = response.headers.get("Content-Type", "").startswith("text/html")
            response.headers.setdefault("Content-Security-Policy", PAGE if is_page else DATA)
            # Answers differ by who asks. RFC 9111 would let caches keep them.
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def _bounded(response: HttpResponse) -> HttpResponse:
    """Return the answer, or a short one in place of a redirect whose address is too long."""
    location = response.headers.get("Location", "")
    if len(location) <= MAX_LOCATION:
        return response
    log_in = f"/{settings.ADMIN_PATH}login/"
    if location.startswith(f"{log_in}?"):
        response.headers["Location"] = log_in  # which then leads to the admin's first page
        return response
    return plain_problem(HTTPStatus.REQUEST_URI_TOO_LONG, "The address is too long to redirect to.")


class CrossOrigin(CorsMiddleware):
    """CORS (the Fetch standard) for the API, if CORS_ALLOWED_ORIGINS names somebody."""

    def is_enabled(self, request: HttpRequest) -> bool:
        """Tell whether pages of other origins may read this answer; of the admin, never."""
        if not (settings.CORS_ALLOWED_ORIGINS or settings.CORS_ALLOW_ALL_ORIGINS):
            return False
        return request.path_info.startswith(API) and not is_admin_host(request)

    def origin_found_in_white_lists(self, origin: str, url: Any) -> bool:
        """Compare the header as it stands: what is allowed is sent back, and nothing beside it."""
        return origin in settings.CORS_ALLOWED_ORIGINS


# As in MIDDLEWARE, the innermost first: what gives every answer its headers.
MIDDLEWARE: tuple[Any, ...] = (
    CrossOrigin,
    SecurityMiddleware,
    XFrameOptionsMiddleware,
    SecurityHeaders,
)

# The variables of a WSGI request that the middleware looks at, beside its path and Origin.
_DECISIVE = ("wsgi.url_scheme", "HTTP_HOST", "HTTP_X_FORWARDED_PROTO", "SERVER_NAME", "SERVER_PORT")
# The most characters of their values together: these are kept, and clients choose them.
_DECISIVE_LENGTH = 1_000


def of_a_read(environ: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """Return the headers that a 200 to a GET of the API has, of a read that a client may keep.

    None when the middleware would refuse or redirect the WSGI request, or may do so. `Link`, the
    rate limits and the body's own headers are not among them.
    """
    decisive = tuple(environ.get(name, "") for name in _DECISIVE)
    if sum(map(len, decisive)) > _DECISIVE_LENGTH:
        return None
    return _of_a_read(environ["PATH_INFO"], _allowed(environ.get("HTTP_ORIGIN", "")), *decisive)


def _allowed(origin: str) -> str:
    """Return the origin if CORS_ALLOWED_ORIGINS has it, else "".

    If all origins are allowed, one address stands for each of them.
    """
    if settings.CORS_ALLOW_ALL_ORIGINS:
        return origin and "https://any.example"
    return origin if origin in settings.CORS_ALLOWED_ORIGINS else ""


@lru_cache(maxsize=1_000)
def _of_a_read(path: str, origin: str, *decisive: str) -> list[tuple[str, str]] | None:
    environ = {
        **dict(zip(_DECISIVE, decisive, strict=True)),
        **({"HTTP_ORIGIN": origin} if origin else {}),
        "PATH_INFO": path,
        "REQUEST_METHOD": "GET",
        "wsgi.input": BytesIO(),
    }
    request = WSGIRequest(environ)
    try:
        if is_admin_host(request):
            return None
    except DisallowedHost:
        return None
    response: Any = HttpResponse(
        headers={"Content-Type": "", "Allow": "GET, HEAD, OPTIONS", **KEPT}
    )
    for middleware in MIDDLEWARE:
        response = middleware(partial(_given, response))(request)
    del response["Content-Type"]
    return list(response.items()) if response.status_code == HTTPStatus.OK else None


def _given(response: HttpResponse, request: HttpRequest) -> HttpResponse:
    return response
