"""Reading timelines: skeleton (ids), then hydration (bytes)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings

from accounts import facade as accounts
from timelines import store
from timelines.store import Entry
from tweets import facade as tweets
from tweets.facade import Hydration, RenderedTweet, TweetRef
from twitter.lib.ids import MAX_ID, time_of

# Among the newest so many entries of a home, an original shows once.
TOP = 80
# Ids of each kind that `update` reports as gone, at most.
MAX_DELETED = 1_000


@dataclass
class Page:
    """The tweets of a page, in the order shown, and what is needed to show them."""

    ids: list[int] = field(default_factory=list)
    tweets: dict[int, RenderedTweet] = field(default_factory=dict)
    users: dict[int, bytes] = field(default_factory=dict)
    more: bool = False  # There may be more in the page's direction.

    @property
    def hydration(self) -> Hydration:
        """What the page's bytes are joined from."""
        return Hydration(tweets=self.tweets, users=self.users)

    def add(self, ids: Sequence[int]) -> None:
        """Hydrate more tweets, in one go."""
        hydration = tweets.hydrate(ids)
        self.tweets.update(hydration.tweets)
        self.users.update(hydration.users)


def authors_of(account_id: int) -> list[int]:
    """Return whose tweets the account's home holds: its followees and itself."""
    return [*accounts.followee_ids(account_id), account_id]


def home_page(*, account_id: int, limit: int, max_id: int | None) -> Page:
    """Return the home timeline's newest `limit` tweets before `max_id`, newest first."""
    before = max_id or MAX_ID
    home = store.read(account_id) or build_home(account_id)
    if home:
        entries = [entry for entry in home.entries if entry.id < before]
        page = _shown(entries, top=home.entries[:TOP], reader_id=account_id, limit=limit)
        if page.more or home.reaches_end:
            return page
    return _home_page_from_postgres(account_id=account_id, limit=limit, before=before)


def _home_page_from_postgres(*, account_id: int, limit: int, before: int) -> Page:
    author_ids = authors_of(account_id)
    top = newest_entries(author_ids=author_ids, limit=TOP)
    wanted = limit + 1
    while True:
        entries = newest_entries(author_ids=author_ids, limit=wanted, before=before)
        page = _shown(entries, top=top, reader_id=account_id, limit=limit)
        if page.more or len(entries) < wanted:
            return page
        wanted *= 2  # Some of what was found may not be shown: look further.


def _shown(entries: Sequence[Entry], *, top: Sequence[Entry], reader_id: int, limit: int) -> Page:
    """Fill a page from entries, newest first, leaving out what may not be seen and repeats.

    `top` are the newest TOP entries of the home. `more` says that the page is full before the
    entries are through.
    """
    page = Page()
    position = 0
    while position < len(entries):
        if len(page.ids) == limit:
            page.more = True
            break
        candidates = entries[position : position + limit - len(page.ids)]
        below = {entry.id: _alike_below(entry, top) for entry in candidates}
        suspects = {other.id for alike in below.values() for other in alike}
        page.add([*below, *suspects])
        page.ids += [
            entry.id
            for entry in candidates
            if entry.id in page.tweets
            and not _is_repeat(page, entry, below=below[entry.id], top=top, reader_id=reader_id)
        ]
        position += len(candidates)
    return page


def _alike_below(entry: Entry, top: Sequence[Entry]) -> list[Entry]:
    """Return the retweets in the top, older than this one, that may have the same original."""
    if not entry.fingerprint or not top or entry.id < top[-1].id:
        return []
    return [
        other for other in top if other.id < entry.id and other.fingerprint == entry.fingerprint
    ]


def _is_repeat(
    page: Page, entry: Entry, *, below: Sequence[Entry], top: Sequence[Entry], reader_id: int
) -> bool:
    """Tell whether a retweet's original shows further down in the top, by itself or retweeted.

    The oldest stands: only what is older decides, so that a tweet which was shown is never left
    out because newer ones arrive. What the reader retweeted always shows.
    """
    tweet = page.tweets[entry.id]
    if not tweet.original_id or tweet.author_id == reader_id or entry.id < top[-1].id:
        return False
    if any(other.id == tweet.original_id for other in top):
        return True
    others = (page.tweets.get(other.id) for other in below)
    return any(other and other.original_id == tweet.original_id for other in others)


