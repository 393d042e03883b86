"""Queries and wire shapes of timelines."""

from typing import Any

from rest_framework import serializers

from tweets.answers import PAGE_EXAMPLE, PAGE_FIELDS
from tweets.posts.serializers import TWEET_EXAMPLE
from twitter.base.data.ids import WireIdField, id_at
from twitter.base.http.pagination import LimitQuery
from twitter.base.http.shapes import shape


class HomeQuery(LimitQuery):
    """Which page of the home timeline."""

    max_id = WireIdField(required=False, default=None, help_text="Only tweets before this id.")


class AuthorQuery(HomeQuery):
    """Which page of an author's tweets."""

    since_id = WireIdField(
        required=False, default=None, help_text="The tweets right after this id."
    )


class NewsQuery(LimitQuery):
    """Since when; exactly one of the two."""

    since_id = WireIdField(
        required=False,
        default=None,
        help_text="The tweets right after this id: an earlier answer's `meta.next_since_id`.",
    )
    since = serializers.DateTimeField(
        required=False, default=None, help_text="The tweets right after this time (RFC 3339)."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return `limit` and `since_id`; raise ValidationError unless one of the two is given."""
        since_id, since = attrs["since_id"], attrs["since"]
        if (since_id is None) == (since is None):
            raise serializers.ValidationError({"since_id": ["Give either since_id or since."]})
        return {
            "limit": attrs["limit"],
            "since_id": max(id_at(since) - 1, 0) if since_id is None else since_id,
        }


_EDGES = {
    "result_count": serializers.IntegerField(),
    "newest_id": WireIdField(required=False),
    "oldest_id": WireIdField(required=False),
}
_EDGES_EXAMPLE = {
    "result_count": 1,
    "newest_id": TWEET_EXAMPLE["id"],
    "oldest_id": TWEET_EXAMPLE["id"],
}

TimelinePage = shape(
    "TimelinePage",
    example={
        **PAGE_EXAMPLE,
        "meta": {**_EDGES_EXAMPLE, "next_cursor": TWEET_EXAMPLE["id"]},
    },
    **PAGE_FIELDS,
    meta=shape(
        "TimelineMeta",
        **_EDGES,
        next_cursor=WireIdField(
            required=False, help_text="The next page's `max_id`; absent on the last page."
        ),
    )(),
)
NewsPage = shape(
    "NewsPage",
    example={
        **PAGE_EXAMPLE,
        "meta": {
            **_EDGES_EXAMPLE,
            "next_since_id": "374005571170615",
            "has_more": False,
            "reread": False,
        },
        "deleted": ["374005559812096"],
    },
    **PAGE_FIELDS,
    meta=shape(
        "NewsMeta",
        **_EDGES,
        next_since_id=WireIdField(help_text="The next call's `since_id`."),
        has_more=serializers.BooleanField(
            help_text="Whether there is more to tell right now: ask again at `next_since_id`."
        ),
        reread=serializers.BooleanField(
            help_text="Whether to read the home timeline again: whom you follow has changed, or"
            " somebody whom you follow was suspended, came back, or deleted the account."
            " Afterwards go on with this answer's `next_since_id`: the newest tweet's id may be"
            " older than the change."
        ),
    )(),
    deleted=serializers.ListField(
        child=WireIdField(), help_text="Tweets to take off the screen, if they are on it."
    ),
)
