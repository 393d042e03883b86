"""The timeline service: validate, one call, respond."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts import facade as accounts
from timelines import rendering, selectors
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


def _respond(body: bytes, *, links: str) -> HttpResponse:
    response = HttpResponse(body, content_type="application/json")
    if links:
        response["Link"] = links
    return response


def _seen(request: Request, mentioned: Sequence[int]) -> tweets.ViewerState:
    return tweets.viewer_state(viewer_id=actor_id(request), ids=mentioned)


def _page_bytes(request: Request, page: Page, *, meta: dict[str, Any], **extra: Any) -> bytes:
    mentioned = page.hydration.mentioned(page.ids)
    return rendering.page_bytes(
        ids=page.ids,
        mentioned=mentioned,
        hydration=page.hydration,
        seen=_seen(request, mentioned),
        meta={**rendering.edges(page.ids), **meta},
        extra=extra,
    )


class HomeView(APIView):
    """`GET /timeline/timeline`, when `warm` leaves it to this view."""

    @extend_schema(parameters=[HomeQuery], responses={200: TimelinePage})
    def get(self, request: Request) -> HttpResponse:
        """Read the home timeline, newest first."""
        page = selectors.home_page(account_id=actor_id(request), **query(HomeQuery, request))
        mentioned = page.hydration.mentioned(page.ids)
        body = rendering.home_page(
            ids=page.ids,
            more=page.more,
            mentioned=mentioned,
            hydration=page.hydration,
            seen=_seen(request, mentioned),
        )
        links = rendering.home_links(
            ids=page.ids, more=page.more, query=request.query_params.dict()
        )
        return _respond(body, links=links)


class NewsView(APIView):
    """`GET /timeline/update`."""

    @extend_schema(parameters=[NewsQuery], responses={200: NewsPage})
    def get(self, request: Request) -> HttpResponse:
        """Read what is new in the home timeline, and what is gone from it."""
        news = selectors.news(account_id=actor_id(request), **query(NewsQuery, request))
        body = _page_bytes(
            request,
            news.page,
            meta={"next_since_id": str(news.next_since_id)},
            deleted=[str(number) for number in news.deleted],
        )
        newer = {"since_id": news.next_since_id}
        query_now = request.query_params.dict()
        return _respond(body, links=link_header(path=request.path, query=query_now, prev=newer))


class AuthorView(APIView):
    """`GET /timeline/user/{id}`."""

    @extend_schema(parameters=[AuthorQuery], responses={200: TimelinePage})
    def get(self, request: Request, author_id: int) -> HttpResponse:
        """Read an author's tweets and retweets, newest first."""
        which = query(AuthorQuery, request)
        if not accounts.visible({author_id}):
            raise NotFound("There is no such account.")
        page = selectors.author_page(author_id=author_id, **which)
        # Upwards, there is always something older: what the reader came from.
        more = page.more if which["since_id"] is None else bool(page.ids)
        body = _page_bytes(request, page, meta=rendering.next_cursor(page.ids if more else []))
        links = link_header(
            path=request.path,
            query=request.query_params.dict(),
            next={"max_id": page.ids[-1]} if page.ids and more else None,
            prev={"since_id": page.ids[0]} if page.ids else None,
        )
        return _respond(body, links=links)
