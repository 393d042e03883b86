"""Pages by cursor: the query that asks for one, the `meta` and the `Link` header that come back."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from twitter.base.data.ids import WireIdField
from twitter.base.http.shapes import shape

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
# Parameters of pages that are ordered by tweet.
BY_TWEET_ID = ("max_id", "since_id", "min_id")


class LimitQuery(serializers.Serializer[Any]):
    """How many things a page has."""

    limit = serializers.IntegerField(
        min_value=1,
        max_value=MAX_LIMIT,
        default=DEFAULT_LIMIT,
        help_text="How many items the page has at most.",
    )


class CursorQuery(LimitQuery):
    """A page of what somebody did: after a cursor, an earlier page's `meta.next_cursor`."""

    cursor = WireIdField(
        required=False,
        default=None,
        help_text="The `meta.next_cursor` of the page before; without it, the first page.",
    )

    def to_internal_value(self, data: Any) -> Any:
        """Refuse parameters that name tweets: these pages are ordered by what somebody did."""
        if refused := [name for name in BY_TWEET_ID if name in data]:
            raise serializers.ValidationError({name: ["Go on with `cursor`."] for name in refused})
        return super().to_internal_value(data)


CursorMeta = shape(
    "CursorMeta",
    result_count=serializers.IntegerField(),
    next_cursor=WireIdField(
        required=False, help_text="The next page's `cursor`; absent on the last page."
    ),
)


def cursor_page(
    *, path: str, limit: int, count: int, cursor: int | None
) -> tuple[dict[str, Any], str]:
    """Return `meta`, and the `Link` header's value, of a page that goes on at `cursor`, if at all.

    `count`: how many items it has. The header is empty on the last page.
    """
    if cursor is None:
        return {"result_count": count}, ""
    link = link_header(path=path, limit=limit, next={"cursor": cursor})
    return {"result_count": count, "next_cursor": str(cursor)}, link


def link_header(*, path: str, limit: int, **relations: Mapping[str, int] | None) -> str:
    """Return a `Link` header (RFC 8288): of each relation, which page it is.

    Of the request's query, only `limit` gets into it, as a number: so a long address makes no long
    header. The addresses are relative to the request's own, so that they are right behind any
    proxy. Relations to None are left out.

    >>> link_header(path="/x", limit=2, next={"max_id": 7})
    '</x?limit=2&max_id=7>; rel="next"'
    """
    return ", ".join(
        f"<{path}?limit={limit}&{'&'.join(f'{name}={number}' for name, number in which.items())}>"
        f'; rel="{relation}"'
        for relation, which in relations.items()
        if which is not None
    )
