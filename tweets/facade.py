"""What other apps may ask of tweets. Takes and returns ids, dataclasses and bytes."""

from tweets.cache import Found, Query, query, reading_viewer, viewer_in
from tweets.exporting import LISTS as EXPORTED_LISTS
from tweets.rendering import Hydration, RenderedTweet, viewer
from tweets.selectors import (
    TweetRef,
    ViewerState,
    author_of,
    clock,
    hydrate,
    is_visible,
    newest,
    removed_since,
    retweets_of_authors,
    settled_id,
    viewer_state,
    viewer_state_in,
)

__all__ = [
    "EXPORTED_LISTS",
    "Found",
    "Hydration",
    "Query",
    "RenderedTweet",
    "TweetRef",
    "ViewerState",
    "author_of",
    "clock",
    "hydrate",
    "is_visible",
    "newest",
    "query",
    "reading_viewer",
    "removed_since",
    "retweets_of_authors",
    "settled_id",
    "viewer",
    "viewer_in",
    "viewer_state",
    "viewer_state_in",
]
