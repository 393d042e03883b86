"""An author's tweets and retweets, from PostgreSQL."""

from collections.abc import Collection

from tweets import facade as tweets
from tweets.facade import Drawn, Entry, Page, Reader, id_of
from twitter.base.data.ids import MAX_ID


def read(
    *, author_id: int, reader: Reader, limit: int, max_id: int | None, since_id: int | None
) -> Page:
    """Return a page of an author's tweets, newest first.

    They are the newest before `max_id`, or, with `since_id`, those right after it.
    """
    upwards = since_id is not None
    source = StoredSource(
        [author_id], before=max_id or MAX_ID, after=since_id or 0, oldest_first=upwards
    )
    page = tweets.read(source, reader=reader, limit=limit)
    if upwards:
        page.refs.reverse()
    return page


class StoredSource:
    """What some authors wrote between two ids, as PostgreSQL has it, from either end."""

    def __init__(
        self,
        author_ids: list[int],
        *,
        before: int = MAX_ID,
        after: int = 0,
        oldest_first: bool = False,
    ) -> None:
        self._author_ids, self._oldest_first = author_ids, oldest_first
        self._before, self._after = before, after
        self._entries: list[Entry] = []
        self._is_through = False

    def draw(self, count: int, *, reader: Reader, without: Collection[Entry]) -> Drawn:
        """Return the first `count` entries but those `without`."""
        while True:
            shown = [entry for entry in self._entries if entry not in without]
            if len(shown) > count:
                return Drawn(shown[:count], next_id=id_of(shown[count - 1]))
            if self._is_through:
                return Drawn(shown, next_id=None)
            if len(self._entries) >= tweets.MOST_LOOKED_AT:
                return Drawn(shown, next_id=id_of(self._entries[-1]))
            # Twice as many each time: most of them may be left out.
            self._go_on(limit=max(count + 1 - len(shown), len(self._entries)))

    def _go_on(self, *, limit: int) -> None:
        found = tweets.newest(
            author_ids=self._author_ids,
            limit=limit,
            before=self._before,
            after=self._after,
            oldest_first=self._oldest_first,
        )
        self._is_through = len(found) < limit
        self._entries += [ref.entry for ref in found]
        if found and self._oldest_first:
            self._after = found[-1].id
        elif found:
            self._before = found[-1].id
