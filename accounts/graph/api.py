"""Follows: validate, one call, respond."""

from collections.abc import Callable, Sequence

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.graph import reads, services
from accounts.graph.reads import Neighbour
from accounts.graph.serializers import Following, UserIdSerializer, UsersPage
from accounts.people import reads as people_reads
from accounts.people import services as people_services
from accounts.people.api import NO_USER
from twitter.base.http.conditional import ConditionalView
from twitter.base.http.errors import NotFound
from twitter.base.http.pagination import CursorQuery, cursor_page
from twitter.base.http.renderers import array, envelope, to_json
from twitter.base.http.requests import actor_id, body_or_query, checked, query
from twitter.base.http.schema import delete_parameter, invalid, path_id, problems

FOLLOWS = "Follows"


class FollowView(APIView):
    """`POST /auth/follow`."""

    @extend_schema(
        operation_id="follow",
        tags=[FOLLOWS],
        request=UserIdSerializer,
        responses={
            200: Following,
            **problems(invalid("user_id", "You cannot follow yourself."), NO_USER),
        },
    )
    def post(self, request: Request) -> Response:
        """Follow a user.

        Their tweets are in your home timeline from the next read on, older ones too. Following
        again changes nothing. How many one may follow is limited.
        """
        values = checked(UserIdSerializer, request.data)
        services.follow(follower_id=actor_id(request), followed_id=values["user_id"])
        return Response({"data": {"following": True}})


class UnfollowView(APIView):
    """`DELETE /auth/unfollow`."""

    @extend_schema(
        operation_id="unfollow",
        tags=[FOLLOWS],
        parameters=[delete_parameter("user_id", "Whom you follow no more.")],
        request=None,
        responses={
            200: Following,
            **problems(invalid("user_id", "This field is required."), NO_USER),
        },
    )
    def delete(self, request: Request) -> Response:
        """Stop following a user.

        Their tweets are gone from your home timeline with the next read. Doing so again changes
        nothing.
        """
        values = checked(UserIdSerializer, body_or_query(request))
        services.unfollow(follower_id=actor_id(request), followed_id=values["user_id"])
        return Response({"data": {"following": False}})


def _page(
    request: Request, *, user_id: int, neighbours: Callable[..., Sequence[Neighbour]]
) -> HttpResponse:
    which = query(CursorQuery, request)
    if not people_reads.visible({user_id}):
        raise NotFound(people_services.NO_USER)
    limit = which["limit"]
    # One more than asked for tells whether there is another page.
    found = neighbours(account_id=user_id, before=which["cursor"], limit=limit + 1)
    page, more = found[:limit], len(found) > limit
    ids = [neighbour.account_id for neighbour in page]
    cards = people_reads.cards(ids)
    shown = [cards[number] for number in ids if number in cards]
    meta, link = cursor_page(
        path=request.path_info,
        limit=limit,
        count=len(shown),
        cursor=page[-1].follow_id if more else None,
    )
    response = HttpResponse(
        envelope({"data": array(shown), "meta": to_json(meta)}), content_type="application/json"
    )
    if link:
        response["Link"] = link
    return response


class FollowersView(ConditionalView):
    """`GET /auth/followers/{id}`."""

    @extend_schema(
        operation_id="followers",
        tags=[FOLLOWS],
        parameters=[path_id("user_id", "Whose followers."), CursorQuery],
        responses={
            200: UsersPage,
            **problems(
                invalid("limit", "Ensure this value is less than or equal to 100."), NO_USER
            ),
        },
    )
    def get(self, request: Request, user_id: int) -> HttpResponse:
        """Page through those who follow a user.

        The latest follow comes first. The next page is the `Link` header's, or `cursor` with
        `meta.next_cursor`. Suspended users are left out, so a page may be shorter than `limit`.
        """
        return _page(request, user_id=user_id, neighbours=reads.followers)


class FollowingView(ConditionalView):
    """`GET /auth/following/{id}`."""

    @extend_schema(
        operation_id="following",
        tags=[FOLLOWS],
        parameters=[path_id("user_id", "Whose followees."), CursorQuery],
        responses={
            200: UsersPage,
            **problems(
                invalid("limit", "Ensure this value is less than or equal to 100."), NO_USER
            ),
        },
    )
    def get(self, request: Request, user_id: int) -> HttpResponse:
        """Page through those whom a user follows.

        In the order of the follows, the latest first; pages are as those of followers.
        """
        return _page(request, user_id=user_id, neighbours=reads.following)
