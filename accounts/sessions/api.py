"""Log-ins and tokens: validate, one call, respond."""

from dataclasses import asdict
from typing import Any

from django.http import QueryDict
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.sessions import oauth, services
from accounts.sessions.serializers import (
    PASSWORD_GRANT,
    TOKENS,
    LogInSerializer,
    RefreshTokenSerializer,
    Revoked,
    TokensResponse,
)
from accounts.sessions.services import TokenPair
from twitter.base.http.limits import client_address
from twitter.base.http.parsers import BoundedJSONParser
from twitter.base.http.problems import Kind
from twitter.base.http.requests import actor_id, checked
from twitter.base.http.schema import WIRE_ID, invalid, problems, refused

SESSIONS = "Sign-up and sessions"
ACCOUNT_HEADER = "X-Account-Id"


def _tokens(pair: TokenPair) -> Response:
    return oauth.answer({"data": asdict(pair)})


class OpenView(APIView):
    """An endpoint for clients that have no access token yet. It ignores a token that is sent."""

    authentication_classes = []
    permission_classes = []


class TokenView(OpenView):
    """`POST /auth/token`."""

    parser_classes = [BoundedJSONParser, FormParser]

    @extend_schema(
        operation_id="log_in",
        tags=[SESSIONS],
        request={
            BoundedJSONParser.media_type: LogInSerializer,
            FormParser.media_type: PASSWORD_GRANT,
        },
        responses={
            200: TOKENS,
            **problems(
                invalid("username", "This field is required."),
                refused(401, Kind.WRONG_PASSWORD, "Username or password is wrong."),
                refused(403, Kind.SUSPENDED, "This account is suspended."),
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Log in with a username or an e-mail address.

        Begins a session: an access token to send with each request, and a refresh token to get the
        next pair with. After too many wrong passwords for a name, your address has to wait before
        it can try that name again.

        As a form, this is the token endpoint of OAuth 2 (RFC 6749, grant type `password`): the
        tokens then stand at the top of the answer, and errors have `error` as well.
        """
        if isinstance(request.data, QueryDict):  # made of a form
            return oauth.token(request.data, address=client_address(request.META))
        values = checked(LogInSerializer, request.data)
        pair = services.log_in(
            login=values["username"],
            password=values["password"],
            address=client_address(request.META),
        )
        return _tokens(pair)


class RefreshView(OpenView):
    """`POST /auth/token/refresh`."""

    @extend_schema(
        operation_id="refresh_tokens",
        tags=[SESSIONS],
        request=RefreshTokenSerializer,
        responses={
            200: TokensResponse,
            **problems(
                invalid("refresh_token", "This field is required."),
                refused(401, Kind.INVALID_TOKEN, "The refresh token is not valid, or has expired."),
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for a new pair.

        When the access token has expired, or is about to. Store the new refresh token at once: the
        old one is used up. Sent again within 30 seconds, it brings the same new refresh token. Sent
        later, or after the new one was used, it ends the session.
        """
        values = checked(RefreshTokenSerializer, request.data)
        return _tokens(services.refresh(values["refresh_token"]))


class RevokeView(OpenView):
    """`POST /auth/token/revoke`."""

    @extend_schema(
        operation_id="log_out",
        tags=[SESSIONS],
        request=RefreshTokenSerializer,
        responses={200: Revoked, **problems(invalid("refresh_token", "This field is required."))},
    )
    def post(self, request: Request) -> Response:
        """Log out.

        Ends the session that the refresh token belongs to: this token and the session's access
        tokens stop at once. Other sessions go on. A token that is not valid gets the same answer.
        """
        services.log_out(checked(RefreshTokenSerializer, request.data)["refresh_token"])
        return Response({"data": {"revoked": True}})


class VerifyView(APIView):
    """`GET /auth/verify`, for a proxy that asks on behalf of services beside this one."""

    @extend_schema(
        operation_id="verify_token",
        tags=[SESSIONS],
        parameters=[
            OpenApiParameter(
                ACCOUNT_HEADER,
                WIRE_ID,
                OpenApiParameter.HEADER,
                response=[204],
                description="Whose access token it is.",
            )
        ],
        responses={204: None},
    )
    def get(self, request: Request) -> Response:
        """Learn whose access token it is.

        For a proxy that asks on behalf of services beside this one. 204 means that the API would
        take the token now; its account is in the header `X-Account-Id`.
        """
        return Response(status=204, headers={ACCOUNT_HEADER: str(actor_id(request))})


class BearerTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A JWT in the Authorization header, and how Swagger UI gets one."""

    # By name: the class cannot be imported while Django REST framework is being imported.
    target_class = "accounts.sessions.authentication.BearerToken"
    name = ["logIn", "pasteToken"]  # shown in this order

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        """Return the two as alternatives."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        """Return the OpenAPI security schemes, in the order of their names."""
        return [
            {
                "type": "oauth2",
                "description": "Log in here: username or e-mail address, and password.",
                "flows": {"password": {"tokenUrl": "/auth/token", "scopes": {}}},
            },
            {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "Or paste an `access_token` that `POST /auth/token` answered.",
            },
        ]
