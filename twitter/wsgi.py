"""The WSGI application. Web servers load it by twitter/web.py."""

import logging
import os
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "twitter.settings")


class Request(WSGIRequest):
    """A request whose query and body are UTF-8, whatever `charset` its Content-Type names.

    For JSON there is no other (RFC 8259, section 8.1), and browsers send the admin's forms so.
    Django takes what Python can look up, but of that some are no encodings of text, which is an
    error for the query, and some take quadratic time, such as punycode.

    A body that was sent in chunks (RFC 9112, section 7.1) is read here, for Django reads as many
    bytes as CONTENT_LENGTH says. The server has put the chunks together. No more is read than it
    takes to see that it is too long: `middleware.bounded_body` refuses it then.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        if environ.pop("HTTP_TRANSFER_ENCODING", "") and not environ.get("CONTENT_LENGTH"):
            body = environ["wsgi.input"].read(settings.MAX_BODY_BYTES + 1)
            environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        super().__init__(environ)

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            found = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except ValueError:
            meta["CONTENT_TYPE"] = ""  # it is not parsed again; the answer is 415
            found = "", {}
        self.content_type, self.content_params = found


logger = logging.getLogger(__name__)

_django = get_wsgi_application()
_django.request_class = Request

from timelines import facade as timelines  # noqa: E402 - apps are ready from here on
from twitter.base.observe import metrics  # noqa: E402
from twitter.base.observe.observing import observed  # noqa: E402


@observed
@metrics.measured
def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a warm read of a home timeline right here, and have Django answer the rest.

    Returns a list, which servers send as it is, or a stream, which has to be asked for its blocks.
    """
    try:
        warm = timelines.warm_answer(environ)
    except Exception:  # a bug; servers have no problem+json to answer it with
        logger.exception("A warm read failed")
        warm = None
    if warm is not None:
        status, headers, body = warm
        environ[metrics.ANSWERED] = metrics.HOME, status.value
        start_response(f"{status.value} {status.phrase}", headers)
        return [body]
    return by_django(environ, start_response)


def by_django(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Have Django answer; a list, but for a stream."""
    response = _django(environ, start_response)
    blocks: list[bytes] = []
    if environ["REQUEST_METHOD"] != "HEAD":  # RFC 9110, 9.3.2; Django answers it like GET
        if not isinstance(response, HttpResponse):
            return response
        blocks.append(response.content)
    response.close()
    return blocks
