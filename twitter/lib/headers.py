"""Security headers beside those of Django's own middleware, for whoever answers."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.deprecation import MiddlewareMixin

# What a browser may load for an answer (Content Security Policy level 3). The API's are data:
# should a browser take one for a page, it loads and runs nothing.
DATA = "default-src 'none'; frame-ancestors 'none'"
PAGE = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)


class SecurityHeaders(MiddlewareMixin):
    """Say what a browser may do with an answer, unless the view has said so itself."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Add what is missing; files, which whitenoise serves, are public and no pages."""
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if not request.path_info.startswith(settings.STATIC_URL):
            is_page = response.headers.get("Content-Type", "").startswith("text/html")
            response.headers.setdefault("Content-Security-Policy", PAGE if is_page else DATA)
            # Answers differ by who asks. RFC 9111 would let caches keep them.
            response.headers.setdefault("Cache-Control", "no-store")
        return response


# As in MIDDLEWARE, the innermost first: what gives every answer its headers.
MIDDLEWARE: tuple[Any, ...] = (SecurityMiddleware, XFrameOptionsMiddleware, SecurityHeaders)


def without_request(response: HttpResponse) -> HttpResponse:
    """Add the headers to the answer to what is no valid request.

    Strict-Transport-Security is not among them: whether it came by TLS is not known.
    """
    for middleware in MIDDLEWARE:
        response = middleware(_nothing).process_response(HttpRequest(), response)
    return response


def _nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse()
