"""Reading timelines: skeleton (ids), then hydration (bytes)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings

from accounts import facade as accounts
from timelines import popular, store
from timelines.popular import Newest
from timelines.skeleton import TOP, Draft, Top
from timelines.store import Home, id_of
from tweets import facade as tweets
from tweets.facade import Found, Hydration, RenderedTweet
from twitter.lib import metrics, redis
from twitter.lib.ids import MAX_ID, time_of

# What a home that is built for a reader holds at first. Who reads further gets all of HOME_SIZE.
FIRST_SIZE = 120
# Ids of each kind that `update` reports as gone, at most.
MAX_DELETED = 1_000


@dataclass
class Page:
    """The tweets of a page, in the order shown, and what is needed to show them."""

    ids: list[int] = field(default_factory=list)
    tweets: dict[int, RenderedTweet] = field(default_factory=dict)
    users: dict[int, bytes] = field(default_factory=dict)
    more: bool = False  # There may be more in the page's direction.
    draft: Draft | None = None  # what filled it, if that was one

    @property
    def hydration(self) -> Hydration:
        """What the page's bytes are joined from."""
        return Hydration(tweets=self.tweets, users=self.users)

    def add(self, ids: Sequence[int], *, known: Found | None = None) -> None:
        """Hydrate more tweets, in one go; `known` is what of them was read already."""
        hydration = tweets.hydrate(ids, known=known)
        self.tweets.update(hydration.tweets)
        self.users.update(hydration.users)

    def fill(self, draft: Draft, *, reader_id: int, limit: int) -> int:
        """Take from a draft, whose tweets were added, what may be seen and does not repeat.

        Returns how many of its entries were looked at until the page was full.
        """
        if not self.ids and not draft.doubts and len(draft.ids) <= limit:
            self.ids = [number for number in draft.ids if number in self.tweets]
            return len(draft.ids)
        for looked_at, number in enumerate(draft.ids):
            if len(self.ids) == limit:
                return looked_at
            if number in self.tweets and not self._repeats(number, draft, reader_id):
                self.ids.append(number)
        return len(draft.ids)

    def _repeats(self, number: int, draft: Draft, reader_id: int) -> bool:
        """Tell whether a retweet's original shows further down in the top, by itself or retweeted.

        The oldest stands: only what is older decides, so that a tweet which was shown is never
        left out because newer ones arrive. What the reader retweeted always shows.
        """
        doubt = draft.doubts.get(number)
        if doubt is None or self.tweets[number].author_id == reader_id:
            return False
        original_id = self.tweets[number].original_id
        if original_id in doubt.originals:
            return True
        others = (self.tweets.get(other) for other in doubt.alike)
        return any(other and other.original_id == original_id for other in others)


def authors_of(account_id: int) -> list[int]:
    """Return whose tweets the account's home holds: its followees and itself."""
    return [*accounts.followees(account_id).ids, account_id]


def home_page(*, account_id: int, limit: int, max_id: int | None) -> Page:
    """Return the home timeline's newest `limit` tweets before `max_id`, newest first."""
    before = max_id or MAX_ID
    home = store.read(account_id) or build_home(account_id, size=FIRST_SIZE)
    if home and home.unknown:
        redis.without_redis(lambda: None)(refresh_popular)(home.unknown)
        home = store.read(account_id)
    if home:
        page = page_of(home, reader_id=account_id, limit=limit, before=before)
        if page is None and home.is_short:
            home = redis.without_redis(lambda: None)(rebuild_home)(account_id)
            if home:
                page = page_of(home, reader_id=account_id, limit=limit, before=before)
        if page:
            return page
    return _home_page_from_postgres(account_id=account_id, limit=limit, before=before)


def page_of(
    home: Home, *, reader_id: int, limit: int, before: int = MAX_ID, known: Found | None = None
) -> Page | None:
    """Return the page that a home has, or None when it does not hold all of it."""
    if home.unknown or (len(home.entries) < TOP and not home.reaches_end):
        return None  # What is not in it may be in the top.
    entries: Sequence[int] = home.entries
    if before < MAX_ID:
        entries = [entry for entry in entries if id_of(entry) < before]
    top = Top(home.entries)
    page = _shown(entries, top=top, reader_id=reader_id, limit=limit, known=known)
    return page if page.more or home.reaches_end else None


