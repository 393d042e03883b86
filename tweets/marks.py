"""Marks: what a reader did to tweets, as one value in Redis; PostgreSQL has all of it.

The value holds the newest of what the reader liked and retweeted, down to a floor. Tweets that are
older are asked for as they are met, and kept as well, whether the reader marked them or not. After
each change the value is replaced by what is read after its commit.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from struct import Struct, unpack_from
from typing import Any

from django.db import connection

from tweets.models import Like, Tweet
from twitter.base.data import parts, redis, stamped
from twitter.base.data.parts import Part
from twitter.base.data.stamped import STAMP, Stamped

TTL_SECONDS = 86_400
# Likes, and own tweets, that the value goes back to.
NEWEST = 500
# Tweets below the floor that are kept besides: at least those of the largest page, with originals.
ASKED = 200
# With the version of the value's form.
MARKS = Stamped("marks:1:", seconds=TTL_SECONDS, of_reader=True)

# The floor; how many were liked, retweeted, asked for. Then follow their ids.
_HEAD = Struct("<4q")


@dataclass(frozen=True, slots=True)
class Marks:
    """What a reader liked and retweeted of all tweets above the id `floor`, and of those `asked`.

    `read_at`: when PostgreSQL was asked, in microseconds of its clock.
    """

    floor: int
    liked: frozenset[int]
    retweeted: frozenset[int]
    asked: frozenset[int]
    read_at: int

    def unknown(self, tweet_ids: Iterable[int]) -> set[int]:
        """Return of which of the tweets it is not known what the reader did to them."""
        return {one for one in tweet_ids if one <= self.floor and one not in self.asked}


def marks_part(account_id: int) -> Part[Marks | None]:
    """Return the part that reads an account's marks; None when they are not cached."""
    return MARKS.part(account_id, parse=_parsed)


def _parsed(value: bytes) -> Marks:
    (read_at,) = STAMP.unpack_from(value)
    floor, likes, retweets, asked = _HEAD.unpack_from(value, STAMP.size)
    ids = unpack_from(f"<{likes + retweets + asked}q", value, STAMP.size + _HEAD.size)
    return Marks(
        floor=floor,
        liked=frozenset(ids[:likes]),
        retweeted=frozenset(ids[likes : likes + retweets]),
        asked=frozenset(ids[likes + retweets :]),
        read_at=read_at,
    )


@redis.without_redis(lambda: None)
def fetch(account_id: int) -> Marks | None:
    """Return what is cached of an account's marks."""
    return parts.fetch(marks_part(account_id))


def filled(account_id: int) -> Marks:
    """Return an account's marks from PostgreSQL, and cache them."""
    marks = _stored(account_id, ())
    MARKS.fill({account_id: _packed(marks)})
    return marks


def knowing(account_id: int, marks: Marks, *, tweet_ids: Collection[int]) -> Marks:
    """Return the account's marks, which now tell of these tweets as well, and cache that."""
    if not marks.unknown(tweet_ids):
        return marks
    kept = sorted(marks.asked.difference(tweet_ids), reverse=True)
    # All of these tweets, for the floor may have risen above some that were known.
    marks = _stored(account_id, [*tweet_ids, *kept[: max(ASKED - len(tweet_ids), 0)]])
    redis.without_redis(lambda: None)(MARKS.replace)({account_id: _packed(marks)})
    return marks


def refresh(account_id: int) -> None:
    """Replace what is cached of an account's marks. Raises redis.RedisError."""
    marks = parts.fetch(marks_part(account_id))
    fresh = _stored(account_id, marks.asked if marks else ())
    MARKS.replace({account_id: _packed(fresh)})


def drop(account_id: int) -> None:
    """Delete what is cached of an account's marks. Raises redis.RedisError."""
    MARKS.drop([account_id])


def _packed(marks: Marks) -> bytes:
    sets: Sequence[Collection[int]] = (marks.liked, marks.retweeted, marks.asked)
    ids = [one for each in sets for one in each]
    body = _HEAD.pack(marks.floor, *map(len, sets)) + Struct(f"<{len(ids)}q").pack(*ids)
    return stamped.stamp(body, read_at=marks.read_at)


# A retweet is newer than its original. So if all of the reader's tweets above an id are known, it
# is known as well what the reader retweeted above that id.
_STORED = f"""
    WITH own AS (
        SELECT id, original_id, state FROM {Tweet._meta.db_table}
        WHERE author_id = %(reader)s ORDER BY id DESC LIMIT %(newest)s)
    SELECT
        array(SELECT tweet_id FROM {Like._meta.db_table} WHERE account_id = %(reader)s
            ORDER BY tweet_id DESC LIMIT %(newest)s),
        array(SELECT original_id FROM own
            WHERE original_id IS NOT NULL AND state = {Tweet.State.VISIBLE}),
        (SELECT min(id) FROM own HAVING count(*) = %(newest)s),
        array(SELECT tweet_id FROM {Like._meta.db_table}
            WHERE account_id = %(reader)s AND tweet_id = ANY(%(asked)s)),
        array(SELECT original_id FROM {Tweet._meta.db_table}
            WHERE author_id = %(reader)s AND original_id = ANY(%(asked)s)
                AND state = {Tweet.State.VISIBLE}),
        {stamped.NOW}"""


def _stored(account_id: int, asked: Collection[int]) -> Marks:
    """Return an account's marks, in one query; `asked` are tweets that may lie below the floor."""
    parameters: dict[str, Any] = {"reader": account_id, "newest": NEWEST, "asked": list(asked)}
    with connection.cursor() as cursor:
        cursor.execute(_STORED, parameters)
        [(liked, retweeted, oldest, also_liked, also_retweeted, read_at)] = cursor.fetchall()
    floor = max(oldest or 0, liked[-1] if len(liked) == NEWEST else 0)
    return Marks(
        floor=floor,
        liked=frozenset([*liked, *also_liked]),
        retweeted=frozenset([*retweeted, *also_retweeted]),
        asked=frozenset(one for one in asked if one <= floor),
        read_at=read_at,
    )
