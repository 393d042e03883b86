"""Tweets as bytes. The serializer renders a tweet once; answers are joined from these bytes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tweets.models import Tweet
from tweets.posts.serializers import TweetSerializer
from twitter.base.http.renderers import array, to_json

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
    """Render a tweet that `reads.fresh` loaded, counts included."""
    return RenderedTweet(
        body=to_json(_SERIALIZER.to_representation(tweet)),
        author_id=tweet.author_id,
        original_id=tweet.original_id or 0,
        original_author_id=original_author_id,
    )


@dataclass
class Found:
    """Tweets and users that were looked up by id, as bytes.

    An invisible tweet is None, an invisible user is empty.
    """

    tweets: dict[int, RenderedTweet | None] = field(default_factory=dict)
    users: dict[int, bytes] = field(default_factory=dict)

    def has(self, tweet_id: int, author_id: int) -> bool:
        """Tell whether both the tweet and its author are visible."""
        return self.tweets.get(tweet_id) is not None and bool(self.users.get(author_id))

    def body(self, tweet_id: int) -> bytes:
        """Return the JSON of a tweet, empty if it is not visible."""
        tweet = self.tweets[tweet_id]
        return tweet.body if tweet else b""

    def data(self, ids: Iterable[int]) -> bytes:
        """Return the JSON array of these tweets."""
        return array([self.body(number) for number in ids])