def page_again(draft: Draft, *, reader_id: int, limit: int, known: Found) -> Page:
    """Return the page that the draft of an earlier one makes now."""
    page = Page(draft=draft)
    page.add(draft.needed, known=known)
    page.more = page.fill(draft, reader_id=reader_id, limit=limit) < draft.of
    return page


def _home_page_from_postgres(*, account_id: int, limit: int, before: int) -> Page:
    metrics.home_came_from(metrics.POSTGRES)
    author_ids = authors_of(account_id)
    top = Top(newest_entries(author_ids=author_ids, limit=TOP))
    wanted = limit + 1
    while True:
        entries = newest_entries(author_ids=author_ids, limit=wanted, before=before)
        page = _shown(entries, top=top, reader_id=account_id, limit=limit)
        if page.more or len(entries) < wanted:
            return page
        wanted *= 2  # Some of what was found may not be shown: look further.


def _shown(
    entries: Sequence[int], *, top: Top, reader_id: int, limit: int, known: Found | None = None
) -> Page:
    """Fill a page from entries, newest first, leaving out what may not be seen and repeats.

    `more` says that the page is full before the entries are through.
    """
    page = Page()
    position = 0
    while position < len(entries) and len(page.ids) < limit:
        draft = top.draft(entries[position:], wanted=limit - len(page.ids))
        page.draft = None if position else draft
        page.add(draft.needed, known=known)
        known = None
        position += page.fill(draft, reader_id=reader_id, limit=limit)
    page.more = position < len(entries)
    return page


def newest_entries(*, author_ids: Sequence[int], limit: int, before: int = MAX_ID) -> list[int]:
    """Return what Postgres says that a home holds: the newest entries before an id."""
    found = tweets.newest(author_ids=author_ids, limit=limit, before=before)
    return [store.pack(tweet_id=tweet.id, original_id=tweet.original_id) for tweet in found]


def build_home(account_id: int, *, size: int | None = None) -> Home | None:
    """Build the account's home from Postgres and return it; `size` entries, or all of HOME_SIZE.

    None when somebody else is building it right now, or without Redis: read Postgres then.
    """
    build = store.begin_build(account_id)
    if build is None:
        return None
    metrics.home_came_from(metrics.BUILT)
    followees = accounts.followees(account_id)
    to_merge = set(followees.popular)
    authors = [author for author in (*followees.ids, account_id) if author not in to_merge]
    wanted = size or settings.HOME_SIZE
    entries = newest_entries(author_ids=authors, limit=wanted)
    floor = _floor(entries, limit=wanted)
    store.complete_build(
        account_id=account_id, build=build, entries=entries, floor=floor, to_merge=list(to_merge)
    )
    if to_merge:
        return store.read(account_id)
    return Home.of(entries, floor)


def _floor(entries: Sequence[int], *, limit: int) -> int:
    return store.END if len(entries) < limit else store.floor_below(entries[-1])


def refresh_popular(author_ids: Iterable[int]) -> None:
    """Store anew what readers merge of these authors. Raises redis.RedisError.

    Of those who are suspended or deleted that is nothing.
    """
    for author_id in author_ids:
        read_at = tweets.clock()
        visible = list(accounts.visible({author_id}))
        entries = newest_entries(author_ids=visible, limit=popular.SIZE)
        newest = Newest(entries=entries, floor=_floor(entries, limit=popular.SIZE))
        popular.replace({author_id: newest}, read_at=read_at)


def rebuild_home(account_id: int) -> Home | None:
    """Build the account's home anew, in full; None as for `build_home`. Raises redis.RedisError."""
    store.drop([account_id])
    return build_home(account_id)


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
        new = [
            store.pack(tweet_id=tweet.id, original_id=tweet.original_id)
            for tweet in reversed(found)
        ]
        top = Top(newest_entries(author_ids=author_ids, limit=TOP) if new else [])
        page = _shown(new, top=top, reader_id=reader_id, limit=len(new))
        page.more = len(page.ids) > limit
        if page.more or len(found) < wanted:
            page.ids = page.ids[-limit:]
            return page
        wanted *= 2  # Most of what was found may not be shown: look further.
