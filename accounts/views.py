"""The auth service: validate, one call, respond."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import schema, selectors, services, sessions  # noqa: F401 - schema registers itself
from accounts.authentication import session_id
from accounts.selectors import Neighbour
from accounts.serializers import (
    AccountDeleted,
    Following,
    LogInSerializer,
    OwnerEnvelope,
    OwnerSerializer,
    PasswordSerializer,
    RefreshTokenSerializer,
    Revoked,
    SignUpSerializer,
    TokensEnvelope,
    UpdateSerializer,
    UserEnvelope,
    UserIdSerializer,
    UsersPage,
)
from accounts.sessions import TokenPair
from twitter.lib.errors import NotFound
from twitter.lib.limits import client_address
from twitter.lib.pagination import CursorQuery, link_header
from twitter.lib.renderers import array, envelope, to_json
from twitter.lib.requests import actor_id, body_or_query, query
from twitter.lib.schema import WIRE_ID, delete_parameter, problems

ACCOUNT_HEADER = "X-Account-Id"

Serializer = TypeVar("Serializer", bound=serializers.Serializer[Any])


def _valid(serializer: type[Serializer], data: Any) -> dict[str, Any]:
    checked = serializer(data=data)
    checked.is_valid(raise_exception=True)
    values: dict[str, Any] = checked.validated_data
    return values


def _owner(account_id: int) -> dict[str, Any]:
    profile = selectors.profiles([account_id]).get(account_id)
    if profile is None:
        raise NotFound("There is no such user.")
    return {"data": OwnerSerializer(profile).data}


def _user(account_id: int | None) -> HttpResponse:
    card = selectors.cards([account_id]).get(account_id) if account_id is not None else None
    if card is None:
        raise NotFound("There is no such user.")
    return HttpResponse(envelope({"data": card}), content_type="application/json")


def _tokens(pair: TokenPair) -> Response:
    # RFC 6749 section 5.1: nobody may keep a copy.
    return Response(
        {"data": {**asdict(pair), "token_type": "Bearer"}}, headers={"Cache-Control": "no-store"}
    )


class OpenView(APIView):
    """An endpoint for those who have no access token yet; one that is sent is not looked at."""

    authentication_classes = []
    permission_classes = []


class CreateView(OpenView):
    """`POST /auth/create`."""

    @extend_schema(request=SignUpSerializer, responses={201: OwnerEnvelope})
    def post(self, request: Request) -> Response:
        """Sign up."""
        account_id = services.sign_up(**_valid(SignUpSerializer, request.data))
        return Response(_owner(account_id), status=201)


class TokenView(OpenView):
    """`POST /auth/token`."""

    @extend_schema(
        request=LogInSerializer,
        responses={200: TokensEnvelope, **problems(401)},
    )
    def post(self, request: Request) -> Response:
        """Log in with a username or an e-mail address."""
        values = _valid(LogInSerializer, request.data)
        pair = sessions.log_in(
            login=values["username"],
            password=values["password"],
            address=client_address(request.META),
        )
        return _tokens(pair)


class RefreshView(OpenView):
    """`POST /auth/token/refresh`."""

    @extend_schema(request=RefreshTokenSerializer, responses={200: TokensEnvelope, **problems(401)})
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for a new pair.

        Sent again within 30 seconds, it brings the same new refresh token. Sent later, or after the
        new one was used, it ends the session.
        """
        values = _valid(RefreshTokenSerializer, request.data)
        return _tokens(sessions.refresh(values["refresh_token"]))


class RevokeView(OpenView):
    """`POST /auth/token/revoke`."""

    @extend_schema(request=RefreshTokenSerializer, responses={200: Revoked})
    def post(self, request: Request) -> Response:
        """Log out: the refresh token and its access tokens stop at once."""
        sessions.log_out(_valid(RefreshTokenSerializer, request.data)["refresh_token"])
        return Response({"data": {"revoked": True}})


class MeView(APIView):
    """`GET /auth/me`."""

    @extend_schema(responses={200: OwnerEnvelope})
    def get(self, request: Request) -> Response:
        """Read one's own profile."""
        return Response(_owner(actor_id(request)))


