"""The token endpoint as OAuth 2 has it (RFC 6749, section 4.3): a form in, bare tokens out.

For clients that are made to speak it, such as Swagger UI: its *Authorize* has fields for a name and
a password. Clients are not registered, so what they say of themselves is not looked at.
"""

from dataclasses import asdict
from typing import Any

from django.http import QueryDict
from rest_framework.response import Response

from accounts.sessions import services
from accounts.sessions.serializers import LogInSerializer
from twitter.base.http.errors import Forbidden, Unauthenticated
from twitter.base.http.problems import CONTENT_TYPE, Kind, problem


def token(form: QueryDict, *, address: str) -> Response:
    """Log in as a form asks for it. Raises TooMany.

    `address` is where the request comes from. An error is a problem with the members that section
    5.2 asks for, `error` and `error_description`.
    """
    given = LogInSerializer(data={name: form.get(name, "") for name in ("username", "password")})
    if refusal := _wrong_with(form):
        return _refused(*refusal)
    if not given.is_valid():
        return _refused("invalid_request", "Send username and password.")
    values = given.validated_data
    try:
        pair = services.log_in(
            login=values["username"], password=values["password"], address=address
        )
    except (Unauthenticated, Forbidden) as error:
        return _refused("invalid_grant", error.detail, kind=error.kind)
    return answer(asdict(pair))


def answer(body: dict[str, Any]) -> Response:
    """Return an answer that holds tokens: nothing on its way may keep a copy (section 5.1)."""
    return Response(body, headers={"Cache-Control": "no-store"})


def _wrong_with(form: QueryDict) -> tuple[str, str] | None:
    """Return the code and the description of what is wrong beside name and password."""
    if any(len(values) > 1 for _, values in form.lists()):
        return "invalid_request", "Send each parameter once."
    if not form.get("grant_type"):
        return "invalid_request", "Send grant_type=password."
    if form["grant_type"] != "password":
        return "unsupported_grant_type", "The only grant_type is password."
    if form.get("scope"):
        return "invalid_scope", "Tokens have no scope; leave it out."
    return None


def _refused(code: str, detail: str, *, kind: Kind | None = None) -> Response:
    body: dict[str, Any] = problem(status=400, kind=kind, detail=detail)
    body |= {"error": code, "error_description": detail}
    return Response(body, status=400, content_type=CONTENT_TYPE)
