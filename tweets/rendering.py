"""Tweets as bytes: rendered once by the serializer, joined into answers ever after."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tweets.models import Tweet
from tweets.serializers import TweetSerializer
from twitter.lib.renderers import array, envelope, to_json

# Part of every cache key. A golden file in the tests tells when the shape changed: raise it then.
SHAPE_VERSION = 1


@dataclass(frozen=True)
class RenderedTweet:
    """A tweet's JSON, and what one must know of it without parsing that."""

    body: bytes
    author_id: int
    original_id: int  # 0 unless it is a retweet


def render(tweet: Tweet) -> RenderedTweet:
    """Render a tweet that `selectors.load` brought, counts included."""
    return RenderedTweet(
        body=to_json(TweetSerializer(tweet).data),
        author_id=tweet.author_id,
        original_id=tweet.original_id or 0,
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
        return array(self.tweets[number].body for number in ids)

    def mentioned(self, ids: Sequence[int]) -> list[int]:
        """Return the ids of these tweets and of their originals, each once."""
        originals = (self.tweets[number].original_id for number in ids)
        return list(dict.fromkeys((*ids, *(number for number in originals if number))))

    def includes(self, ids: Sequence[int]) -> bytes:
        """Return the JSON of `includes`: originals, and the authors of all, in page order."""
        mentioned = self.mentioned(ids)
        shown = set(ids)
        authors = dict.fromkeys(self.tweets[number].author_id for number in mentioned)
        return envelope(
            {
                "users": array(self.users[number] for number in authors),
                "tweets": self.data(number for number in mentioned if number not in shown),
            }
        )


def viewer(*, liked: Iterable[int], retweeted: Iterable[int]) -> bytes:
    """Return the JSON of `viewer`, newest first."""
    return to_json(
        {
            "liked": [str(number) for number in sorted(liked, reverse=True)],
            "retweeted": [str(number) for number in sorted(retweeted, reverse=True)],
        }
    )
