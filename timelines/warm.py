"""The warm read: a home page from Redis, in two round trips, without SQL and without Django.

Django's handler, DRF and middleware cost several times what such an answer takes, so
`twitter/wsgi.py` asks here first. An answer is the same, header for header and byte for byte, that
`views.HomeView` would give. Whatever is not there, or out of the ordinary, is left to that view:
`answer` then returns None. Only tweets and users that are not cached are fetched from Postgres here
as well.
"""

from collections.abc import Mapping
from functools import lru_cache, partial
from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

from django.core.exceptions import DisallowedHost, ValidationError
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from redis.exceptions import RedisError

from accounts import facade as accounts
from timelines import rendering, selectors, store
from timelines.selectors import Page
from tweets import facade as tweets
from twitter.lib import resp
from twitter.lib.ids import MAX_ID, parse_id
from twitter.lib.pagination import DEFAULT_LIMIT, MAX_LIMIT

Headers = list[tuple[str, str]]


def answer(environ: Mapping[str, Any]) -> tuple[Headers, bytes] | None:
    """Return headers and body for a WSGI request, or None when it takes more than Redis."""
    if environ["PATH_INFO"] != rendering.HOME_PATH or environ["REQUEST_METHOD"] != "GET":
        return None
    if "HTTP_TRANSFER_ENCODING" in environ:
        return None
    claims = accounts.claims_in(environ.get("HTTP_AUTHORIZATION", ""))
    fixed = _fixed_headers(*(environ.get(name, "") for name in _DECISIVE))
    query = _query(environ.get("QUERY_STRING", ""))
    if claims is None or fixed is None or query is None:
        return None
    try:
        found = _read(claims, **query)
    except (RedisError, DatabaseError, InterfaceError):
        return None  # Django takes up a new connection, or tells that it cannot.
    return found and _rendered(*found, fixed=fixed, query=environ.get("QUERY_STRING", ""))


def _query(text: str) -> dict[str, int] | None:
    """Return `limit` and `max_id` of a query string that is as simple as can be."""
    if not text:
        return {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
        query = {name: parse_id(value) for name, value in pairs}
    except (ValidationError, ValueError):
        return None
    if query.keys() <= {"limit", "max_id"} and query.get("limit", 1) <= MAX_LIMIT:
        return query
    return None


def _read(
    claims: accounts.Claims, *, limit: int = DEFAULT_LIMIT, max_id: int = MAX_ID
) -> tuple[Page, list[int], tweets.ViewerState] | None:
    """Return a page, the tweets that it mentions, and what the reader did to these."""
    reader_id = claims.account_id
    newest = max(selectors.TOP, limit) + 1 if max_id == MAX_ID else None
    state_value, viewer_value, values, followed, seconds_left = resp.exchange(
        accounts.reading_state(reader_id),
        tweets.reading_viewer(reader_id),
        *store.reading(reader_id, newest=newest),
    )
    state, viewer = accounts.state_in(state_value), tweets.viewer_in(viewer_value)
    home = store.parse(values, followed, newest=newest)
    if not (state and state.accepts(claims) and viewer and home):
        return None
    if store.is_to_live_on(seconds_left):
        resp.exchange(*store.living_on(reader_id))
    page = selectors.page_of(home, reader_id=reader_id, limit=limit, before=max_id)
    if page is None:
        return None
    mentioned = page.hydration.mentioned(page.ids)
    seen = tweets.viewer_state_in(viewer, mentioned)
    return (page, mentioned, seen) if seen else None


def _rendered(
    page: Page, mentioned: list[int], seen: tweets.ViewerState, *, fixed: Headers, query: str
) -> tuple[Headers, bytes]:
    body = rendering.home_page(
        ids=page.ids, more=page.more, mentioned=mentioned, hydration=page.hydration, seen=seen
    )
    links = rendering.home_links(ids=page.ids, more=page.more, query=dict(parse_qsl(query)))
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    return [*headers, *([("Link", links)] if links else []), *fixed], body


# What of a request middleware looks at, as WSGI names it.
_DECISIVE = ("wsgi.url_scheme", "HTTP_HOST", "HTTP_X_FORWARDED_PROTO", "SERVER_NAME", "SERVER_PORT")


@lru_cache(maxsize=1_000)
def _fixed_headers(*decisive: str) -> Headers | None:
    """Return the headers that every answer of the view has; None when a request is refused.

    `decisive` are the values of _DECISIVE.
    """
    environ = dict(zip(_DECISIVE, decisive, strict=True))
    request = WSGIRequest({**environ, "REQUEST_METHOD": "GET", "wsgi.input": BytesIO()})
    try:
        request.get_host()
    except DisallowedHost:
        return None
    response: Any = HttpResponse(headers={"Content-Type": "", "Allow": "GET, HEAD, OPTIONS"})
    for middleware in (XFrameOptionsMiddleware, SecurityMiddleware):
        response = middleware(partial(_given, response))(request)
    del response["Content-Type"]
    return list(response.items()) if response.status_code == HTTPStatus.OK else None


def _given(response: HttpResponse, request: HttpRequest) -> HttpResponse:
    return response
