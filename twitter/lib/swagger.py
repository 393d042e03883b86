"""Swagger UI, under a Content Security Policy."""

from typing import Any

from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

from twitter.lib.headers import PAGE

# Its script is a file of its own, its styles are not.
POLICY = f"{PAGE}; style-src 'self' 'unsafe-inline'"


class SwaggerView(SpectacularSwaggerSplitView):
    """`GET /api/docs/`."""

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Show the page, or send its script."""
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        response.headers["Content-Security-Policy"] = POLICY
        return response
