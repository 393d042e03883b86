"""Rendered tweets in Redis, and what readers did to them. Postgres has all of it.

A tweet's counts change often, and are replaced; a tweet that is not to be seen any more is
forgotten. Filling never overwrites, neither an entry nor a tombstone.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from accounts import facade as accounts
from tweets.rendering import SHAPE_VERSION, RenderedTweet
from twitter.lib import redis, resp, stamped

TTL_SECONDS = 86_400
# So many changes of one tweet's counts in a second render it at once.
REFRESHES_A_SECOND = 10

# In front of a tweet's JSON: when Postgres was read, the author's id, the original's id or 0.
_HEAD = struct.Struct("<qqq")

_PREFIX = f"tweet:{SHAPE_VERSION}:"


def _key(tweet_id: int) -> str:
    return f"{_PREFIX}{tweet_id}"


def _viewer_key(account_id: int) -> str:
    return f"viewer:{SHAPE_VERSION}:{account_id}"


# Tweets, their originals, and the cards of all their authors, in one round trip. KEYS: the tweets;
# ARGV: what the keys of tweets and of cards begin with. Returns the tweets, the originals' ids and
# themselves, the authors' ids and their cards.
_FETCH = resp.Script("""
local function get(prefix, ids)
    if #ids == 0 then return {} end
    local keys = {}
    for i, id in ipairs(ids) do keys[i] = prefix .. id end
    return redis.call('MGET', unpack(keys))
