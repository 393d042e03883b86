"""Tweets as bytes. The serializer renders a tweet once; answers are joined from these bytes."""

from dataclasses import dataclass, field
from typing import NamedTuple

from tweets.models import Tweet
from tweets.posts.serializers import TweetSerializer
from twitter.base.http.renderers import to_json

# To be raised when the shape changes: tests/tweets/posts/golden_tweet.json tells.
SHAPE_VERSION = 4


class RenderedTweet(NamedTuple):
    """A tweet's JSON, and the ids that are needed without parsing it."""

    body: bytes
    author_id: int
    original_id: int = 0  # 0 unless it is a retweet, like the next
    original_author_id: int = 0


# One for all: making a serializer's fields costs more than using them.
_SERIALIZER = TweetSerializer()


def render(tweet: Tweet, *, original_author_id: int = 0) -> RenderedTweet:
    """Render a tweet: one that `reads.fresh` loaded, counts included, or that was just posted."""
    return RenderedTweet(
        body=to_json(_SERIALIZER.to_representation(tweet)),
        author_id=tweet.author_id,
        original_id=tweet.original_id or 0,
        original_author_id=original_author_id,
    )


@dataclass
class Found:
    """Tweets and users that were looked up by id, as JSON; empty for one that is not visible."""

    tweets: dict[int, bytes] = field(default_factory=dict)
    users: dict[int, bytes] = field(default_factory=dict)

    @property
    def is_visible(self) -> bool:
        """Whether all of them are visible."""
        return all(self.tweets.values()) and all(self.users.values())

    def has(self, tweet_id: int, author_id: int) -> bool:
        """Tell whether both the tweet and its author are visible."""
        return bool(self.tweets[tweet_id]) and bool(self.users[author_id])
