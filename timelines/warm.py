"""The warm read: a home page from Redis, in one or two round trips, without SQL and Django.

Django's handler, DRF and middleware cost several times what such an answer takes, so
`twitter/wsgi.py` asks here first. An answer is the same, header for header and byte for byte, that
`views.HomeView` would give. Whatever is out of the ordinary is left to that view: `answer` then
returns None. A home that is not there is built here as well, and tweets and users that are not
cached are fetched from Postgres.
"""

from collections.abc import Iterable, MutableMapping, Sequence
from functools import lru_cache, partial
from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

from django.core.exceptions import DisallowedHost, ValidationError
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from redis.exceptions import RedisError

from accounts import facade as accounts
from timelines import remembered, rendering, selectors, store
from timelines.remembered import Answer, LastPage
from timelines.selectors import Page
from timelines.skeleton import TOP
from timelines.store import Replies
from tweets import facade as tweets
from twitter.lib import headers, limits, logging, metrics, resp
from twitter.lib.ids import MAX_ID, parse_id
from twitter.lib.middleware import is_admin_host
from twitter.lib.pagination import DEFAULT_LIMIT, MAX_LIMIT

Headers = list[tuple[str, str]]


def answer(environ: MutableMapping[str, Any]) -> tuple[Headers, bytes] | None:
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
    buckets = accounts.buckets(environ, claims=claims)
    last, commands = _commands(claims.account_id, **query)
    asked = environ.get("QUERY_STRING", "")
    try:
        replies = iter(resp.exchange(*limits.counting(buckets), *commands))
        environ[accounts.COUNTED] = counted = limits.standings(buckets, replies)
        over = limits.exceeded(counted)
        found = None if over else _read(claims, replies, last=last, asked=asked, **query)
    except (RedisError, DatabaseError, InterfaceError):
        return None  # Django takes up a new connection, or tells that it cannot.
    if found is None:
        return None
    logging.note(account_id=claims.account_id, route=rendering.HOME_PATH)
    own = [("Content-Type", "application/json"), ("Content-Length", str(len(found.body)))]
    link = [("Link", found.links)] if found.links else []
    return [*own, *link, *fixed, *limits.headers(counted)], found.body


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


def _commands(
    reader_id: int, *, limit: int = DEFAULT_LIMIT, max_id: int = MAX_ID
) -> tuple[LastPage | None, Sequence[bytes]]:
    """Return what the reader's page was the last time, and the commands to read it now."""
    last = remembered.last_page(reader_id=reader_id, limit=limit) if max_id == MAX_ID else None
    return last, last.commands if last else _first_commands(reader_id, limit=limit, max_id=max_id)


def _first_commands(reader_id: int, *, limit: int, max_id: int) -> list[bytes]:
    return [
        accounts.reading_state(reader_id),
        tweets.reading_viewer(reader_id),
        *store.reading(reader_id, newest=_window(limit, max_id)),
    ]


def _read(
    claims: accounts.Claims,
    replies: Iterable[Any],
    *,
    last: LastPage | None,
    asked: str,
    limit: int = DEFAULT_LIMIT,
    max_id: int = MAX_ID,
) -> Answer | None:
    """Return the answer to a query string, `asked`, that says `limit` and `max_id`."""
    reader_id = claims.account_id
    state_value, viewer_value, values, kind, followed, seconds_left, *fetched = replies
    state = accounts.state_in(state_value)
    if not (state and state.accepts(claims) and viewer_value):
        return None
    home, made_of = Replies(values, kind, followed), (asked, viewer_value, *fetched)
    if store.is_to_live_on(seconds_left):
        resp.exchange(*store.living_on(reader_id))
    if last and (answer := last.answer) and answer.made_of == made_of and last.home == home:
        metrics.looked_up(hits=len(fetched[0]), misses=0)
        return answer
    known = last.query.found(fetched[0]) if last else None
    again = last.again(home, known=known) if last and known else None
    page = again or _page(home, reader_id=reader_id, limit=limit, max_id=max_id, known=known)
    answer = _rendered(page, made_of=made_of) if page else None
    if last and again and all(fetched[0]):  # PostgreSQL had nothing to do with it
        last.keep(answer)
    return answer


def _window(limit: int, max_id: int) -> int | None:
    """Return how many of a home's newest entries a page takes; None if it may take all."""
    return max(TOP, limit) + 1 if max_id == MAX_ID else None


def _page(
    replies: Replies, *, reader_id: int, limit: int, max_id: int, known: tweets.Found | None
) -> Page | None:
    """Work out the page of a home, which is built if it is not there; remember the newest."""
    window = _window(limit, max_id)
    home = enough = store.parse(replies, newest=window or 0)
    if not replies.values:
        home = selectors.build_home(reader_id, size=selectors.FIRST_SIZE)
    elif not enough and window:  # Most of it came late.
        home = store.read(reader_id)
    if home is None:
        return None
    page = selectors.page_of(home, reader_id=reader_id, limit=limit, before=max_id, known=known)
    if page and enough and max_id == MAX_ID and len(page.ids) == limit:
        commands = _first_commands(reader_id, limit=limit, max_id=max_id)
        remembered.remember(page, reader_id=reader_id, replies=replies, commands=commands)
    return page


def _rendered(page: Page, *, made_of: Sequence[Any]) -> Answer | None:
    """Return the answer; None when it is not cached what the reader did to all these tweets."""
    asked, viewer_value, *_ = made_of
    viewer = tweets.viewer_in(viewer_value)
    mentioned = page.hydration.mentioned(page.ids)
    seen = tweets.viewer_state_in(viewer, mentioned) if viewer else None
    if seen is None:
        return None
    body = rendering.home_page(
        ids=page.ids, more=page.more, mentioned=mentioned, hydration=page.hydration, seen=seen
    )
    query = dict(parse_qsl(asked))
    links = rendering.home_links(ids=page.ids, more=page.more, query=query)
    return Answer(made_of=made_of, links=links, body=body)


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
        if is_admin_host(request):
            return None
    except DisallowedHost:
        return None
    response: Any = HttpResponse(headers={"Content-Type": "", "Allow": "GET, HEAD, OPTIONS"})
    for middleware in headers.MIDDLEWARE:
        response = middleware(partial(_given, response))(request)
    del response["Content-Type"]
    return list(response.items()) if response.status_code == HTTPStatus.OK else None


def _given(response: HttpResponse, request: HttpRequest) -> HttpResponse:
    return response
