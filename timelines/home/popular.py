"""What readers of popular authors merge into their homes, in Redis.

`newest:<author>` holds a popular author's newest entries (`twitter.base.data.stamped`): first an
id, above which no entry is missing, then the entries, each padded to 32 bytes.

`popular:{<reader>}` lists which popular authors a reader follows. It is made and dropped with the
reader's home, and read with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings

from tweets.facade import ID_SIZE, TWEET_SIZE, Entry
from twitter.base.data import parts
from twitter.base.data.stamped import STAMP, Stamped

# Entries of each author: more than the top of a home has, so that they never shorten the top.
SIZE = 100
_SLOT = 2 * TWEET_SIZE
_NO_ORIGINAL = bytes(TWEET_SIZE)


@dataclass(frozen=True)
class Newest:
    """A popular author's newest entries, newest first, all there are above the id `floor`."""

    entries: Sequence[Entry]
    floor: bytes


def _cache() -> Stamped:
    return Stamped("newest:", form=2, seconds=settings.HOME_TTL_SECONDS)


def key_of_merged(reader_id: int) -> str:
    """Return the key of the list of popular authors that a reader follows."""
    return f"popular:{{{reader_id}}}"


def fetch(author_ids: Sequence[int]) -> dict[int, Newest]:
    """Return the stored newest entries of those authors who have some. Raises redis.RedisError."""
    found: dict[int, Newest]
    (found,) = parts.fetch_values(_cache().values(author_ids, parse=_parsed))
    return found


def _parsed(value: bytes) -> Newest:
    start = STAMP.size + ID_SIZE
    slots = [value[place : place + _SLOT] for place in range(start, len(value), _SLOT)]
    entries = [slot[:TWEET_SIZE] if slot[TWEET_SIZE:] == _NO_ORIGINAL else slot for slot in slots]
    return Newest(entries=entries, floor=value[STAMP.size : start])


def replace(newest: Mapping[int, Newest], *, read_at: int) -> None:
    """Store authors' newest entries, read from PostgreSQL at `read_at`. Raises redis.RedisError."""
    cache = _cache()
    cache.replace(
        {
            author_id: cache.stamp(
                one.floor + b"".join(entry.ljust(_SLOT, b"\0") for entry in one.entries),
                read_at=read_at,
            )
            for author_id, one in newest.items()
        }
    )


def drop(author_id: int) -> None:
    """Delete what is stored of an author who is gone for good. Raises redis.RedisError."""
    _cache().drop([author_id])


def merged(
    entries: Iterable[Entry], floor: bytes, newest: Iterable[Newest]
) -> tuple[list[Entry], bytes]:
    """Return entries and floor of a home together with what popular authors wrote."""
    newest = list(newest)
    floor = max([floor, *(one.floor for one in newest)])
    union = set(entries).union(*(one.entries for one in newest))
    return sorted((entry for entry in union if entry[:ID_SIZE] > floor), reverse=True), floor
