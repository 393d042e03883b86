"""The relations of a reader, as one value in Redis; PostgreSQL has all of it.

Relations decide who may see what, so they are filled in under a lease, and replaced by the request
that changed them, after its commit (`twitter.base.data.stamped`).
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db import connection

from twitter.base.data import stamped
from twitter.base.data.parts import Part
from twitter.base.data.stamped import STAMP, Stamped

TTL_SECONDS = 86_400
RELATIONS = Stamped("relations:", form=1, seconds=TTL_SECONDS, of_reader=True)


class Ids:
    """Sorted ids, 8 bytes each, searched in place: nothing is unpacked to look for one."""

    def __init__(self, packed: bytes | memoryview = b"") -> None:
        self._numbers = memoryview(packed).cast("q")

    @classmethod
    def of(cls, numbers: Iterable[int]) -> "Ids":
        """Return these ids."""
        return cls(array("q", sorted(numbers)).tobytes())

    def __contains__(self, number: int) -> bool:
        place = bisect_left(self._numbers, number)
        return place < len(self._numbers) and self._numbers[place] == number

    def __len__(self) -> int:
        return len(self._numbers)


NONE = Ids()


@dataclass(frozen=True, slots=True)
class Relations:
    """Whom a reader follows, blocks and mutes, and who blocks the reader.

    `followees` has suspended accounts too. Blocks and mutes do not exist yet. `bars`: whether there
    is any account in the last three.
    """

    followees: Ids
    blocked: Ids = NONE
    blocked_by: Ids = NONE
    muted: Ids = NONE
    bars: bool = field(init=False)

    def __post_init__(self) -> None:
        """Work out once what is needed for each tweet."""
        bars = bool(self.blocked or self.blocked_by or self.muted)
        object.__setattr__(self, "bars", bars)


def relations_part(account_id: int) -> Part[Relations | None]:
    """Return the part that reads an account's relations; None when they are not cached."""
    return RELATIONS.part(account_id, parse=_parsed)


def _parsed(value: bytes) -> Relations:
    return Relations(followees=Ids(memoryview(value)[STAMP.size :]))


def filled(account_id: int) -> Relations:
    """Return an account's relations from PostgreSQL, and cache them."""
    return _parsed(RELATIONS.read_leased(account_id, read=_stored))


def refresh(account_id: int) -> None:
    """Refresh an account's cached relations. Raises redis.RedisError."""
    RELATIONS.replace({account_id: _stored(account_id)})


def _stored(account_id: int) -> bytes:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT array(SELECT followed_id FROM accounts_follow WHERE follower_id = %s"
            f" ORDER BY followed_id), {stamped.NOW}",
            [account_id],
        )
        [(followees, read_at)] = cursor.fetchall()
    return RELATIONS.stamp(array("q", followees).tobytes(), read_at=read_at)


def drop(account_ids: Iterable[int]) -> None:
    """Delete accounts' cached relations. Raises redis.RedisError."""
    RELATIONS.drop(account_ids)
