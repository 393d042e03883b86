"""A tweet in a skeleton: nothing but ids, as the bytes that Redis keeps and compares.

16 bytes for a tweet: its id and its author's, 64 bits each. 32 for a retweet: then also the
original's id and its author's. Big-endian, so that bytes sort as ids do. The second half of a
retweet is the entry that the original itself has.
"""

from struct import Struct
from typing import NamedTuple

Entry = bytes

_TWEET, _RETWEET, _ID = Struct(">QQ"), Struct(">QQQQ"), Struct(">Q")
# Bytes of an entry's id, and of a tweet's entry.
ID_SIZE, TWEET_SIZE = _ID.size, _TWEET.size


class Ref(NamedTuple):
    """What an entry says; the last two are 0 unless it is a retweet."""

    id: int
    author_id: int
    original_id: int = 0
    original_author_id: int = 0

    @property
    def entry(self) -> Entry:
        """The same as bytes."""
        return _RETWEET.pack(*self) if self.original_id else _TWEET.pack(*self[:2])


def ref_of(entry: Entry) -> Ref:
    """Return what an entry says."""
    # As Ref(…) does, without a call in between: a page makes one of each of its tweets.
    if len(entry) == TWEET_SIZE:
        return tuple.__new__(Ref, (*_TWEET.unpack(entry), 0, 0))
    return tuple.__new__(Ref, _RETWEET.unpack(entry))


def id_of(entry: Entry) -> int:
    """Return the id of an entry's tweet."""
    return int.from_bytes(entry[:ID_SIZE], "big")


def id_bytes(tweet_id: int) -> bytes:
    """Return an id as entries begin with it: those of smaller ids sort before it."""
    return _ID.pack(tweet_id)
