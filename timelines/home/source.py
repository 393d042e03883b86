"""The home timeline, warm or cold: what to read of it in the first round trip, and its page."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from timelines.home import build, store
from timelines.home.build import FIRST_SIZE
from timelines.home.store import Home, Reading
from tweets import facade as tweets
from tweets.facade import (
    ID_SIZE,
    TWEET_SIZE,
    Drawn,
    Entry,
    Kind,
    Page,
    Reader,
    Source,
    id_bytes,
    id_of,
)
from twitter.base.data import parts, redis
from twitter.base.data.ids import MAX_ID
from twitter.base.data.parts import Part
from twitter.base.http.pagination import DEFAULT_LIMIT
from twitter.base.observe import metrics

# Among the newest so many entries of a home, an original shows once.
TOP = 80


def part(
    account_id: int, *, limit: int = DEFAULT_LIMIT, max_id: int | None = None
) -> Part[Reading]:
    """Return the part that reads as much of an account's home as a page usually takes."""
    return store.part(account_id, newest=None if max_id else max(TOP, limit) + 1)


def read(account_id: int, *, limit: int, max_id: int | None) -> tuple[Page, Reader]:
    """Return a page of an account's home timeline, the newest tweets before `max_id`."""
    known, reading = _first(account_id, limit, max_id)
    reader = Reader(account_id, known)
    return page(reading, reader=reader, limit=limit, max_id=max_id), reader


@redis.without_redis(lambda: ((None, None), None))
def _first(account_id: int, limit: int, max_id: int | None) -> tuple[Any, Reading | None]:
    known, reading = parts.exchange(
        tweets.reader_part(account_id), part(account_id, limit=limit, max_id=max_id)
    )
    return known, reading


def page(
    reading: Reading | None,
    *,
    reader: Reader,
    limit: int = DEFAULT_LIMIT,
    max_id: int | None = None,
) -> Page:
    """Return a page. `reading`: what Redis said of the reader's home; None if it did not answer."""
    home = None
    if reading:
        home = reading.home
        store.live_on(reader.id, reading)
        if not reading.is_there:
            home = build.build_home(reader.id, size=FIRST_SIZE)
    source = HomeSource(home, reader_id=reader.id, before=max_id or MAX_ID)
    return tweets.read(source, reader=reader, limit=limit)


