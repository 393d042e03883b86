"""The shortcut before Django: reads of the home timeline, and nothing out of the ordinary.

Django's handler, DRF and middleware cost several times what such an answer takes, so
`twitter/wsgi.py` asks here first. This only translates: the page is made by the functions that
`api.HomeView` calls, and what an answer needs of Redis comes with one round trip. `answer`
returns None for whatever is left to that view.
"""

from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from django.core.exceptions import ValidationError
from django.db import DatabaseError, InterfaceError
from redis.exceptions import RedisError

from accounts import facade as accounts
from timelines import rendering
from timelines.home import source as home
from tweets import facade as tweets
from twitter.base.data import parts
from twitter.base.data.ids import parse_id
from twitter.base.http import conditional, headers, limits
from twitter.base.http.pagination import DEFAULT_LIMIT, MAX_LIMIT
from twitter.base.observe import logging

Answered = tuple[HTTPStatus, conditional.Headers, bytes]


def answer(environ: MutableMapping[str, Any]) -> Answered | None:
    """Return status, headers and body for a WSGI request, or None when Django is to answer."""
    if environ["PATH_INFO"] != rendering.HOME_PATH or environ["REQUEST_METHOD"] != "GET":
        return None
    if "HTTP_TRANSFER_ENCODING" in environ:
        return None
    claims = accounts.claims_in(environ.get("HTTP_AUTHORIZATION", ""))
    fixed = headers.of_a_read(environ)
    query = _query(environ.get("QUERY_STRING", ""))
    if claims is None or fixed is None or query is None:
        return None
    buckets = accounts.buckets(environ, claims=claims)
    reader_id = claims.account_id
    try:
        counted, state, known, reading = parts.exchange(
            limits.part(buckets),
            accounts.state_part(reader_id),
            tweets.reader_part(reader_id),
            home.part(reader_id, **query),
        )
        environ[accounts.COUNTED] = counted
        if limits.exceeded(counted) or not (state and state.accepts(claims)):
            return None
        reader = tweets.Reader(reader_id, known)
        page = home.page(reading, reader=reader, **query)
        limit = query.get("limit", DEFAULT_LIMIT)
        found = rendering.home(page, reader=reader, limit=limit)
    except (RedisError, DatabaseError, InterfaceError):
        return None  # Django takes up a new connection, or tells that it cannot.
    logging.note(account_id=reader_id, route=rendering.HOME_PATH)
    own = [("Content-Type", "application/json"), ("Content-Length", str(len(found.body)))]
    link = [("Link", found.links)] if found.links else []
    told = [*own, *link, *fixed, *limits.headers(counted)]
    return conditional.answer(environ, headers=told, body=found.body)


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
