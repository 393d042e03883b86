"""May this reader see this tweet, and does this source show it? Nothing else decides.

`may` is the same everywhere. `shows` differs by where the tweet comes from. A source may leave out
what fails, never show what `may` refuses.
"""

from collections.abc import Callable, Mapping
from enum import Enum

from tweets.entries import Entry, Ref
from tweets.posts.rendering import Found
from tweets.reader import Reader


class Kind(Enum):
    """Where a page's tweets come from."""

    HOME = "the reader's home timeline"
    AUTHOR = "one author's tweets"
    TWEET = "one tweet that is asked for by its id"


def may(reader: Reader, ref: Ref, found: Found) -> bool:
    """Tell whether the reader may see a tweet.

    The tweet is there, its author is neither suspended nor deleted, and neither of reader and
    author blocks the other. A retweet also needs its original.
    """
    return (
        found.has(ref.id, ref.author_id)
        and (not ref.original_id or found.has(ref.original_id, ref.original_author_id))
        and not (
            reader.relations.bars and is_blocked(reader, ref.author_id, ref.original_author_id)
        )
    )


def unseen(reader: Reader, refs: Mapping[Entry, Ref], found: Found) -> list[Entry]:
    """Return those of the entries that the reader may not see."""
    if found.is_visible and not reader.relations.bars:
        return []  # the common case, without a call of `may` for each
    return [entry for entry, ref in refs.items() if not may(reader, ref, found)]


def is_blocked(reader: Reader, *author_ids: int) -> bool:
    """Tell whether the reader blocks one of the authors, or is blocked by one.

    Callers ask `relations.bars` first: for most readers it saves the call.
    """
    relations = reader.relations
    return any(
        author in relations.blocked or author in relations.blocked_by for author in author_ids
    )


def shows(kind: Kind, reader: Reader) -> Callable[[int, int], bool]:
    """Return what tells whether a source shows a tweet to the reader.

    It takes the ids of the author, and of the original's author or 0. A home shows what followees
    and the reader wrote. An entry in it proves nothing: its delivery may have come late. Tweets of
    blocked and muted accounts, and retweets of these, are left out before they are fetched.
    """
    if kind is not Kind.HOME:
        return lambda *_: True
    relations, own = reader.relations, reader.id
    followees, muted, bars = relations.followees, relations.muted, relations.bars

    def shows(author_id: int, original_author_id: int) -> bool:
        if author_id not in followees and author_id != own:
            return False
        return not bars or not (
            is_blocked(reader, author_id, original_author_id)
            or author_id in muted
            or original_author_id in muted
        )

    return shows
