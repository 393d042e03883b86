"""The timeline service: validate, one call, respond."""

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts import facade as accounts
from timelines import author, home, news, rendering
from timelines.rendering import Answer
from timelines.serializers import (
    AuthorQuery,
    HomeQuery,
    NewsPage,
    NewsQuery,
    TimelinePage,
)
from tweets import facade as tweets
from twitter.lib.errors import NotFound
from twitter.lib.requests import actor_id, query


def _respond(answer: Answer) -> HttpResponse:
    response = HttpResponse(answer.body, content_type="application/json")
    if answer.links:
        response["Link"] = answer.links
    return response


class HomeView(APIView):
    """`GET /timeline/timeline`, when `warm` leaves it to this view."""

    @extend_schema(parameters=[HomeQuery], responses={200: TimelinePage})
    def get(self, request: Request) -> HttpResponse:
        """Read the home timeline, newest first."""
        page, reader = home.read(actor_id(request), **query(HomeQuery, request))
        asked = request.query_params.dict()
        return _respond(rendering.home(page, reader=reader, query=asked))


class NewsView(APIView):
    """`GET /timeline/update`."""

    @extend_schema(parameters=[NewsQuery], responses={200: NewsPage})
    def get(self, request: Request) -> HttpResponse:
        """Read what is new in the home timeline, and what is gone from it."""
        reader = tweets.reader(actor_id(request))
        found = news.read(reader=reader, **query(NewsQuery, request))
        answer = rendering.news(
            found.page,
            reader=reader,
            next_since_id=found.next_since_id,
            deleted=found.deleted,
            query=request.query_params.dict(),
        )
        return _respond(answer)


class AuthorView(APIView):
    """`GET /timeline/user/{id}`."""

    @extend_schema(parameters=[AuthorQuery], responses={200: TimelinePage})
    def get(self, request: Request, author_id: int) -> HttpResponse:
        """Read an author's tweets and retweets, newest first."""
        if not accounts.visible({author_id}):
            raise NotFound("There is no such account.")
        which = query(AuthorQuery, request)
        reader = tweets.reader(actor_id(request))
        page = author.read(author_id=author_id, reader=reader, **which)
        if which["since_id"] is not None:
            # Upwards, there is always something older: what the reader came from.
            page.next_id = page.refs[-1].id if page.refs else None
        asked = request.query_params.dict()
        return _respond(rendering.author(page, reader=reader, path=request.path, query=asked))
