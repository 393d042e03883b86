"""Marks: what a reader did to tweets, as one value in Redis; PostgreSQL has all of it.

For each mark that reactions declare, the value holds the newest tweets with this mark, down to a
floor. Older tweets are looked up when a page has them, and kept as well, whether the reader marked
them or not. After each change, a read that follows its commit replaces the value.
"""

from binascii import crc_hqx
from collections.abc import Collection, Iterable, Mapping, Sequence
from struct import Struct, unpack_from
from typing import Any, NamedTuple

from django.db import connection

from tweets.reactions.declares import MARKS
from twitter.base.data import parts, redis, stamped
from twitter.base.data.parts import Part
from twitter.base.data.stamped import STAMP, Stamped

TTL_SECONDS = 86_400
# The value goes back over so many marked tweets, and over so many tweets of the reader's own.
NEWEST = 500
# Tweets below the floor that are kept besides: at least those of the largest page, with originals.
ASKED = 200
_NAMES = [mark.name for mark in MARKS]
# The value's form changes with the marks that there are.
_FORM = crc_hqx(" ".join(_NAMES).encode(), 0)
VALUES = Stamped("marks:", form=_FORM, seconds=TTL_SECONDS, of_reader=True)

# The floor; how many tweets have each mark; how many were asked for. Then follow their ids.
_HEAD = Struct(f"<{len(MARKS) + 2}q")


class Marks(NamedTuple):
    """The tweets with each mark, by its name: all above the id `floor`, and those among `asked`.

    `read_at`: when PostgreSQL was asked, in microseconds of its clock.
    """

    floor: int
    marked: Mapping[str, frozenset[int]]
    asked: frozenset[int]
    read_at: int

    def unknown(self, tweet_ids: Iterable[int]) -> set[int]:
        """Return those of the tweets that the value does not cover."""
        return {one for one in tweet_ids if one <= self.floor and one not in self.asked}

    def of(self, tweet_ids: Collection[int]) -> dict[str, frozenset[int]]:
        """Return which of the tweets have each mark."""
        return {name: ids.intersection(tweet_ids) for name, ids in self.marked.items()}


def marks_part(account_id: int) -> Part[Marks | None]:
    """Return the part that reads an account's marks; None when they are not cached."""
    return VALUES.part(account_id, parse=_parsed)


def _parsed(value: bytes) -> Marks:
    floor, *sizes = _HEAD.unpack_from(value, STAMP.size)
    ids = unpack_from(f"<{sum(sizes)}q", value, STAMP.size + _HEAD.size)
    sets, start = [], 0
    for size in sizes:
        sets.append(frozenset(ids[start : start + size]))
        start += size
    return Marks(
        floor=floor,
        marked=dict(zip(_NAMES, sets, strict=False)),
        asked=sets[-1],
        read_at=stamped.read_at(value),
    )


@redis.without_redis(lambda: None)
def fetch(account_id: int) -> Marks | None:
    """Return what is cached of an account's marks."""
    return parts.fetch(marks_part(account_id))


def filled(account_id: int) -> Marks:
    """Return an account's marks from PostgreSQL, and cache them."""
    marks = _stored(account_id, ())
    VALUES.fill({account_id: _packed(marks)})
    return marks


def knowing(account_id: int, marks: Marks, *, tweet_ids: Collection[int]) -> Marks:
    """Return the account's marks, which now cover these tweets as well, and cache them."""
    if not marks.floor or not marks.unknown(tweet_ids):
        return marks
    kept = sorted(marks.asked.difference(tweet_ids), reverse=True)
    # All of these tweets, for the floor may have risen above some that were covered.
    marks = _stored(account_id, [*tweet_ids, *kept[: max(ASKED - len(tweet_ids), 0)]])
    redis.without_redis(lambda: None)(VALUES.replace)({account_id: _packed(marks)})
    return marks


def refresh(account_id: int) -> None:
    """Refresh an account's cached marks. Raises redis.RedisError."""
    marks = parts.fetch(marks_part(account_id))
    fresh = _stored(account_id, marks.asked if marks else ())
    VALUES.replace({account_id: _packed(fresh)})


def drop(account_id: int) -> None:
    """Delete an account's cached marks. Raises redis.RedisError."""
    VALUES.drop([account_id])


def _packed(marks: Marks) -> bytes:
    sets: Sequence[Collection[int]] = (*marks.marked.values(), marks.asked)
    ids = [one for each in sets for one in each]
    body = _HEAD.pack(marks.floor, *map(len, sets)) + Struct(f"<{len(ids)}q").pack(*ids)
    return VALUES.stamp(body, read_at=marks.read_at)


def _statement() -> str:
    """Return the statement that reads all marks of an account."""
    shared = ", ".join(mark.with_query for mark in MARKS if mark.with_query)
    columns = [
        column
        for mark in MARKS
        for column in (f"array({mark.newest})", mark.floor, f"array({mark.asked})")
    ]
    return f"{f'WITH {shared} ' if shared else ''}SELECT {', '.join(columns)}, {stamped.NOW}"


_STATEMENT = _statement()


def _stored(account_id: int, asked: Collection[int]) -> Marks:
    """Return an account's marks, in one query; `asked` are tweets that may lie below the floor."""
    parameters: dict[str, Any] = {"reader": account_id, "newest": NEWEST, "asked": list(asked)}
    with connection.cursor() as cursor:
        cursor.execute(_STATEMENT, parameters)
        [(*columns, read_at)] = cursor.fetchall()
    floor, marked = 0, {}
    for place, mark in enumerate(MARKS):
        newest, from_there, below = columns[3 * place : 3 * place + 3]
        if from_there is None and len(newest) == NEWEST:
            from_there = newest[-1]
        floor = max(floor, from_there or 0)
        marked[mark.name] = frozenset([*newest, *below])
    return Marks(
        floor=floor,
        marked=marked,
        asked=frozenset(one for one in asked if one <= floor),
        read_at=read_at,
    )
