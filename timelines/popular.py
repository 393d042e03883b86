"""What readers of popular authors merge into their homes, in Redis.

`newest:<author>` holds a popular author's newest entries, packed as 8 bytes each, and last of all
the floor they reach down to. In front stands the moment at which Postgres was read, in microseconds
of its clock: only what was read later replaces it.

`popular:<reader>` lists which popular authors a reader follows. It is made and dropped with the
reader's home. One command, SORT … GET, fetches what all of them wrote.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings

from twitter.lib import resp, stamped

# Entries of each author: more than the top of a home, so that they never make that end earlier.
SIZE = 100


@dataclass(frozen=True)
class Newest:
    """A popular author's newest entries, newest first, all there are above `floor`."""

    entries: Sequence[int]
    floor: int


def key_of_followed(reader_id: int) -> str:
    """Return the key of the list of popular authors that a reader follows."""
    return f"popular:{reader_id}"


def reading(reader_id: int) -> bytes:
    """Return the packed command that fetches what the reader's popular followees wrote."""
    key = key_of_followed(reader_id)
    return resp.pack("SORT", key, "BY", "nosort", "GET", "#", "GET", "newest:*")


@dataclass(frozen=True)
class Followed:
    """What a reader's popular followees wrote, and of whom that is not known."""

    newest: list[Newest]
    unknown: list[int]


def parse(reply: Sequence[bytes | None]) -> Followed:
    """Return what the command's reply says: authors and values in turns."""
    followed = Followed(newest=[], unknown=[])
    for author_id, value in zip(reply[::2], reply[1::2], strict=True):
        if value is None:
            followed.unknown.append(int(author_id or 0))
        else:
            _, *entries, floor = struct.unpack(f"<{len(value) // 8}q", value)
            followed.newest.append(Newest(entries=entries, floor=floor))
    return followed


def replace(newest: Mapping[int, Newest], *, read_at: int) -> None:
    """Store what authors wrote, as read from Postgres at `read_at`. Raises redis.RedisError."""
    packed = {
        f"newest:{author_id}": struct.pack(
            f"<{len(one.entries) + 2}q", read_at, *one.entries, one.floor
        )
        for author_id, one in newest.items()
    }
    stamped.replace(packed, seconds=settings.HOME_TTL_SECONDS)


def forget(author_id: int) -> None:
    """Forget what an author wrote, who is gone for good. Raises redis.RedisError."""
    resp.exchange(resp.pack("UNLINK", f"newest:{author_id}"))


def merged(entries: Iterable[int], floor: int, newest: Sequence[Newest]) -> tuple[list[int], int]:
    """Return entries and floor of a home together with what popular authors wrote."""
    floor = max([floor, *(one.floor for one in newest)])
    union = set(entries).union(*(one.entries for one in newest))
    return sorted((entry for entry in union if entry > floor), reverse=True), floor
