"""Sign-up and profiles: validate, one call, respond."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.people import reads, services
from accounts.people.serializers import (
    USER_EXAMPLE,
    AccountDeleted,
    OwnerResponse,
    OwnerSerializer,
    PasswordSerializer,
    SignUpSerializer,
    UpdateSerializer,
    UserResponse,
)
from accounts.sessions.api import SESSIONS, OpenView
from accounts.sessions.authentication import session_id
from twitter.base.http.conditional import ConditionalView
from twitter.base.http.errors import NotFound
from twitter.base.http.problems import Kind
from twitter.base.http.renderers import envelope
from twitter.base.http.requests import actor_id, checked
from twitter.base.http.schema import invalid, path_id, problems, refused

NO_USER = refused(404, Kind.NOT_FOUND, services.NO_USER)


USERS = "Users"


USERNAME_TAKEN = refused(409, Kind.USERNAME_TAKEN, "This username is taken.", field="username")
EMAIL_TAKEN = refused(409, Kind.EMAIL_TAKEN, "This e-mail address is taken.", field="email")


def _owner(account_id: int) -> dict[str, Any]:
    profile = reads.profiles([account_id]).get(account_id)
    if profile is None:
        raise NotFound(services.NO_USER)
    return {"data": OwnerSerializer(profile).data}


def _user(account_id: int | None) -> HttpResponse:
    card = reads.cards([account_id]).get(account_id) if account_id is not None else None
    if card is None:
        raise NotFound(services.NO_USER)
    return HttpResponse(envelope({"data": card}), content_type="application/json")


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


class MeView(APIView):
    """`GET /auth/me`."""

    @extend_schema(operation_id="own_profile", tags=[USERS], responses={200: OwnerResponse})
    def get(self, request: Request) -> Response:
        """Read one's own profile.

        It has the e-mail address, which others do not see.
        """
        return Response(_owner(actor_id(request)))


class UserView(ConditionalView):
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


class UsernameView(ConditionalView):
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
        return _user(reads.resolve_username(name))


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
