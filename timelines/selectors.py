"""Reading timelines: skeleton (ids), then hydration (bytes)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.conf import settings

from accounts import facade as accounts
from timelines import store
from timelines.store import Entry
from tweets import facade as tweets
from tweets.facade import Hydration, RenderedTweet
from twitter.lib.ids import MAX_ID, time_of

# A retweet is left out when its original shows among the so many entries right below it.
REPEAT_WINDOW = 80
# Ids that `update` reports as gone, at most.
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
    older = [entry for entry in home.entries if entry.id < before] if home else []
    if home and (home.reaches_end or len(older) >= limit + REPEAT_WINDOW):
        end = len(older) if home.reaches_end else len(older) - REPEAT_WINDOW
        page = _shown(older, end=end, reader_id=account_id, limit=limit)
        if page.more or home.reaches_end:
            return page
    return _home_page_from_postgres(account_id=account_id, limit=limit, before=before)


def _home_page_from_postgres(*, account_id: int, limit: int, before: int) -> Page:
    author_ids = authors_of(account_id)
    wanted = 2 * limit + REPEAT_WINDOW
    while True:
        entries = newest_entries(author_ids=author_ids, limit=wanted, before=before)
        reaches_end = len(entries) < wanted
        end = len(entries) if reaches_end else len(entries) - REPEAT_WINDOW
        page = _shown(entries, end=end, reader_id=account_id, limit=limit)
        if page.more or reaches_end:
            return page
        wanted *= 2  # Most of what was found may not be shown: look further.


def _shown(entries: Sequence[Entry], *, end: int, reader_id: int, limit: int) -> Page:
    """Fill a page from entries, newest first, leaving out what may not be seen and repeats.

    The entries from `end` on are not shown, only looked at. `more` says that the page is full
    before `end`.
    """
    page = Page()
    position = 0
    while position < end:
        if len(page.ids) == limit:
            page.more = True
            break
        upto = min(end, position + limit - len(page.ids))
        below = {index: _alike_below(entries, index) for index in range(position, upto)}
        suspects = {entry.id for alike in below.values() for entry in alike}
        page.add([*(entry.id for entry in entries[position:upto]), *suspects])
        for index, alike in below.items():
            tweet = page.tweets.get(entries[index].id)
            if tweet and (
                tweet.author_id == reader_id or not _repeats(tweet, alike, entries, index, page)
            ):
                page.ids.append(entries[index].id)
        position = upto
    return page


def _window(entries: Sequence[Entry], index: int) -> Sequence[Entry]:
    return entries[index + 1 : index + 1 + REPEAT_WINDOW]


def _alike_below(entries: Sequence[Entry], index: int) -> list[Entry]:
    """Return the retweets right below that may have the same original."""
    fingerprint = entries[index].fingerprint
    if not fingerprint:
        return []
    return [entry for entry in _window(entries, index) if entry.fingerprint == fingerprint]


def _repeats(
    tweet: RenderedTweet,
    alike: Sequence[Entry],
    entries: Sequence[Entry],
    index: int,
    page: Page,
) -> bool:
    """Tell whether the retweet's original shows right below, by itself or by another retweet.

    Only what is older decides, so a page never changes because newer tweets arrive.
    """
    if not tweet.original_id:
        return False
    if any(entry.id == tweet.original_id for entry in _window(entries, index)):
        return True
    below = (page.tweets.get(entry.id) for entry in alike)
    return any(other and other.original_id == tweet.original_id for other in below)


def newest_entries(*, author_ids: Sequence[int], limit: int, before: int = MAX_ID) -> list[Entry]:
    """Return what Postgres says that a home holds: the newest entries before an id."""
    found = tweets.newest(author_ids=author_ids, limit=limit, before=before)
    return [Entry.of(tweet_id=tweet.id, original_id=tweet.original_id) for tweet in found]


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
    since = time_of(since_id)
    deleted = tweets.removed_since(author_ids=author_ids, since=since, limit=MAX_DELETED)
    gone = accounts.gone_followees(account_id=account_id, since=since)
    if gone:
        deleted += [
            tweet.id for tweet in tweets.newest(author_ids=gone, limit=MAX_DELETED - len(deleted))
        ]
    return News(
        page=page,
        next_since_id=page.ids[0] if page.more else max(since_id, settled - 1),
        deleted=deleted,
    )


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
            Entry.of(tweet_id=tweet.id, original_id=tweet.original_id) for tweet in reversed(found)
        ]
        seen = (
            newest_entries(author_ids=author_ids, limit=REPEAT_WINDOW, before=since_id + 1)
            if any(entry.fingerprint for entry in new)
            else []
        )
        page = _shown([*new, *seen], end=len(new), reader_id=reader_id, limit=len(new))
        page.more = len(page.ids) > limit
        if page.more or len(found) < wanted:
            page.ids = page.ids[-limit:]
            return page
        wanted *= 2  # Most of what was found may not be shown: look further.
