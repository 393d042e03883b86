"""How the API describes itself."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from twitter.base.data.ids import WireIdField
from twitter.base.data.postgresql import trouble
from twitter.base.http.conditional import ConditionalView
from twitter.base.http.errors import Problem
from twitter.base.http.fields import InputSerializer
from twitter.base.http.problems import CONTENT_TYPE, Kind, problem

WIRE_ID = {"type": "string", "pattern": "^[1-9][0-9]{0,15}$", "examples": ["1234567890123"]}
HEALTH = "Health"

HEADERS = {
    "X-Request-Id": "The request's id, which the service's log lines have as well. Quote it when "
    "you report a problem.",
    "RateLimit": 'How you stand: `"reads-per-user";r=899;t=60` means 899 more within 60 seconds.',
    "RateLimit-Policy": 'That limit: `"reads-per-user";q=900;w=60` means 900 in 60 seconds.',
    "Retry-After": "In how many seconds it is worth another try; with 429 and 503.",
    "Link": 'The neighbouring pages (RFC 8288): `rel="next"` is older, `rel="prev"` newer. '
    "Without `next` this is the last page.",
    "ETag": "Stands for this answer. Send it as `If-None-Match` with the next such request.",
    "Cache-Control": "`private, no-cache`: keep the answer for this user only, and ask each time "
    "whether it still holds. `no-store`, with all other answers: do not keep it.",
    "Vary": "`Authorization`: what was kept is for who sent the same token.",
}
# Those of an answer that may be kept, and of the answer that it still holds.
CACHING = ("ETag", "Cache-Control", "Vary")
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    {"type": "string"},
    OpenApiParameter.HEADER,
    description="The `ETag` of the answer that you have; several with commas between them, or `*`. "
    "If that is still the answer, it is 304 without a body.",
)


def refused(status: int, kind: Kind, detail: str, *, field: str | None = None) -> dict[str, Any]:
    """Return an error as the API answers it; with `field`, one that names that field."""
    if field is None:
        return problem(status=status, kind=kind, detail=detail)
    errors = {field: [detail]}
    return problem(status=status, kind=kind, detail=f"{field}: {detail}", errors=errors)


def invalid(field: str, detail: str) -> dict[str, Any]:
    """Return the error that names what is wrong with a field."""
    return refused(400, Kind.INVALID_INPUT, detail, field=field)


# What any operation may answer, described once.
COMMON = [
    refused(400, Kind.INVALID_REQUEST, "JSON parse error: Expecting value: line 1 column 1"),
    refused(401, Kind.EXPIRED_TOKEN, "The access token has expired."),
    refused(401, Kind.INVALID_TOKEN, "The access token is no longer valid."),
    refused(401, Kind.UNAUTHENTICATED, "Authentication credentials were not provided."),
    refused(413, Kind.TOO_LARGE, "The body may have at most 65536 bytes."),
    refused(429, Kind.RATE_LIMITED, "Too many requests: reads-per-user allows 900 in 60 seconds."),
    refused(
        503,
        Kind.UNAVAILABLE,
        trouble.NOT_NOW,
    ),
]


def problems(*examples: dict[str, Any]) -> dict[tuple[int, str], Any]:
    """Return the entries of `responses` for errors of an endpoint's own, as it answers them."""
    by_status: dict[int, list[OpenApiExample]] = {}
    for each in examples:
        found = by_status.setdefault(each["status"], [])
        found.append(OpenApiExample(each["title"], value=each))
    return {
        (status, CONTENT_TYPE): OpenApiResponse(Problem, examples=found)
        for status, found in by_status.items()
    }


def path_id(name: str, description: str) -> OpenApiParameter:
    """Return the description of an id in a path."""
    return OpenApiParameter(name, WIRE_ID, OpenApiParameter.PATH, description=description)


def delete_parameter(name: str, description: str) -> OpenApiParameter:
    """Return the query parameter of a DELETE; a JSON body may carry the same field instead."""
    return OpenApiParameter(
        name,
        WIRE_ID,
        required=True,
        description=f'{description} It may be sent as a JSON body instead: `{{"{name}": "…"}}`.',
    )


