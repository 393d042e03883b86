"""Reading request bodies, within bounds."""

import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.request import Request

# Arrays and objects in one another; no body that the API takes has more than one.
MAX_DEPTH = 32

# A string, or what is left of it at the end, is one token: brackets in it do not count.
_STRINGS_AND_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"?+|[\[\]{}]', re.DOTALL)


class BoundedJSONParser(JSONParser):
    """DRF's JSON parser, refusing bodies that are nested too deep, before anything recurses.

    `middleware.bounded_body` has seen to their length: DATA_UPLOAD_MAX_MEMORY_SIZE does not bound a
    body that is read as a stream.
    """

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read()
        try:
            body.decode()
        except UnicodeDecodeError as error:  # DRF drops a character that is cut off at the end
            raise ParseError(f"JSON parse error: {error}") from error
        if _is_deeper(body, MAX_DEPTH):
            raise ParseError(f"JSON parse error: nested deeper than {MAX_DEPTH} levels.")
        return super().parse(BytesIO(body), media_type, parser_context)


def _is_deeper(body: bytes, depth: int) -> bool:
    """Tell whether JSON is nested deeper; of other bytes, whether a parser might get deeper."""
    if body.count(b"[") + body.count(b"{") <= depth:
        return False
    left = depth
    for token in _STRINGS_AND_BRACKETS.findall(body):
        left += (token in {b"]", b"}"}) - (token in {b"[", b"{"})
        if left < 0:
            return True
    return False


class AlwaysJSON(BaseContentNegotiation):
    """The API speaks JSON whatever `Accept` says, which RFC 9110 section 12.5.1 allows."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        media_type = (request.content_type or "").split(";")[0].strip().lower()
        matching = (parser for parser in parsers if parser.media_type == media_type)
        return next(matching, None)

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        return renderers[0], renderers[0].media_type
