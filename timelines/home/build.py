"""Building homes from PostgreSQL, and what readers of popular authors merge."""

from collections.abc import Iterable, Sequence

from django.conf import settings

from accounts import facade as accounts
from timelines.home import popular, store
from timelines.home.popular import Newest
from timelines.home.store import Home
from tweets import facade as tweets
from tweets.facade import Entry
from twitter.base.data.ids import MAX_ID
from twitter.base.observe import metrics

# What a home that is built for a reader holds at first. If its reader pages on, it gets HOME_SIZE.
FIRST_SIZE = 120


def authors_of(account_id: int) -> list[int]:
    """Return whose tweets the account's home holds: its followees and itself."""
    return [*accounts.followees(account_id).ids, account_id]


def newest_entries(*, author_ids: Sequence[int], limit: int, before: int = MAX_ID) -> list[Entry]:
    """Return what PostgreSQL says that a home holds: the newest entries before an id."""
    found = tweets.newest(author_ids=author_ids, limit=limit, before=before)
    return [ref.entry for ref in found]


def build_home(account_id: int, *, size: int | None = None) -> Home | None:
    """Build the account's home from PostgreSQL and return it; `size` entries, or all of HOME_SIZE.

    None if another process is building it right now, or without Redis: read PostgreSQL then.
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
    floor = floor_of(entries, limit=wanted)
    store.complete_build(
        account_id=account_id, build=build, entries=entries, floor=floor, to_merge=list(to_merge)
    )
    return Home.of(entries, floor, to_merge=tuple(to_merge))


def rebuild_home(account_id: int) -> Home | None:
    """Build the account's home again, in full; None as for `build_home`.

    Raises redis.RedisError.
    """
    store.drop([account_id])
    return build_home(account_id)


def floor_of(entries: Sequence[Entry], *, limit: int) -> bytes:
    """Return the floor of the newest entries, of which at most `limit` were asked for."""
    return store.END if len(entries) < limit else store.floor_below(entries[-1])


def refresh_popular(author_ids: Iterable[int]) -> dict[int, Newest]:
    """Store what readers merge of these authors, and return it. Raises redis.RedisError.

    For authors who are suspended or deleted, that is nothing.
    """
    found = {}
    for author_id in author_ids:
        read_at = tweets.clock()
        visible = list(accounts.visible({author_id}))
        entries = newest_entries(author_ids=visible, limit=popular.SIZE)
        found[author_id] = Newest(entries, floor_of(entries, limit=popular.SIZE))
        popular.replace({author_id: found[author_id]}, read_at=read_at)
    return found


def merged(home: Home) -> Home:
    """Return a home together with what popular authors wrote. Raises redis.RedisError.

    It takes one round trip to Redis. What is missing there comes from PostgreSQL, and is stored.
    """
    if not home.to_merge:
        return home
    newest = popular.fetch(home.to_merge)
    newest |= refresh_popular([number for number in home.to_merge if number not in newest])
    entries, floor = popular.merged(home.entries, home.floor, newest.values())
    return Home(entries, floor, is_window=home.is_window, is_short=home.is_short)
