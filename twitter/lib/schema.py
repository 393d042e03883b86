"""How the API describes itself."""

from http import HTTPStatus
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import SAFE_METHODS

from twitter.lib.errors import CONTENT_TYPE, Problem, problem
from twitter.lib.ids import WireIdField

WIRE_ID = {"type": "string", "pattern": "^[1-9][0-9]{0,15}$", "examples": ["1234567890123"]}


def problems(*statuses: int) -> dict[tuple[int, str], Any]:
    """Return the entries of `responses` for errors beyond those that any operation may answer."""
    return {(status, CONTENT_TYPE): Problem for status in statuses}


def delete_parameter(name: str) -> OpenApiParameter:
    """Return the query parameter of a DELETE; a JSON body may carry the same field instead."""
    return OpenApiParameter(
        name, WIRE_ID, required=True, description=f'Or a JSON body, `{{"{name}": …}}`.'
    )


class ApiSchema(AutoSchema):
    """Describes ids, and adds to every operation the errors that any operation may answer."""

    def _map_serializer_field(
        self, field: Any, direction: Any, bypass_extensions: bool = False
    ) -> Any:
        if isinstance(field, WireIdField):
            return {**WIRE_ID, "type": ["string", "null"]} if field.allow_null else dict(WIRE_ID)
        return super()._map_serializer_field(field, direction, bypass_extensions)  # type: ignore[no-untyped-call]

    def get_operation_id(self) -> str:
        """Return method and path, as in `get_auth_id`."""
        parts = [part for part in self.path.split("/") if part and not part.startswith("{")]
        return "_".join([self.method.lower(), *parts])

    def get_summary(self) -> str:
        """Return the first line of the view method's docstring."""
        return str(self.get_description()).partition("\n")[0]

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
        for status in self._common_errors():
            if status not in responses:
                responses[status] = self._get_response_for_code(  # type: ignore[no-untyped-call]
                    Problem, status, [CONTENT_TYPE], direction
                )
        for status, response in responses.items():
            response["description"] = HTTPStatus(int(status)).phrase
            if CONTENT_TYPE in response.get("content", {}):
                response["content"][CONTENT_TYPE]["examples"] = {"Problem": _example(int(status))}
        return dict(sorted(responses.items()))

    def _common_errors(self) -> list[str]:
        errors = ["400", "404", "429", "503"]
        if self.get_auth():
            errors.append("401")
        if self.method not in SAFE_METHODS:
            errors += ["413", "415"]
        return errors


def _example(status: int) -> dict[str, Any]:
    rule = "This field is required."
    if status == HTTPStatus.BAD_REQUEST:
        return {"value": problem(status=status, detail=f"field: {rule}", errors={"field": [rule]})}
    return {"value": problem(status=status, detail="What went wrong, for a person.")}
