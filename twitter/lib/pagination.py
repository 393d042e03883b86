"""Pages by cursor: the query that asks for one, the `meta` and the `Link` header that come back."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
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
    request: HttpRequest, *, path: str | None = None, **relations: Mapping[str, int] | None
) -> str:
    """Return a `Link` header (RFC 8288): relation to the query parameters that it replaces.

    `path` is another path than the request's own. Relations to None are left out.

    >>> link_header(request, next={"max_id": 7})  # for /x?limit=2
    '<http://host/x?limit=2&max_id=7>; rel="next"'
    """
    links = []
    for relation, changes in relations.items():
        if changes is None:
            continue
        query = request.GET.copy()
        for cursor in CURSORS:
            query.pop(cursor, None)
        for name, value in changes.items():
            query[name] = str(value)
        address = request.build_absolute_uri(f"{path or request.path}?{query.urlencode()}")
        links.append(f'<{address}>; rel="{relation}"')
    return ", ".join(links)
