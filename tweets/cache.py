"""Rendered tweets in Redis. All of it can be rendered again from Postgres."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tweets.rendering import SHAPE_VERSION, RenderedTweet
from twitter.lib import redis

TTL_SECONDS = 86_400
# For so long after a change nobody may fill the entry: longer than a reader who saw Postgres before
# the change needs to write what it saw.
TOMBSTONE_MS = 3_000


def _key(tweet_id: int) -> str:
    return f"tweet:{SHAPE_VERSION}:{tweet_id}"


@redis.without_redis(dict)
def fetch(ids: Collection[int]) -> dict[int, RenderedTweet]:
    """Return those of the tweets that are cached."""
    if not ids:
        return {}
    values: Any = redis.client().mget([_key(tweet_id) for tweet_id in ids])
    return {tweet_id: _unpack(value) for tweet_id, value in zip(ids, values, strict=True) if value}


@redis.without_redis(lambda: None)
def store(tweets: Mapping[int, RenderedTweet]) -> None:
    """Fill entries that are absent; a tombstone wins over what may be older than it."""
    if not tweets:
        return
    pipeline = redis.client().pipeline(transaction=False)
    for tweet_id, tweet in tweets.items():
        pipeline.set(_key(tweet_id), _pack(tweet), ex=TTL_SECONDS, nx=True)
    pipeline.execute()


def forget(ids: Iterable[int]) -> None:
    """Replace entries with tombstones after their tweets changed. Raises redis.RedisError."""
    pipeline = redis.client().pipeline(transaction=False)
    for tweet_id in ids:
        pipeline.set(_key(tweet_id), b"", px=TOMBSTONE_MS)
    pipeline.execute()


def _pack(tweet: RenderedTweet) -> bytes:
    return b"%d %d\n%s" % (tweet.author_id, tweet.original_id, tweet.body)


def _unpack(value: bytes) -> RenderedTweet:
    head, _, body = value.partition(b"\n")
    author_id, original_id = head.split()
    return RenderedTweet(body=body, author_id=int(author_id), original_id=int(original_id))
