"""The timeline service: validate, one call, respond."""

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request

from accounts import facade as accounts
from timelines import author, news, rendering
from timelines.home import source as home
from timelines.rendering import Answer
from timelines.serializers import (
    AuthorQuery,
    HomeQuery,
    NewsPage,
    NewsQuery,
    TimelinePage,
)
from tweets import facade as tweets
from twitter.base.http.conditional import ConditionalView
from twitter.base.http.errors import NotFound
from twitter.base.http.problems import Kind
from twitter.base.http.requests import actor_id, query
from twitter.base.http.schema import WIRE_ID, invalid, path_id, problems, refused

TIMELINES = "Timelines"
TOO_MANY = invalid("limit", "Ensure this value is less than or equal to 100.")


def _respond(answer: Answer) -> HttpResponse:
    response = HttpResponse(answer.body, content_type="application/json")
    if answer.links:
        response["Link"] = answer.links
    return response


class HomeView(ConditionalView):
    """`GET /timeline/timeline`, when `warm` leaves it to this view."""

    @extend_schema(
        operation_id="home_timeline",
        tags=[TIMELINES],
        parameters=[HomeQuery],
        responses={200: TimelinePage, **problems(TOO_MANY)},
    )
    def get(self, request: Request) -> HttpResponse:
        """Read the home timeline.

        Tweets and retweets of those whom you follow and your own, newest first, down to the very
        first one. Each original is shown once. Go on with the `Link` header's `next`; `prev` leads
        to what is newer, by `GET /timeline/update`.
        """
        which = query(HomeQuery, request)
        page, reader = home.read(actor_id(request), **which)
        return _respond(rendering.home(page, reader=reader, limit=which["limit"]))


class NewsView(ConditionalView):
    """`GET /timeline/update`."""

    @extend_schema(
        operation_id="home_updates",
        tags=[TIMELINES],
        parameters=[
            NewsQuery,
            OpenApiParameter(
                "since_id",
                WIRE_ID,
                description="The tweets right after this id, the newest that you show: an earlier "
                "answer's `meta.next_since_id`. Give this or `since`.",
                examples=[OpenApiExample("The newest that you show", value="374005570052401")],
            ),
        ],
        responses={
            200: NewsPage,
            **problems(invalid("since_id", "Give either since_id or since.")),
        },
    )
    def get(self, request: Request) -> HttpResponse:
        """Read what is new in the home timeline, and what is gone from it.

        For a client that shows a page already. Give exactly one of `since_id` and `since`; go on
        with `meta.next_since_id`. `data` is the tweets right after that, so the newest come last
        if there are several pages. `deleted` names tweets to take off the screen.
        """
        which = query(NewsQuery, request)
        reader = tweets.reader(actor_id(request))
        found = news.read(reader=reader, **which)
        answer = rendering.news(
            found.page,
            reader=reader,
            next_since_id=found.next_since_id,
            deleted=found.gone.ids,
            has_more=found.has_more,
            reread=found.gone.reread,
            limit=which["limit"],
        )
        return _respond(answer)


class AuthorView(ConditionalView):
    """`GET /timeline/user/{id}`."""

    @extend_schema(
        operation_id="user_timeline",
        tags=[TIMELINES],
        parameters=[path_id("author_id", "Whose tweets."), AuthorQuery],
        responses={
            200: TimelinePage,
            **problems(TOO_MANY, refused(404, Kind.NOT_FOUND, "There is no such account.")),
        },
    )
    def get(self, request: Request, author_id: int) -> HttpResponse:
        """Read an author's tweets and retweets.

        Newest first; `max_id` goes on to older ones, `since_id` back to newer ones.
        """
        if not accounts.visible({author_id}):
            raise NotFound("There is no such account.")
        which = query(AuthorQuery, request)
        reader = tweets.reader(actor_id(request))
        page = author.read(author_id=author_id, reader=reader, **which)
        if which["since_id"] is not None:
            # Upwards, there is always something older: what the reader came from.
            page.next_id = page.refs[-1].id if page.refs else None
        answer = rendering.author(page, reader=reader, path=request.path_info, limit=which["limit"])
        return _respond(answer)
