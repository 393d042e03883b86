"""Tweets as bytes: rendered once by the serializer, joined into answers ever after."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tweets.models import Tweet
from tweets.serializers import TweetSerializer
from twitter.lib.renderers import array, to_json

# Part of every cache key. A golden file in the tests tells when the shape changed: raise it then.
SHAPE_VERSION = 3


class RenderedTweet(NamedTuple):
    """A tweet's JSON, and what one must know of it without parsing that."""

    body: bytes
    author_id: int
    original_id: int  # 0 unless it is a retweet
    read_at: int  # microseconds of Postgres' clock


# One for all: making a serializer's fields costs more than using them.
_SERIALIZER = TweetSerializer()


def render(tweet: Tweet) -> RenderedTweet:
    """Render a tweet that `selectors.load` brought, counts included."""
    return RenderedTweet(
        body=to_json(_SERIALIZER.to_representation(tweet)),
        author_id=tweet.author_id,
        original_id=tweet.original_id or 0,
        read_at=getattr(tweet, "read_at", 0),
    )


@dataclass(frozen=True)
class Hydration:
    """Visible tweets and users by id, each as bytes, ready to be joined.

    A tweet is in `tweets` only if its author, its original and that one's author are visible too.
    """

    tweets: Mapping[int, RenderedTweet]
    users: Mapping[int, bytes]

    def data(self, ids: Iterable[int]) -> bytes:
        """Return the JSON array of these tweets."""
        return array([self.tweets[number].body for number in ids])

    def mentioned(self, ids: Sequence[int]) -> list[int]:
        """Return the ids of these tweets, and after them those of their originals, each once."""
        originals = [self.tweets[number].original_id for number in ids]
        return list(dict.fromkeys([*ids, *filter(None, originals)]))

    def includes(self, ids: Sequence[int], mentioned: Sequence[int]) -> bytes:
        """Return the JSON of `includes`: originals, and the authors of all, in page order.

        `mentioned` is what `mentioned(ids)` returned: these, and after them originals.
        """
        authors = dict.fromkeys([self.tweets[number].author_id for number in mentioned])
        return b'{"users":%b,"tweets":%b}' % (
            array([self.users[number] for number in authors]),
            self.data(mentioned[len(ids) :]),
        )


def viewer(*, liked: Iterable[int], retweeted: Iterable[int]) -> bytes:
    """Return the JSON of `viewer`, newest first."""
    return b'{"liked":%b,"retweeted":%b}' % (_ids(liked), _ids(retweeted))


def _ids(numbers: Iterable[int]) -> bytes:
    return array([b'"%d"' % number for number in sorted(numbers, reverse=True)])