end
local originals, authors = {}, {}
local known_original, known_author = {['0'] = true}, {}
local function read(values)
    for _, value in ipairs(values) do
        if value and value ~= '' then
            local _, author_id, original_id = struct.unpack('<lll', value)
            local author = string.format('%d', author_id)
            local original = string.format('%d', original_id)
            if not known_author[author] then
                known_author[author] = true
                authors[#authors + 1] = author
            end
            if not known_original[original] then
                known_original[original] = true
                originals[#originals + 1] = original
            end
        end
    end
    return values
end
local tweets = read(redis.call('MGET', unpack(KEYS)))
local more = read(get(ARGV[1], originals))
return {tweets, originals, more, authors, get(ARGV[2], authors)}
""")


@dataclass(frozen=True)
class Found:
    """What of some tweets, of their originals, and of the authors of all these is cached."""

    tweets: dict[int, RenderedTweet]
    users: dict[int, bytes]


# Author and original (or 0) of tweets that this process has seen. They never change, so with them
# it is known beforehand what a page takes, and plain MGET, half the work for Redis, fetches it.
_facts: dict[int, tuple[int, int]] = {}
_MAX_FACTS = 100_000


@dataclass(frozen=True)
class Query:
    """One MGET for tweets, for their originals, and for the cards of the authors of all these."""

    command: bytes
    tweet_ids: Sequence[int]
    author_ids: Sequence[int]

    def found(self, values: Sequence[bytes]) -> Found:
        """Return what the command's reply says."""
        tweets = {}
        for number, value in zip(self.tweet_ids, values, strict=False):
            if value:
                read_at, author_id, original_id = _HEAD.unpack_from(value)
                body = value[_HEAD.size :]
                tweets[number] = RenderedTweet(body, author_id, original_id, read_at)
        cards = zip(self.author_ids, values[len(self.tweet_ids) :], strict=True)
        users = {number: accounts.card_in(value) for number, value in cards if value}
        return Found(tweets=tweets, users=users)


def query(ids: Iterable[int]) -> Query | None:
    """Return what fetches tweets and all that they refer to, if this process has seen them all."""
    tweet_ids = list(ids)
    try:
        originals = {_facts[number][1] for number in tweet_ids} - {0}
        tweet_ids += originals.difference(tweet_ids)
        author_ids = list({_facts[number][0] for number in tweet_ids})
    except KeyError:
        return None
    keys = [f"{_PREFIX}{number}" for number in tweet_ids]
    keys += [f"{accounts.CARD_PREFIX}{number}" for number in author_ids]
    return Query(command=resp.pack("MGET", *keys), tweet_ids=tweet_ids, author_ids=author_ids)


@redis.without_redis(lambda: Found(tweets={}, users={}))
def fetch(ids: Sequence[int]) -> Found:
    """Return what is cached of these tweets and of what they refer to, in one round trip."""
    if known := query(ids):
        return known.found(resp.exchange(known.command)[0])
    return _fetch_and_learn(ids)


def _fetch_and_learn(ids: Sequence[int]) -> Found:
    tweets, original_ids, originals, author_ids, cards = _FETCH.run(
        keys=[f"{_PREFIX}{number}" for number in ids], arguments=[_PREFIX, accounts.CARD_PREFIX]
    )
    asked = Query(
        command=b"",
        tweet_ids=[*ids, *map(int, original_ids)],
        author_ids=list(map(int, author_ids)),
    )
    found = asked.found([*tweets, *originals, *cards])
    if len(_facts) > _MAX_FACTS:
        _facts.clear()
    for number, tweet in found.tweets.items():
        _facts[number] = (tweet.author_id, tweet.original_id)
    return found


def store(tweets: Mapping[int, RenderedTweet]) -> None:
    """Fill entries that are absent; a tombstone wins over what may be older than it."""
    stamped.fill(_packed(tweets), seconds=TTL_SECONDS)


def replace(tweets: Mapping[int, RenderedTweet]) -> None:
    """Overwrite entries that are older, after counts changed. Raises redis.RedisError."""
    stamped.replace(_packed(tweets), seconds=TTL_SECONDS)


def _packed(tweets: Mapping[int, RenderedTweet]) -> dict[str, bytes]:
    return {
        _key(number): _HEAD.pack(tweet.read_at, tweet.author_id, tweet.original_id) + tweet.body
        for number, tweet in tweets.items()
    }


def may_refresh(tweet_id: int) -> bool:
    """Count a change of the tweet's counts; tell whether it is among the first of this second.

    Raises redis.RedisError.
    """
    key = f"tweet:refreshes:{tweet_id}"
    changes, _ = resp.exchange(resp.pack("INCR", key), resp.pack("PEXPIRE", key, 1_000, "NX"))
    return bool(changes <= REFRESHES_A_SECOND)


def forget_viewer(account_id: int) -> None:
    """Forget which tweets the account liked and retweeted. Raises redis.RedisError."""
    stamped.forget([_viewer_key(account_id)])


def forget(ids: Iterable[int]) -> None:
    """Leave tombstones for tweets that are not to be seen any more. Raises redis.RedisError."""
    stamped.forget(map(_key, ids))


@dataclass(frozen=True)
class Viewer:
    """What an account liked and retweeted, as far as tweets with an id above `floor` go.

    `read_at`: when Postgres was asked, in microseconds of its clock.
    """

    read_at: int
    floor: int
    liked: frozenset[int]
    retweeted: frozenset[int]


def reading_viewer(account_id: int) -> bytes:
    """Return the packed command that fetches what an account liked and retweeted."""
    return resp.pack("GET", _viewer_key(account_id))


def viewer_in(value: bytes | None) -> Viewer | None:
    """Return what a cached value says; None when there is none."""
    if not value:
        return None
    read_at, floor, likes, *ids = struct.unpack(f"<{len(value) // 8}q", value)
    liked, retweeted = frozenset(ids[:likes]), frozenset(ids[likes:])
    return Viewer(read_at=read_at, floor=floor, liked=liked, retweeted=retweeted)


@redis.without_redis(lambda: None)
def fetch_viewer(account_id: int) -> Viewer | None:
    """Return what is cached of an account's likes and retweets, in one GET."""
    return viewer_in(resp.exchange(reading_viewer(account_id))[0])


def store_viewer(account_id: int, viewer: Viewer) -> None:
    """Fill the entry if it is absent."""
    known = (*viewer.liked, *viewer.retweeted)
    numbers = (viewer.read_at, viewer.floor, len(viewer.liked), *known)
    value = struct.pack(f"<{len(numbers)}q", *numbers)
    stamped.fill({_viewer_key(account_id): value}, seconds=TTL_SECONDS)