class HomeSource(Source):
    """What a home holds below an id; where its knowledge ends, PostgreSQL goes on.

    The page is the same wherever it comes from: a home is complete above its floor.
    """

    def __init__(self, home: Home | None, *, reader_id: int, before: int) -> None:
        self._reader_id, self._before = reader_id, before
        self._authors: list[int] = []
        self._verdicts: dict[bytes, bool] = {}
        self._take(home)

    def _take(self, home: Home | None) -> None:
        """Begin with a home, or without one."""
        self._home = home = _merged(home) if home else None
        if home and (len(home.entries) >= TOP or home.reaches_end):
            self._top: Sequence[Entry] = home.entries[:TOP]
            self._below = home.entries
            if self._before < MAX_ID:
                first = id_bytes(self._before)
                self._below = [entry for entry in home.entries if entry < first]
            self._floor = home.floor
        elif not self._goes_on_in_redis():
            self._top = self._newest(limit=TOP)
            self._below, self._floor = [], id_bytes(self._before - 1)

    def _goes_on_in_redis(self) -> bool:
        """Take the rest of a home that was read in part, or is worth building in full."""
        home = self._home
        if home is None:
            return False
        if home.is_window:
            self._take(store.read(self._reader_id))
            return True
        if home.is_short:
            self._take(_rebuilt(self._reader_id))
            return True
        return False

    def _newest(self, *, limit: int, before: int = MAX_ID) -> list[Entry]:
        metrics.home_came_from(metrics.POSTGRES)
        self._authors = self._authors or build.authors_of(self._reader_id)
        return build.newest_entries(author_ids=self._authors, limit=limit, before=before)

    def draw(self, count: int, *, reader: Reader, without: Collection[Entry]) -> Drawn:
        """Return the first `count` entries that the home shows to the reader."""
        while True:
            shown = self._shown(count + 1, reader=reader, without=without)
            if len(shown) > count:
                return Drawn(shown[:count], next_id=id_of(shown[count - 1]))
            if self._floor == store.END:
                return Drawn(shown, next_id=None)
            if len(self._below) >= tweets.MOST_LOOKED_AT:
                return Drawn(shown, next_id=id_of(self._below[-1]))
            if not self._goes_on_in_redis():
                # Twice as many each time: most of them may be left out.
                self._go_on_in_postgres(limit=max(count + 1, len(self._below)))

    def _go_on_in_postgres(self, *, limit: int) -> None:
        before = min(int.from_bytes(self._floor, "big") + 1, self._before)
        found = self._newest(limit=limit, before=before)
        self._below = [*self._below, *found]
        self._floor = build.floor_of(found, limit=limit)

    def _shown(self, count: int, *, reader: Reader, without: Collection[Entry]) -> list[Entry]:
        self._shows = tweets.shows(Kind.HOME, reader)
        left_out = {*without, *self._repeated(reader, without)}
        shown: list[Entry] = []
        known = self._verdicts.get  # without a call of `_is_shown` for each tweet
        for entry in self._below:
            if entry not in left_out and (known(entry[ID_SIZE:]) or self._is_shown(entry)):
                shown.append(entry)
                if len(shown) == count:
                    break
        return shown

    def _repeated(self, reader: Reader, without: Collection[Entry]) -> Collection[Entry]:
        def shows(entry: Entry) -> bool:
            return entry not in without and self._is_shown(entry)

        return repeats(self._top, reader_id=reader.id, shows=shows)

    def _is_shown(self, entry: Entry) -> bool:
        """Tell whether an entry shows to the reader: asked once for all tweets of an author."""
        written = entry[ID_SIZE:]  # by whom; of a retweet also what
        verdict = self._verdicts.get(written)
        if verdict is None:
            verdict = self._verdicts[written] = self._shows(
                int.from_bytes(written[:ID_SIZE], "big"),
                int.from_bytes(written[TWEET_SIZE:], "big"),
            )
        return verdict


def repeats(
    top: Sequence[Entry], *, reader_id: int, shows: Callable[[Entry], bool]
) -> Collection[Entry]:
    """Return the retweets whose original shows further down, by itself or in another retweet.

    `top` are the newest entries, newest first. `shows` tells whether an entry shows; it is asked
    only where an original is there more than once. The oldest entry stands: only older entries
    decide, so a tweet that was shown is never left out because newer ones arrive. The reader's own
    retweets always show.
    """
    originals = [entry[TWEET_SIZE:] for entry in top if len(entry) > TWEET_SIZE]
    retweeted = set(originals)
    if len(retweeted) == len(originals) and retweeted.isdisjoint(top):
        return ()
    several: dict[Entry, list[Entry]] = {}
    for entry in top:
        original = entry if len(entry) == TWEET_SIZE else entry[TWEET_SIZE:]
        if original in retweeted:
            several.setdefault(original, []).append(entry)
    own = id_bytes(reader_id)
    repeated: set[Entry] = set()
    for alike in several.values():
        if len(alike) == 1:
            continue
        *newer, _ = [entry for entry in alike if shows(entry)] or [b""]
        repeated.update(
            entry for entry in newer if len(entry) > TWEET_SIZE and entry[ID_SIZE:TWEET_SIZE] != own
        )
    return repeated


@redis.without_redis(lambda: None)
def _merged(home: Home) -> Home | None:
    return build.merged(home)


@redis.without_redis(lambda: None)
def _rebuilt(account_id: int) -> Home | None:
    return build.rebuild_home(account_id)
