"""Reading request bodies, within bounds."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.request import Request


class BodyTooLarge(APIException):
    """413: the body is longer than MAX_BODY_BYTES."""

    status_code = 413
    default_detail = f"The body may have at most {settings.MAX_BODY_BYTES} bytes."


class BoundedJSONParser(JSONParser):
    """DRF's JSON parser, refusing bodies that are too large or nested too deep.

    The length is checked before a byte is read: DATA_UPLOAD_MAX_MEMORY_SIZE does not bound a body
    that is read as a stream.
    """

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        meta = (parser_context or {})["request"].META
        if int(meta.get("CONTENT_LENGTH") or 0) > settings.MAX_BODY_BYTES:
            raise BodyTooLarge
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON parse error: nested too deep.") from error


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
