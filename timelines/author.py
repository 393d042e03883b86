"""An author's tweets and retweets, from PostgreSQL."""

from tweets import facade as tweets
from tweets.facade import Entry, Page, Reader, StoredSource
from twitter.base.data.ids import MAX_ID


def read(
    *, author_id: int, reader: Reader, limit: int, max_id: int | None, since_id: int | None
) -> Page:
    """Return a page of an author's tweets, newest first.

    They are the newest before `max_id`, or, with `since_id`, those right after it.
    """
    upwards = since_id is not None
    source = AuthorsSource(
        [author_id], before=max_id or MAX_ID, after=since_id or 0, oldest_first=upwards
    )
    page = tweets.read(source, reader=reader, limit=limit)
    if upwards:
        page.refs.reverse()
    return page


class AuthorsSource(StoredSource):
    """What some authors wrote between two ids, from either end."""

    def __init__(
        self,
        author_ids: list[int],
        *,
        before: int = MAX_ID,
        after: int = 0,
        oldest_first: bool = False,
    ) -> None:
        super().__init__()
        self._author_ids, self._oldest_first = author_ids, oldest_first
        self._before, self._after = before, after

    def more(self, limit: int) -> list[Entry]:
        """Return the next `limit` entries; fewer at the end."""
        found = tweets.newest(
            author_ids=self._author_ids,
            limit=limit,
            before=self._before,
            after=self._after,
            oldest_first=self._oldest_first,
        )
        if found and self._oldest_first:
            self._after = found[-1].id
        elif found:
            self._before = found[-1].id
        return [ref.entry for ref in found]
