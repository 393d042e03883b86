"""The API's description and Swagger UI: anybody may ask for them, so a process makes them once."""

import json
import threading
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.utils.cache import get_conditional_response
from django.utils.html import format_html
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from rest_framework.views import APIView

from twitter.base.http.headers import PAGE

# Its script is a file of its own, its styles are not.
POLICY = f"{PAGE}; style-src 'self' 'unsafe-inline'"
SCHEMA_PATH, SCRIPT_PATH = "/api/schema/", "/api/docs/start.js"

SETTINGS: dict[str, Any] = {
    "url": SCHEMA_PATH,
    "dom_id": "#swagger-ui",
    "layout": "BaseLayout",
    "deepLinking": True,
    "filter": True,
    "persistAuthorization": True,
    "displayRequestDuration": True,
    "defaultModelsExpandDepth": -1,  # types stand with the operations that have them
    "validatorUrl": None,  # no badge of a stranger's host
}
SCRIPT = "SwaggerUIBundle({{...{settings}, presets: [SwaggerUIBundle.presets.apis]}});\n"
# People who log in under *Authorize* are no OAuth clients and have no scopes, and answers have no
# links. Fields for these would only puzzle.
DOCUMENT = """<!DOCTYPE html>
<html lang="en">
<head>
<title>twitter: the API</title>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="{icon}">
<link rel="stylesheet" href="{style}">
<style>
body {{ background: #fafafa; margin: 0; }}
.swagger-ui .auth-container .wrapper:has(> label[for="password_type"]),
.swagger-ui .auth-container .wrapper:has(> label[for^="client_"]),
.swagger-ui .scope-def, .swagger-ui .response-col_links {{ display: none; }}
.swagger-ui .info table tbody tr td {{ padding: 2px 0; }}
</style>
</head>
<body>
<div id="swagger-ui"></div>
<script src="{bundle}"></script>
<script src="{script}"></script>
</body>
</html>
"""


class MadeOnce:
    """Bytes that are made when they are first asked for, and kept, with the ETag that they have."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: tuple[bytes, str] | None = None

    def __call__(self) -> tuple[bytes, str]:
        """Return the bytes and their ETag."""
        if self._made is None:
            with self._lock:  # others wait: together they would take as long for each
                if self._made is None:
                    body = self._make()
                    self._made = body, f'"{sha256(body).hexdigest()[:32]}"'
        return self._made


def _describe() -> bytes:
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    body: bytes = OpenApiYamlRenderer().render(schema)  # type: ignore[no-untyped-call]
    return body


def _document() -> bytes:
    files = "drf_spectacular_sidecar/swagger-ui-dist"
    return format_html(
        DOCUMENT,
        icon=static(f"{files}/favicon-32x32.png"),
        style=static(f"{files}/swagger-ui.css"),
        bundle=static(f"{files}/swagger-ui-bundle.js"),
        script=SCRIPT_PATH,
    ).encode()


def _script() -> bytes:
    return SCRIPT.format(settings=json.dumps(SETTINGS)).encode()


class FixedView(APIView):
    """An answer that is the same for everybody, and needs no token."""

    schema = None
    authentication_classes = ()
    permission_classes = ()
    made: MadeOnce
    content_type: str

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return it, or 304 to a client that has it."""
        body, etag = self.made()
        headers = {"Cache-Control": "no-cache", "ETag": etag}
        whole = HttpResponse(body, content_type=self.content_type, headers=headers)
        response = get_conditional_response(request, etag=etag, response=whole) or whole
        # Of a 304 as well: a browser gives the page that it has the header that comes now.
        response.headers["Content-Security-Policy"] = POLICY
        return response


class SchemaView(FixedView):
    """`GET /api/schema/`."""

    made = MadeOnce(_describe)
    content_type = "application/vnd.oai.openapi"


class SwaggerView(FixedView):
    """`GET /api/docs/`."""

    made = MadeOnce(_document)
    content_type = "text/html; charset=utf-8"


class ScriptView(FixedView):
    """`GET /api/docs/start.js`."""

    made = MadeOnce(_script)
    content_type = "text/javascript; charset=utf-8"
