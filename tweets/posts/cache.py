"""Rendered tweets in Redis; PostgreSQL has all of it.

After each change of a tweet, a read that follows its commit replaces the cached tweet. If readers
do not see it any more, its absence is cached (`twitter.base.data.stamped`).
"""

import struct
from collections.abc import Mapping, Sequence
from operator import itemgetter

from tweets.entries import Ref
from tweets.posts.rendering import SHAPE_VERSION, RenderedTweet
from twitter.base.data import parts, redis, resp
from twitter.base.data.parts import Values
from twitter.base.data.stamped import STAMP, Stamped

TTL_SECONDS = 86_400
# Of the changes of a tweet's counts in a second, so many have it rendered at once.
REFRESHES_A_SECOND = 10
TWEETS = Stamped("tweet:", form=SHAPE_VERSION, seconds=TTL_SECONDS)
# In front of a tweet's JSON: the ids of its author, and of the original and its author, or 0.
_HEAD = struct.Struct("<qqq")
_HEAD_AT = STAMP.size
_head = itemgetter(slice(_HEAD_AT, _HEAD_AT + _HEAD.size))


def values(tweet_ids: Sequence[int]) -> Values[dict[int, bytes]]:
    """Return how to read the JSON of the cached ones among these tweets.

    That of a tweet that readers may not see is empty.
    """
    return TWEETS.bodies(tweet_ids, skip=_HEAD.size)


@redis.without_redis(dict)
def fetch_heads(tweet_ids: Sequence[int]) -> dict[int, Ref | None]:
    """Return the cached ones among these tweets, None for one that readers may not see."""
    heads: dict[int, bytes]
    [heads] = parts.fetch_values(TWEETS.values(tweet_ids, parse=_head))
    return {
        number: Ref(number, *_HEAD.unpack(head)) if head else None for number, head in heads.items()
    }


def fill(tweets: Mapping[int, RenderedTweet | None], *, read_at: int) -> None:
    """Fill in tweets that are not cached; None for one that readers may not see."""
    TWEETS.fill(_packed(tweets, read_at))


def replace(tweets: Mapping[int, RenderedTweet | None], *, read_at: int) -> None:
    """Overwrite tweets that are older. Raises redis.RedisError."""
    TWEETS.replace(_packed(tweets, read_at))


def _packed(tweets: Mapping[int, RenderedTweet | None], read_at: int) -> dict[int, bytes]:
    return {
        number: TWEETS.stamp(_HEAD.pack(*tweet[1:]) + tweet.body if tweet else b"", read_at=read_at)
        for number, tweet in tweets.items()
    }


def may_refresh(tweet_id: int) -> bool:
    """Count a change of the tweet's counts; tell whether it is among the first of this second.

    Raises redis.RedisError.
    """
    key = f"tweet:refreshes:{tweet_id}"
    changes, _ = resp.exchange(resp.pack("INCR", key), resp.pack("PEXPIRE", key, 1_000, "NX"))
    return bool(changes <= REFRESHES_A_SECOND)