class VerifyView(APIView):
    """`GET /auth/verify`, for a proxy that asks on behalf of services beside this one."""

    @extend_schema(
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
        """Learn whose access token it is; for a proxy that asks on behalf of other services."""
        return Response(status=204, headers={ACCOUNT_HEADER: str(actor_id(request))})


class UserView(APIView):
    """`GET /auth/id/{id}`."""

    @extend_schema(responses={200: UserEnvelope})
    def get(self, request: Request, user_id: int) -> HttpResponse:
        """Read a profile by id."""
        return _user(user_id)


class UsernameView(APIView):
    """`GET /auth/name/{name}`."""

    @extend_schema(responses={200: UserEnvelope})
    def get(self, request: Request, name: str) -> HttpResponse:
        """Read a profile by username, in whatever case."""
        return _user(selectors.resolve_username(name))


class UpdateView(APIView):
    """`PATCH /auth/update`."""

    @extend_schema(
        request=UpdateSerializer,
        responses={200: OwnerEnvelope, **problems(409)},
    )
    def patch(self, request: Request) -> Response:
        """Change one's own profile or password.

        Another username, e-mail address or password needs `current_password`. A new password ends
        all sessions, this one too; the former e-mail address is told that it was replaced.
        """
        changes = _valid(UpdateSerializer, request.data)
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
        request=PasswordSerializer,
        responses={200: AccountDeleted, **problems(403, 409)},
    )
    def delete(self, request: Request, user_id: int) -> Response:
        """Delete one's own account; that cannot be undone."""
        # Never from the query: addresses get into logs and histories.
        values = _valid(PasswordSerializer, request.data)
        services.delete(
            account_id=user_id,
            by_id=actor_id(request),
            session_id=session_id(request),
            password=values["password"],
        )
        return Response({"data": {"deleted": True}})


class FollowView(APIView):
    """`POST /auth/follow`."""

    @extend_schema(request=UserIdSerializer, responses={200: Following})
    def post(self, request: Request) -> Response:
        """Follow a user. Doing so again changes nothing."""
        values = _valid(UserIdSerializer, request.data)
        services.follow(follower_id=actor_id(request), followed_id=values["user_id"])
        return Response({"data": {"following": True}})


class UnfollowView(APIView):
    """`DELETE /auth/unfollow`."""

    @extend_schema(
        parameters=[delete_parameter("user_id")], request=None, responses={200: Following}
    )
    def delete(self, request: Request) -> Response:
        """Stop following a user. Doing so again changes nothing."""
        values = _valid(UserIdSerializer, body_or_query(request))
        services.unfollow(follower_id=actor_id(request), followed_id=values["user_id"])
        return Response({"data": {"following": False}})


def _page(
    request: Request, *, user_id: int, neighbours: Callable[..., Sequence[Neighbour]]
) -> HttpResponse:
    which = query(CursorQuery, request)
    if not selectors.visible({user_id}):
        raise NotFound("There is no such user.")
    limit = which["limit"]
    # One more than asked for tells whether there is another page.
    found = neighbours(account_id=user_id, before=which["cursor"], limit=limit + 1)
    page, more = found[:limit], len(found) > limit
    cards = selectors.cards([neighbour.account_id for neighbour in page])
    shown = [cards[number] for number in (n.account_id for n in page) if number in cards]
    meta: dict[str, Any] = {"result_count": len(shown)}
    following_page = {"cursor": page[-1].follow_id} if more else None
    if following_page is not None:
        meta["next_cursor"] = str(following_page["cursor"])
    response = HttpResponse(
        envelope({"data": array(shown), "meta": to_json(meta)}), content_type="application/json"
    )
    if following_page is not None:
        response["Link"] = link_header(
            path=request.path, query=request.query_params.dict(), next=following_page
        )
    return response


class FollowersView(APIView):
    """`GET /auth/followers/{id}`."""

    @extend_schema(parameters=[CursorQuery], responses={200: UsersPage})
    def get(self, request: Request, user_id: int) -> HttpResponse:
        """Page through those who follow a user, the latest first."""
        return _page(request, user_id=user_id, neighbours=selectors.followers)


class FollowingView(APIView):
    """`GET /auth/following/{id}`."""

    @extend_schema(parameters=[CursorQuery], responses={200: UsersPage})
    def get(self, request: Request, user_id: int) -> HttpResponse:
        """Page through those whom a user follows, the latest first."""
        return _page(request, user_id=user_id, neighbours=selectors.following)
