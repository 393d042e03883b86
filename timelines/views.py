"""The timeline service: validate, one call, respond."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts import facade as accounts
from timelines import selectors
from timelines.rendering import page_bytes
from timelines.selectors import Page
from timelines.serializers import (
    AuthorQuery,
    HomeQuery,
    NewsPage,
    NewsQuery,
    TimelinePage,
)
from tweets import facade as tweets
from twitter.lib.errors import NotFound
from twitter.lib.pagination import link_header
from twitter.lib.requests import actor_id, query

NEWS_PATH = "/timeline/update"


def _respond(
    request: Request, page: Page, *, links: str, meta: dict[str, Any], **extra: Any
) -> HttpResponse:
    edges = {"newest_id": str(page.ids[0]), "oldest_id": str(page.ids[-1])} if page.ids else {}
    hydration = page.hydration
    body = page_bytes(
        ids=page.ids,
        hydration=hydration,
        seen=tweets.viewer_state(viewer_id=actor_id(request), ids=hydration.mentioned(page.ids)),
        meta={"result_count": len(page.ids), **edges, **meta},
        extra=extra,
    )
    response = HttpResponse(body, content_type="application/json")
    if links:
        response["Link"] = links
    return response


def _older(page: Page) -> dict[str, int] | None:
    return {"max_id": page.ids[-1]} if page.ids and page.more else None


def _next_cursor(page: Page) -> dict[str, str]:
    older = _older(page)
    return {"next_cursor": str(older["max_id"])} if older else {}


class HomeView(APIView):
    """`GET /timeline/timeline`."""

    @extend_schema(parameters=[HomeQuery], responses={200: TimelinePage})
    def get(self, request: Request) -> HttpResponse:
        """Read the home timeline, newest first."""
        page = selectors.home_page(account_id=actor_id(request), **query(HomeQuery, request))
        newer = {"since_id": page.ids[0]} if page.ids else None
        links = [
            link_header(request, next=_older(page)),
            link_header(request, path=NEWS_PATH, prev=newer),
        ]
        return _respond(
            request, page, links=", ".join(filter(None, links)), meta=_next_cursor(page)
        )


class NewsView(APIView):
    """`GET /timeline/update`."""

    @extend_schema(parameters=[NewsQuery], responses={200: NewsPage})
    def get(self, request: Request) -> HttpResponse:
        """Read what is new in the home timeline, and what is gone from it."""
        news = selectors.news(account_id=actor_id(request), **query(NewsQuery, request))
        return _respond(
            request,
            news.page,
            links=link_header(request, prev={"since_id": news.next_since_id}),
            meta={"next_since_id": str(news.next_since_id)},
            deleted=[str(number) for number in news.deleted],
        )


class AuthorView(APIView):
    """`GET /timeline/user/{id}`."""

    @extend_schema(parameters=[AuthorQuery], responses={200: TimelinePage})
    def get(self, request: Request, author_id: int) -> HttpResponse:
        """Read an author's tweets and retweets, newest first."""
        which = query(AuthorQuery, request)
        if not accounts.visible({author_id}):
            raise NotFound("There is no such account.")
        page = selectors.author_page(author_id=author_id, **which)
        if which["since_id"] is None:
            older = _older(page)
        else:
            older = {"max_id": page.ids[-1]} if page.ids else None
        newer = {"since_id": page.ids[0]} if page.ids else None
        return _respond(
            request,
            page,
            links=link_header(request, next=older, prev=newer),
            meta={"next_cursor": str(older["max_id"])} if older else {},
        )
