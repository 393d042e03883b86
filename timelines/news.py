"""What is new in a home timeline, and what is gone from it, from PostgreSQL.

PostgreSQL's answer does not depend on how far fan-out has come.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from accounts import facade as accounts
from timelines import build
from timelines.author import StoredSource
from timelines.home import TOP, repeats
from tweets import facade as tweets
from tweets.facade import Drawn, Entry, Page, Reader
from twitter.lib.ids import time_of

# Ids of each kind that are reported as gone, at most.
MAX_DELETED = 1_000


@dataclass
class News:
    """What is new to a reader, and what is gone."""

    page: Page
    next_since_id: int
    deleted: list[int]


def read(*, reader: Reader, limit: int, since_id: int) -> News:
    """Return the `limit` tweets of the home timeline right after `since_id`, newest first.

    Nothing is missed or repeated when called again with `next_since_id`: only ids below which
    nothing can appear any more are given out, also if `since_id` lies in the future.
    """
    author_ids = build.authors_of(reader.id)
    settled = tweets.settled()
    source = NewsSource(author_ids, reader_id=reader.id, after=since_id, before=settled.id)
    page = tweets.read(source, reader=reader, limit=limit)
    page.refs.reverse()
    known = since_id if since_id < settled.now else 0
    return News(
        page=page,
        next_since_id=page.next_id or max(known, settled.id - 1),
        deleted=_gone(account_id=reader.id, author_ids=author_ids, since=time_of(since_id)),
    )


class NewsSource:
    """What authors wrote between two ids, oldest first, but for what shows already."""

    def __init__(self, author_ids: list[int], *, reader_id: int, after: int, before: int) -> None:
        self._author_ids, self._reader_id = author_ids, reader_id
        self._stored = StoredSource(author_ids, after=after, before=before, oldest_first=True)
        self._top: Sequence[Entry] | None = None

    def draw(self, count: int, *, reader: Reader, without: Collection[Entry]) -> Drawn:
        """Return the first `count` entries but those `without`, and repeated retweets."""
        drawn = self._stored.draw(count, reader=reader, without=without)
        if not drawn.entries:
            return drawn
        if self._top is None:
            self._top = build.newest_entries(author_ids=self._author_ids, limit=TOP)
        top = [entry for entry in self._top if entry not in without]
        repeated = repeats(top, reader_id=self._reader_id)
        return self._stored.draw(count, reader=reader, without={*without, *repeated})


def _gone(*, account_id: int, author_ids: Sequence[int], since: datetime) -> list[int]:
    """Return tweets that were in the home at `since`, and are not any more.

    Removed ones, those of followees who were suspended or deleted, and retweets of anybody who
    was; at most MAX_DELETED of each kind.
    """
    followees = accounts.gone_followees(account_id=account_id, since=since)
    gone = tweets.removed_since(
        author_ids=[*author_ids, *followees], since=since, limit=MAX_DELETED
    )
    if followees:
        gone += [ref.id for ref in tweets.newest(author_ids=followees, limit=MAX_DELETED)]
    if anybody := accounts.gone_since(since, limit=MAX_DELETED):
        gone += tweets.retweets_of_authors(
            author_ids=author_ids, original_author_ids=anybody, limit=TOP
        )
    return gone
