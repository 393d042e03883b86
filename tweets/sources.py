"""Sources: where a page's entries come from, and in which order."""

from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from tweets.entries import Entry, Ref, ref_of
from tweets.reader import Reader

# A page looks at no more entries than this.
MOST_LOOKED_AT = 2_000


class Drawn(NamedTuple):
    """Entries in a source's order. It goes on after the cursor `next_id`; None at its end."""

    entries: Sequence[Entry]
    next_id: int | None


class Source(Protocol):
    """Where a page's entries come from."""

    @abstractmethod
    def draw(self, count: int, *, reader: Reader, without: Collection[Entry]) -> Drawn:
        """Return the first `count` entries that the source shows to the reader; fewer at its end.

        `without`: entries that the reader may not see. Where one entry stands for several, such as
        the retweets of one original, another of these takes its place.
        """

    def cursor_of(self, ref: Ref) -> int:
        """Return the cursor from which the source goes on after this tweet: here, its id.

        A source that is ordered by what somebody did, and not by tweet, has another.
        """
        return ref.id


class StoredSource(Source):
    """A source that is read from PostgreSQL, in its order, as far as a page needs it."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._is_through = False

    @abstractmethod
    def more(self, limit: int) -> Sequence[Entry]:
        """Return the next `limit` entries; fewer at the end."""

    def draw(self, count: int, *, reader: Reader, without: Collection[Entry]) -> Drawn:
        """Return the first `count` entries that are not among `without`."""
        while True:
            shown = [entry for entry in self._entries if entry not in without]
            if len(shown) > count:
                return Drawn(shown[:count], next_id=self._cursor(shown[count - 1]))
            if self._is_through:
                return Drawn(shown, next_id=None)
            if len(self._entries) >= MOST_LOOKED_AT:
                return Drawn(shown, next_id=self._cursor(self._entries[-1]))
            # Twice as many each time: most of them may be left out.
            limit = max(count + 1 - len(shown), len(self._entries))
            found = self.more(limit)
            self._is_through = len(found) < limit
            self._entries += found

    def _cursor(self, entry: Entry) -> int:
        return self.cursor_of(ref_of(entry))