class ApiSchema(AutoSchema):
    """Describes ids and input; the first line of a docstring is a summary, the rest tells more."""

    def _map_serializer_field(
        self, field: Any, direction: Any, bypass_extensions: bool = False
    ) -> Any:
        if isinstance(field, WireIdField):
            nullable = {"type": ["string", "null"]} if field.allow_null else {}
            told = {"description": str(field.help_text)} if field.help_text else {}
            return {**WIRE_ID, **nullable, **told}
        return super()._map_serializer_field(field, direction, bypass_extensions)  # type: ignore[no-untyped-call]

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Any:
        schema = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        if isinstance(serializer, InputSerializer):
            schema["additionalProperties"] = False
        return schema

    def _get_serializer_name(self, *args: Any, **options: Any) -> str:
        name: str = super()._get_serializer_name(*args, **options)
        return name.removeprefix("Patched")  # what a PATCH takes, no other method does

    def get_operation_id(self) -> str:
        """Return the path in words; operations that clients call by name say so themselves."""
        return "_".join(part for part in self.path.split("/") if part)

    def get_summary(self) -> str:
        """Return the first line of the view method's docstring."""
        return str(super().get_description()).partition("\n")[0].rstrip(".")

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular's has no path
        """Return the docstring's other lines: when to use it, and what happens then."""
        return str(super().get_description()).partition("\n")[2].strip()

    def get_override_parameters(self) -> list[Any]:
        """Return the parameters that a view does not name itself."""
        return [IF_NONE_MATCH] if isinstance(self.view, ConditionalView) else []

    def _get_request_body(self, direction: Any = "request") -> Any:
        if self.method != "DELETE":
            return super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        # drf-spectacular leaves the body of a DELETE out, which OpenAPI 3.1 allows.
        self.method = "POST"
        try:
            return super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        finally:
            self.method = "DELETE"

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        responses: dict[str, Any] = super()._get_response_bodies(direction)
        if isinstance(self.view, ConditionalView):
            responses["304"] = {}
        for status, response in responses.items():
            response["description"] = HTTPStatus(int(status)).phrase
        self.resolve_serializer(Problem, direction)  # `share` refers to it
        return dict(sorted(responses.items()))


def share(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add to all operations what they have in common; a hook of drf-spectacular."""
    components = result["components"]
    components["headers"] = {
        name: {"description": description, "schema": {"type": "string"}}
        for name, description in HEADERS.items()
    }
    components["responses"] = {
        "Problem": {
            "description": "Any other error.",
            "headers": _headers("Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id"),
            "content": {
                CONTENT_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {
                        each["title"].replace(" ", ""): {"summary": each["title"], "value": each}
                        for each in COMMON
                    },
                }
            },
        }
    }
    result["info"]["description"] = _unwrapped(result["info"]["description"])
    for operation in _operations(result):
        operation["description"] = _unwrapped(operation["description"])
        names = [] if HEALTH in operation["tags"] else ["RateLimit", "RateLimit-Policy"]
        for status, response in operation["responses"].items():
            links = ["Link"] if status == "200" and _is_page(operation) else []
            kept = CACHING if "304" in operation["responses"] and status in ("200", "304") else ()
            told = _headers(*kept, *names, *links, "X-Request-Id")
            response.setdefault("headers", {}).update(told)
        operation["responses"]["default"] = {"$ref": "#/components/responses/Problem"}
    return result


def _unwrapped(text: str) -> str:
    """Join the lines of each paragraph, which Swagger UI would break where they end."""
    return re.sub(r"(?<=\S)\n(?!\n|\||\[\w+\]:)", " ", text.strip())


def _operations(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in result["paths"].values():
        yield from methods.values()


def _is_page(operation: dict[str, Any]) -> bool:
    return any(parameter["name"] == "limit" for parameter in operation.get("parameters", ()))


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
