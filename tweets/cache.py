"""Rendered tweets in Redis. PostgreSQL has all of it.

A tweet is replaced after each change, by what is read after its commit: a tweet that is not to be
seen any more by its absence (`twitter.base.data.stamped`).
"""

import struct
from collections.abc import Mapping, Sequence

from accounts import facade as accounts
from tweets.rendering import SHAPE_VERSION, RenderedTweet
from twitter.base.data import parts, redis, resp, stamped
from twitter.base.data.stamped import STAMP, Stamped

TTL_SECONDS = 86_400
# So many changes of one tweet's counts in a second render it at once.
REFRESHES_A_SECOND = 10

TWEETS = Stamped(f"tweet:{SHAPE_VERSION}:", seconds=TTL_SECONDS)
# In front of a tweet's JSON: the ids of its author, and of the original and its author, or 0.
_HEAD = struct.Struct("<qqq")
_BODY = STAMP.size + _HEAD.size

Values = tuple[Sequence[bytes | None], Sequence[bytes | None]]


def fetch(tweet_ids: Sequence[int], author_ids: Sequence[int]) -> Values:
    """Return what is cached of tweets and of users' cards, in order, in one round trip."""
    keys = [*TWEETS.keys(tweet_ids), *accounts.CARDS.keys(author_ids)]
    values = _values(keys) or [None] * len(keys)
    return values[: len(tweet_ids)], values[len(tweet_ids) :]


@redis.without_redis(list)
def _values(keys: Sequence[str]) -> list[bytes | None]:
    return parts.fetch(parts.values(keys))


def tweet_in(value: bytes) -> RenderedTweet | None:
    """Return the tweet in a cached value; None if readers may not see it."""
    if len(value) == STAMP.size:
        return None
    return RenderedTweet(value[_BODY:], *_HEAD.unpack_from(value, STAMP.size))


def fill(tweets: Mapping[int, RenderedTweet | None], *, read_at: int) -> None:
    """Fill in tweets that are not cached; None for one that readers may not see."""
    TWEETS.fill(_packed(tweets, read_at))


def replace(tweets: Mapping[int, RenderedTweet | None], *, read_at: int) -> None:
    """Overwrite tweets that are older. Raises redis.RedisError."""
    TWEETS.replace(_packed(tweets, read_at))


def _packed(tweets: Mapping[int, RenderedTweet | None], read_at: int) -> dict[int, bytes]:
    return {
        number: stamped.stamp(
            _HEAD.pack(*tweet[1:]) + tweet.body if tweet else b"", read_at=read_at
        )
        for number, tweet in tweets.items()
    }


def may_refresh(tweet_id: int) -> bool:
    """Count a change of the tweet's counts; tell whether it is among the first of this second.

    Raises redis.RedisError.
    """
    key = f"tweet:refreshes:{tweet_id}"
    changes, _ = resp.exchange(resp.pack("INCR", key), resp.pack("PEXPIRE", key, 1_000, "NX"))
    return bool(changes <= REFRESHES_A_SECOND)
