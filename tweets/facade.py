"""What other apps may ask of tweets. Takes and returns ids, dataclasses and bytes."""

from tweets.rendering import Hydration, RenderedTweet, viewer
from tweets.selectors import (
    TweetRef,
    ViewerState,
    hydrate,
    is_visible,
    newest,
    removed_since,
    retweets_of_authors,
    settled_id,
    viewer_state,
)

__all__ = [
    "Hydration",
    "RenderedTweet",
    "TweetRef",
    "ViewerState",
    "hydrate",
    "is_visible",
    "newest",
    "removed_since",
    "retweets_of_authors",
    "settled_id",
    "viewer",
    "viewer_state",
]
