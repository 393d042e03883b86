"""Reads that a client may keep if it asks each time whether they still hold: `ETag`, 304.

RFC 9110, sections 8.8.3 (ETag), 13.1.2 (If-None-Match) and 15.4.5 (304).
"""

from collections.abc import Mapping
from hashlib import sha1
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

# A browser keeps them for this person only, and asks before it shows them. Answers differ by who
# asks; so does what was kept, if two people use one browser.
KEPT = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}
# What tells of a body, or stands in it as well: a client that gets a 304 has both.
_OF_THE_BODY = frozenset({"Content-Length", "Content-Type", "Link"})

Headers = list[tuple[str, str]]


def answer(
    environ: Mapping[str, Any], *, headers: Headers, body: bytes
) -> tuple[HTTPStatus, Headers, bytes]:
    """Return status, headers and body of the answer to a WSGI request for what has this body.

    200, or 304 if the client has it. `headers` are those of the 200, without `ETag`.
    """
    tag = _tag(body)
    told = [*headers, ("ETag", tag)]
    if not _has(environ, tag):
        return HTTPStatus.OK, told, body
    return HTTPStatus.NOT_MODIFIED, [each for each in told if each[0] not in _OF_THE_BODY], b""


class ConditionalView(APIView):
    """A view whose answers to GET may be kept; those of all others are `no-store`.

    It answers bytes: a response that is not rendered yet has no body to compare.
    """

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add what `answer` adds, or make it a 304. Errors are not kept."""
        whole: HttpResponse = super().finalize_response(request, response, *args, **kwargs)
        if whole.status_code == HTTPStatus.OK:
            tag = _tag(whole.content)
            for name, value in (KEPT | {"ETag": tag}).items():
                whole.headers[name] = value
            if _has(request.META, tag):
                whole.status_code = HTTPStatus.NOT_MODIFIED
                whole.content = b""
                for name in _OF_THE_BODY:
                    whole.headers.pop(name, None)
        return whole


def _tag(body: bytes) -> str:
    """Return the entity tag of a body.

    It is weak, for nginx may compress the body, and would make a strong one weak in a 200 but not
    in a 304. SHA-1 guards nothing here: if somebody makes two pages with one digest, a change from
    one to the other is hidden from those who read both.
    """
    return f'W/"{sha1(body, usedforsecurity=False).hexdigest()}"'


def _has(environ: Mapping[str, Any], tag: str) -> bool:
    """Tell whether the client has what the tag stands for; what is no tag matches nothing.

    The comparison is weak: `W/` does not count. A list is searched, not parsed, so a long one costs
    one pass. What stands in quotes is found whole, for a tag has no quotes within it.
    """
    sent = environ.get("HTTP_IF_NONE_MATCH")
    if not sent:
        return False
    before, found, after = sent.partition(tag.removeprefix("W/"))
    if not found:
        return bool(sent.strip() == "*")
    ends = before.removesuffix("W/").rstrip()[-1:], after.lstrip()[:1]
    return all(end in ("", ",") for end in ends)
