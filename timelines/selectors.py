"""Reading timelines: skeleton (ids), then hydration (bytes)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from django.conf import settings

from accounts import facade as accounts
from timelines import popular, store
from timelines.popular import Newest
from timelines.store import Home, id_of
from tweets import facade as tweets
from tweets.facade import Hydration, RenderedTweet
from twitter.lib import redis
from twitter.lib.ids import MAX_ID, time_of

# Among the newest so many entries of a home, an original shows once.
TOP = 80
# What a home that is built for a reader holds at first. Who reads further gets all of HOME_SIZE.
FIRST_SIZE = 200
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


class Top:
    """The newest entries of a home, among which an original shows once."""

    def __init__(self, entries: Sequence[int]) -> None:
        self._newest = entries[:TOP]
        self._last = id_of(self._newest[-1]) if self._newest else MAX_ID

    # Made when the first retweet asks for it: most pages have none, or few.
    @cached_property
    def _ids(self) -> set[int]:
        return {entry >> store.TAG_BITS for entry in self._newest}

    @cached_property
    def _retweets(self) -> dict[int, list[int]]:
        """Fingerprint to the retweets that have it."""
        retweets: dict[int, list[int]] = {}
        for entry in self._newest:
            if entry & store.TAGS:
                retweets.setdefault(entry & store.TAGS, []).append(id_of(entry))
        return retweets

    @cached_property
    def _fingerprints(self) -> set[int]:
        return store.fingerprints_of(self._ids)

    def alike_below(self, entry: int) -> Sequence[int]:
        """Return the retweets in the top, older than this one, that may have the same original."""
        fingerprint = entry & store.TAGS
        if not fingerprint or id_of(entry) < self._last:
            return ()
        alike = self._retweets.get(fingerprint, ())
        return [other for other in alike if other < id_of(entry)]

    def candidates(self, entries: Sequence[int], *, wanted: int) -> list[int]:
        """Return so many of the first entries that `wanted` are left without those that repeat."""
        if not any(entry & store.TAGS for entry in entries[:wanted]):
            return list(entries[:wanted])
        found: list[int] = []
        for entry in entries:
            if not wanted:
                break
            found.append(entry)
            if not (entry & store.TAGS and self._may_repeat(entry)):
                wanted -= 1
        return found

    def _may_repeat(self, entry: int) -> bool:
        """Tell whether a retweet's original may be in the top, by itself or retweeted."""
        return entry & store.TAGS in self._fingerprints or bool(self.alike_below(entry))

    def repeats(self, entry: int, page: Page, *, reader_id: int) -> bool:
        """Tell whether a retweet's original shows further down in the top, by itself or retweeted.

        The oldest stands: only what is older decides, so that a tweet which was shown is never
        left out because newer ones arrive. What the reader retweeted always shows. The page must
        hold what `alike_below` names.
        """
        number = id_of(entry)
        tweet = page.tweets.get(number)
        if tweet is None or tweet.author_id == reader_id or number < self._last:
            return False
        if tweet.original_id in self._ids:
            return True
        others = (page.tweets.get(other) for other in self.alike_below(entry))
        return any(other and other.original_id == tweet.original_id for other in others)


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


def page_of(home: Home, *, reader_id: int, limit: int, before: int = MAX_ID) -> Page | None:
    """Return the page that a home has, or None when it does not hold all of it."""
    if home.unknown or (len(home.entries) < TOP and not home.reaches_end):
        return None  # What is not in it may be in the top.
    entries: Sequence[int] = home.entries
    if before < MAX_ID:
        entries = [entry for entry in entries if id_of(entry) < before]
    page = _shown(entries, top=Top(home.entries), reader_id=reader_id, limit=limit)
    return page if page.more or home.reaches_end else None


def _home_page_from_postgres(*, account_id: int, limit: int, before: int) -> Page:
    author_ids = authors_of(account_id)
    top = Top(newest_entries(author_ids=author_ids, limit=TOP))
    wanted = limit + 1
    while True:
        entries = newest_entries(author_ids=author_ids, limit=wanted, before=before)
        page = _shown(entries, top=top, reader_id=account_id, limit=limit)
        if page.more or len(entries) < wanted:
            return page
        wanted *= 2  # Some of what was found may not be shown: look further.


def _shown(entries: Sequence[int], *, top: Top, reader_id: int, limit: int) -> Page:
    """Fill a page from entries, newest first, leaving out what may not be seen and repeats.

    `more` says that the page is full before the entries are through.
    """
    page = Page()
    position = 0
    while position < len(entries) and len(page.ids) < limit:
        candidates = top.candidates(entries[position:], wanted=limit - len(page.ids))
        numbers = list(map(id_of, candidates))
        retweets = [entry for entry in candidates if entry & store.TAGS]
        alike = [number for entry in retweets for number in top.alike_below(entry)]
        page.add(list(dict.fromkeys(numbers + alike)))
        repeats = {id_of(one) for one in retweets if top.repeats(one, page, reader_id=reader_id)}
        for number in numbers:
            if len(page.ids) == limit:
                break
            position += 1
            if number in page.tweets and number not in repeats:
                page.ids.append(number)
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
    """Store anew what readers merge of these authors. Raises redis.RedisError."""
    for author_id in author_ids:
        read_at = tweets.clock()
        entries = newest_entries(author_ids=[author_id], limit=popular.SIZE)
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
