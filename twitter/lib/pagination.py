"""Pages by cursor: the query that asks for one, the `meta` and the `Link` header that come back."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from rest_framework import serializers

from twitter.lib.ids import WireIdField

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
# Query parameters that say where a page begins.
CURSORS = ("max_id", "since_id", "since", "cursor")


class LimitQuery(serializers.Serializer[Any]):
    """How many things a page has."""

    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT)


class CursorQuery(LimitQuery):
    """A page of people: after a cursor, which is an earlier page's `meta.next_cursor`."""

    cursor = WireIdField(required=False, default=None)


def link_header(
    *, path: str, query: Mapping[str, str], **relations: Mapping[str, int] | None
) -> str:
    """Return a `Link` header (RFC 8288): relation to the query parameters that it replaces.

    The addresses are relative to the request's own, so that they are right behind any proxy.
    Relations to None are left out.

    >>> link_header(path="/x", query={"limit": "2", "max_id": "9"}, next={"max_id": 7})
    '</x?limit=2&max_id=7>; rel="next"'
    """
    kept = {name: value for name, value in query.items() if name not in CURSORS}
    start = f"{path}?{urlencode(kept)}&" if kept else f"{path}?"
    return ", ".join(
        f"<{start}{'&'.join(f'{name}={number}' for name, number in changes.items())}>"
        f'; rel="{relation}"'
        for relation, changes in relations.items()
        if changes is not None
    )
