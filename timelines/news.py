"""What is new in a home timeline, and what is gone from it, from PostgreSQL.

PostgreSQL's answer does not depend on how far fan-out has come.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import itemgetter

from accounts import facade as accounts
from timelines.author import AuthorsSource
from timelines.home import build
from timelines.home.source import TOP, repeats
from tweets import facade as tweets
from tweets.facade import Drawn, Entry, Page, Reader, Settled, Source, ref_of
from twitter.base.data.ids import id_at, time_of

# How many of a home's newest entries are searched for retweets whose original is gone: a client
# shows at most so many before it reads the home again.
ON_SCREEN = 120
_MILLISECOND = timedelta(milliseconds=1)


@dataclass
class Gone:
    """Ids to take off the screen. After `next_since_id` there may be more; None if that is all.

    `reread`: ids do not tell all, so the client has to read the home again.
    """

    ids: list[int] = field(default_factory=list)
    next_since_id: int | None = None
    reread: bool = False


@dataclass
class News:
    """What is new to a reader, and what is gone; `has_more` when it goes on at `next_since_id`."""

    page: Page
    gone: Gone
    next_since_id: int
    has_more: bool


def read(*, reader: Reader, limit: int, since_id: int) -> News:
    """Return up to `limit` tweets of the home timeline right after `since_id`, newest first.

    And up to `limit` that are gone since then. Called again with `next_since_id`, it misses nothing
    and repeats no tweet: below that id nothing can appear any more, unless it is `since_id` itself,
    because nothing newer is settled. A `since_id` in the future is brought back to what is settled.
    """
    author_ids = build.authors_of(reader.id)
    settled = tweets.settled()
    since_id = since_id if since_id < settled.now else settled.id - 1
    gone = _gone(
        reader_id=reader.id,
        author_ids=author_ids,
        since_id=since_id,
        settled=settled,
        limit=limit,
    )
    # The next call goes on where the list of what is gone was cut: what is newer is told then.
    before = settled.id if gone.next_since_id is None else gone.next_since_id + 1
    source = NewsSource(author_ids, reader_id=reader.id, after=since_id, before=before)
    page = tweets.read(source, reader=reader, limit=limit)
    page.refs.reverse()
    ends = [one for one in (page.next_id, gone.next_since_id) if one is not None]
    return News(
        page=page,
        gone=gone,
        next_since_id=min(ends, default=max(since_id, settled.id - 1)),
        has_more=bool(ends),
    )


class NewsSource(Source):
    """What authors wrote between two ids, oldest first, except what shows already."""

    def __init__(self, author_ids: list[int], *, reader_id: int, after: int, before: int) -> None:
        self._author_ids, self._reader_id = author_ids, reader_id
        self._stored = AuthorsSource(author_ids, after=after, before=before, oldest_first=True)
        self._top: Sequence[Entry] | None = None

    def draw(self, count: int, *, reader: Reader, without: Collection[Entry]) -> Drawn:
        """Return the first `count` entries, except `without` and repeated retweets."""
        drawn = self._stored.draw(count, reader=reader, without=without)
        if not drawn.entries:
            return drawn
        if self._top is None:
            self._top = build.newest_entries(author_ids=self._author_ids, limit=TOP)
        repeated = repeats(
            self._top, reader_id=self._reader_id, shows=lambda entry: entry not in without
        )
        return self._stored.draw(count, reader=reader, without={*without, *repeated})


def _gone(
    *, reader_id: int, author_ids: Sequence[int], since_id: int, settled: Settled, limit: int
) -> Gone:
    """Return up to `limit` tweets that were in the home at `since_id`, and are not any more.

    The oldest removals first. A removal's time is taken within its transaction. So a removal that
    is not committed yet is not below the settled id, and is told the next time.
    """
    since, until = time_of(since_id + 1), time_of(settled.id)
    # No tombstone is left of what was removed longer ago, and no row of follows that ended.
    is_late = since < time_of(settled.now) - tweets.KEEP_TOMBSTONES
    reread = is_late or accounts.is_reread_due(account_id=reader_id, since=since)
    found = tweets.removed_between(author_ids=author_ids, since=since, until=until, limit=limit + 1)
    found += _lost_retweets(author_ids=author_ids, since=since, until=until)
    found = sorted(set(found), key=itemgetter(1))
    if len(found) <= limit:
        return Gone(ids=[tweet_id for tweet_id, _ in found], reread=reread)
    cut = _in_milliseconds(found[limit][1])
    told = [tweet_id for tweet_id, moment in found[:limit] if _in_milliseconds(moment) < cut]
    if not told:  # So many went in one millisecond: no cursor leads through them.
        return Gone(next_since_id=id_at(cut + _MILLISECOND) - 1, reread=True)
    return Gone(ids=told, next_since_id=id_at(cut) - 1, reread=reread)


def _in_milliseconds(moment: datetime) -> datetime:
    return time_of(id_at(moment))


def _lost_retweets(
    *, author_ids: Sequence[int], since: datetime, until: datetime
) -> list[tuple[int, datetime]]:
    """Return the retweets on the screen whose original, or its author, went between two moments."""
    entries = build.newest_entries(author_ids=author_ids, limit=ON_SCREEN)
    retweets = [ref for ref in map(ref_of, entries) if ref.original_id]
    if not retweets:
        return []
    originals = tweets.hidden_since({ref.original_id for ref in retweets}, since=since)
    authors = accounts.gone_since({ref.original_author_id for ref in retweets}, since=since)
    lost = [
        (ref.id, moment)
        for ref in retweets
        if (moment := originals.get(ref.original_id) or authors.get(ref.original_author_id))
    ]
    return [(tweet_id, moment) for tweet_id, moment in lost if moment < until]
