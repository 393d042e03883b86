"""The WSGI entry point that gunicorn serves."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "twitter.settings")


class Request(WSGIRequest):
    """A request whose query and body are UTF-8, whatever `charset` its Content-Type names.

    For JSON there is no other (RFC 8259, section 8.1), and browsers send the admin's forms so.
    Django takes what Python can look up, but of that some are no encodings of text, which is an
    error for the query, and some take quadratic time, such as punycode.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            found = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except ValueError:
            meta["CONTENT_TYPE"] = ""  # nobody shall try again; the answer is 415
            found = "", {}
        self.content_type, self.content_params = found


_django = get_wsgi_application()
_django.request_class = Request

from timelines import facade as timelines  # noqa: E402 - apps are ready from here on
from twitter.lib import metrics  # noqa: E402
from twitter.lib.observing import observed  # noqa: E402


@observed
@metrics.measured
def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a warm read of a home timeline right here, and have Django answer the rest."""
    warm = timelines.warm_answer(environ)
    if warm is None:
        return _django(environ, start_response)
    headers, body = warm
    start_response("200 OK", headers)
    return [body]
