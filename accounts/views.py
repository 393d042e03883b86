"""The auth service: validate, one call, respond."""

from dataclasses import asdict
from typing import Any

from django.http import HttpResponse, QueryDict
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import oauth, selectors, services, sessions
from accounts.authentication import session_id
from accounts.schema import NO_USER
from accounts.serializers import (
    PASSWORD_GRANT,
    TOKENS,
    USER_EXAMPLE,
    AccountDeleted,
    LogInSerializer,
    OwnerResponse,
    OwnerSerializer,
    PasswordSerializer,
    RefreshTokenSerializer,
    Revoked,
    SignUpSerializer,
    TokensResponse,
    UpdateSerializer,
    UserResponse,
)
from accounts.sessions import TokenPair
from twitter.base.http.errors import NotFound
from twitter.base.http.limits import client_address
from twitter.base.http.parsers import BoundedJSONParser
from twitter.base.http.problems import Kind
from twitter.base.http.renderers import envelope
from twitter.base.http.requests import actor_id, checked
from twitter.base.http.schema import WIRE_ID, invalid, path_id, problems, refused

ACCOUNT_HEADER = "X-Account-Id"
SESSIONS, USERS = "Sign-up and sessions", "Users"
USERNAME_TAKEN = refused(409, Kind.USERNAME_TAKEN, "This username is taken.", field="username")
EMAIL_TAKEN = refused(409, Kind.EMAIL_TAKEN, "This e-mail address is taken.", field="email")


def _owner(account_id: int) -> dict[str, Any]:
    profile = selectors.profiles([account_id]).get(account_id)
    if profile is None:
        raise NotFound(services.NO_USER)
    return {"data": OwnerSerializer(profile).data}


def _user(account_id: int | None) -> HttpResponse:
    card = selectors.cards([account_id]).get(account_id) if account_id is not None else None
    if card is None:
        raise NotFound(services.NO_USER)
    return HttpResponse(envelope({"data": card}), content_type="application/json")


def _tokens(pair: TokenPair) -> Response:
    return oauth.answer({"data": asdict(pair)})


class OpenView(APIView):
    """An endpoint for those who have no access token yet; one that is sent is not looked at."""

    authentication_classes = []
    permission_classes = []


class CreateView(OpenView):
    """`POST /auth/create`."""

    @extend_schema(
        operation_id="create_account",
        tags=[SESSIONS],
        request=SignUpSerializer,
        responses={
            201: OwnerResponse,
            **problems(
                invalid("password", "This password is too common."), USERNAME_TAKEN, EMAIL_TAKEN
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Sign up.

        The answer is the new profile, without tokens: log in next. How many accounts one address
        may make in an hour is limited.
        """
        account_id = services.sign_up(**checked(SignUpSerializer, request.data))
        return Response(_owner(account_id), status=201)


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
        next pair with. Too many wrong passwords, and the name has to wait at this address.

        As a form, this is the token endpoint of OAuth 2 (RFC 6749, grant type `password`): the
        tokens then stand at the top of the answer, and errors have `error` as well.
        """
        if isinstance(request.data, QueryDict):  # made of a form
            return oauth.token(request.data, address=client_address(request.META))
        values = checked(LogInSerializer, request.data)
        pair = sessions.log_in(
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
        return _tokens(sessions.refresh(values["refresh_token"]))


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
        tokens stop at once. Other sessions go on. A token that is none is answered alike.
        """
        sessions.log_out(checked(RefreshTokenSerializer, request.data)["refresh_token"])
        return Response({"data": {"revoked": True}})


class MeView(APIView):
    """`GET /auth/me`."""

    @extend_schema(operation_id="own_profile", tags=[USERS], responses={200: OwnerResponse})
    def get(self, request: Request) -> Response:
        """Read one's own profile.

        It has the e-mail address, which others do not see.
        """
        return Response(_owner(actor_id(request)))


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


class UserView(APIView):
    """`GET /auth/id/{id}`."""

    @extend_schema(
        operation_id="user_by_id",
        tags=[USERS],
        parameters=[path_id("user_id", "Whose profile.")],
        responses={200: UserResponse, **problems(NO_USER)},
    )
    def get(self, request: Request, user_id: int) -> HttpResponse:
        """Read a profile by id.

        Counts are up to a second behind. A suspended or deleted user answers 404.
        """
        return _user(user_id)


class UsernameView(APIView):
    """`GET /auth/name/{name}`."""

    @extend_schema(
        operation_id="user_by_name",
        tags=[USERS],
        parameters=[
            OpenApiParameter(
                "name",
                {"type": "string", "examples": [USER_EXAMPLE["username"]]},
                OpenApiParameter.PATH,
                description="A username, without the @.",
            )
        ],
        responses={200: UserResponse, **problems(NO_USER)},
    )
    def get(self, request: Request, name: str) -> HttpResponse:
        """Read a profile by username.

        Upper and lower case do not matter. Usernames may change; keep the id.
        """
        return _user(selectors.resolve_username(name))


class UpdateView(APIView):
    """`PATCH /auth/update`."""

    @extend_schema(
        operation_id="update_account",
        tags=[USERS],
        request=UpdateSerializer,
        responses={
            200: OwnerResponse,
            **problems(
                invalid("bio", "Ensure this field has no more than 160 characters."),
                refused(
                    400, Kind.WRONG_PASSWORD, "The password is wrong.", field="current_password"
                ),
                USERNAME_TAKEN,
                EMAIL_TAKEN,
            ),
        },
    )
    def patch(self, request: Request) -> Response:
        """Change one's own profile or password.

        Fields that are left out stay.
        Another username, e-mail address or password needs `current_password`. A new password ends
        all sessions, this one too; the former e-mail address is told that it was replaced.
        """
        changes = checked(UpdateSerializer, request.data)
        services.update(
            account_id=actor_id(request),
            session_id=session_id(request),
            new_password=changes.pop("password", None),
            current_password=changes.pop("current_password", None),
            changes=changes,
        )
        return Response(_owner(actor_id(request)))


class DeleteView(APIView):
    """`DELETE /auth/delete/{id}`."""

    @extend_schema(
        operation_id="delete_account",
        tags=[SESSIONS],
        parameters=[path_id("user_id", "Your own id.")],
        request=PasswordSerializer,
        responses={
            200: AccountDeleted,
            **problems(
                refused(400, Kind.WRONG_PASSWORD, "The password is wrong.", field="password"),
                refused(403, Kind.FORBIDDEN, "This is not your account."),
                refused(409, Kind.CONFLICT, services.OF_STAFF),
            ),
        },
    )
    def delete(self, request: Request, user_id: int) -> Response:
        """Delete one's own account.

        That cannot be undone. Profile and tweets are invisible at once; the data is erased in the
        background.
        """
        # Never from the query: addresses get into logs and histories.
        values = checked(PasswordSerializer, request.data)
        services.delete(
            account_id=user_id,
            by_id=actor_id(request),
            session_id=session_id(request),
            password=values["password"],
        )
        return Response({"data": {"deleted": True}})