def newest_entries(*, author_ids: Sequence[int], limit: int, before: int = MAX_ID) -> list[Entry]:
    """Return what Postgres says that a home holds: the newest entries before an id."""
    found = tweets.newest(author_ids=author_ids, limit=limit, before=before)
    return [_entry(tweet) for tweet in found]


def _entry(tweet: TweetRef) -> Entry:
    return Entry.of(tweet_id=tweet.id, original_id=tweet.original_id)


def build_home(account_id: int) -> store.Home | None:
    """Build the account's home from Postgres and return it.

    None when somebody else is building it right now, or without Redis: read Postgres then.
    """
    build = store.begin_build(account_id)
    if build is None:
        return None
    entries = newest_entries(author_ids=authors_of(account_id), limit=settings.HOME_SIZE)
    home = store.snapshot(entries)
    store.complete_build(account_id=account_id, build=build, home=home)
    return home


def author_page(*, author_id: int, limit: int, max_id: int | None, since_id: int | None) -> Page:
    """Return an author's tweets and retweets, newest first.

    They are the newest before `max_id`, or, with `since_id`, those right after it.
    """
    upwards = since_id is not None
    wanted = limit + 1
    while True:
        found = tweets.newest(
            author_ids=[author_id],
            limit=wanted,
            before=max_id or MAX_ID,
            after=since_id or 0,
            oldest_first=upwards,
        )
        page = Page()
        page.add([tweet.id for tweet in found])
        visible = [tweet.id for tweet in found if tweet.id in page.tweets]
        page.ids, page.more = visible[:limit], len(visible) > limit
        if page.more or len(found) < wanted:
            break
        wanted *= 2  # Most of what was found may not be shown: look further.
    if upwards:
        page.ids.reverse()
    return page


@dataclass
class News:
    """What is new to a reader, and what is gone."""

    page: Page
    next_since_id: int
    deleted: list[int]


def news(*, account_id: int, limit: int, since_id: int) -> News:
    """Return the `limit` tweets of the home timeline right after `since_id`, newest first.

    Nothing is missed or repeated when called again with `next_since_id`: only ids below which
    nothing can appear any more are given out. From Postgres, whose answer does not depend on how
    far fan-out has come.
    """
    author_ids = authors_of(account_id)
    settled = tweets.settled_id()
    page = _news_page(
        author_ids=author_ids,
        reader_id=account_id,
        limit=limit,
        since_id=since_id,
        settled_id=settled,
    )
    return News(
        page=page,
        next_since_id=page.ids[0] if page.more else max(since_id, settled - 1),
        deleted=_gone(account_id=account_id, author_ids=author_ids, since=time_of(since_id)),
    )


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
        gone += [tweet.id for tweet in tweets.newest(author_ids=followees, limit=MAX_DELETED)]
    if anybody := accounts.gone_since(since, limit=MAX_DELETED):
        gone += tweets.retweets_of_authors(
            author_ids=author_ids, original_author_ids=anybody, limit=TOP
        )
    return gone


def _news_page(
    *, author_ids: Sequence[int], reader_id: int, limit: int, since_id: int, settled_id: int
) -> Page:
    wanted = limit + 1
    while True:
        found = tweets.newest(
            author_ids=author_ids,
            limit=wanted,
            after=since_id,
            before=settled_id,
            oldest_first=True,
        )
        new = [_entry(tweet) for tweet in reversed(found)]
        top = newest_entries(author_ids=author_ids, limit=TOP) if new else []
        page = _shown(new, top=top, reader_id=reader_id, limit=len(new))
        page.more = len(page.ids) > limit
        if page.more or len(found) < wanted:
            page.ids = page.ids[-limit:]
            return page
        wanted *= 2  # Most of what was found may not be shown: look further.
