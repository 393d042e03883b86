"""The only way to a page of tweets: source, hydrate, keep, present.

A source gives entries (`tweets.entries`), `hydrate` brings tweets and users as bytes, `visibility`
says what to keep, and `present` joins the bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from accounts import facade as accounts
from tweets import answers, visibility
from tweets.entries import Entry, Ref, ref_of
from tweets.posts import cache, reads
from tweets.posts.rendering import Found, RenderedTweet
from tweets.reader import Reader
from tweets.sources import MOST_LOOKED_AT, Source
from twitter.base.data import parts, redis
from twitter.base.http.renderers import array
from twitter.base.observe import metrics

# The most bytes of tweets and users that a page has.
MOST_BYTES = 1_000_000


@dataclass
class Page:
    """The tweets of a page, in the source's order, and what is needed to show them.

    `next_id`: the cursor after which the source goes on; None at its end.
    """

    refs: list[Ref] = field(default_factory=list)
    found: Found = field(default_factory=Found)
    next_id: int | None = None

    @property
    def ids(self) -> list[int]:
        """The ids of the tweets shown."""
        return [ref.id for ref in self.refs]


def read(source: Source, *, reader: Reader, limit: int) -> Page:
    """Return a page: up to `limit` tweets of the source that the reader may see.

    If the reader may not see some of them, each further look takes twice as many entries, up to
    MOST_LOOKED_AT in all. Then the page has the tweets found so far, perhaps none, and the next
    page goes on from there.
    """
    found = Found()
    refs: dict[Entry, Ref] = {}
    hidden: set[Entry] = set()
    count = limit
    while True:
        drawn = source.draw(count, reader=reader, without=hidden)
        new = {entry: ref_of(entry) for entry in drawn.entries if entry not in refs}
        hydrate(new.values(), found)
        refs |= new
        unseen = visibility.unseen(reader, new, found)
        hidden.update(unseen)
        if not unseen or len(refs) >= MOST_LOOKED_AT:
            break
        kept = len(drawn.entries) - len(unseen)
        if kept < limit:
            kept += min(max(len(refs), limit - kept), MOST_LOOKED_AT - len(refs))
        count = max(kept, limit)
    seen = [refs[entry] for entry in drawn.entries if entry not in hidden]
    shown = _within_bytes(seen[:limit], found)
    goes_on = len(shown) < len(seen) or (len(shown) == limit and drawn.next_id)
    next_id = source.cursor_of(shown[-1]) if goes_on else drawn.next_id
    return Page(refs=shown, found=found, next_id=next_id)


def _within_bytes(refs: list[Ref], found: Found) -> list[Ref]:
    """Return as many of the first tweets as fit into MOST_BYTES, at least one."""
    if sum(map(len, found.users.values())) + sum(map(len, found.tweets.values())) <= MOST_BYTES:
        return refs
    total = 0
    for place, ref in enumerate(refs):
        total += sum(
            len(found.tweets[tweet_id]) + len(found.users[author_id])
            for tweet_id, author_id in (ref[:2], ref[2:])
            if tweet_id
        )
        if total > MOST_BYTES:
            return refs[: max(place, 1)]
    return refs


def hydrate(refs: Iterable[Ref], found: Found) -> None:
    """Add tweets, their originals, and the authors of all these to what was found.

    They come from Redis in one round trip. What is missing there comes from PostgreSQL, in one
    statement for tweets and one for users, and is then cached. Absence is cached too.
    """
    tweets, users = found.tweets, found.users
    wanted: dict[int, None] = {}
    authors: dict[int, None] = {}
    for tweet_id, author_id, original_id, original_author_id in refs:
        wanted[tweet_id] = authors[author_id] = None
        if original_id:
            wanted[original_id] = authors[original_author_id] = None
    tweet_ids, author_ids = list(wanted), list(authors)
    if tweets:  # from an earlier look
        tweet_ids = [number for number in tweet_ids if number not in tweets]
        author_ids = [number for number in author_ids if number not in users]
    if not tweet_ids and not author_ids:
        return
    cached, cards = _cached(tweet_ids, author_ids)
    tweets |= cached
    users |= cards
    hits, wanted_in_all = len(cached) + len(cards), len(tweet_ids) + len(author_ids)
    metrics.looked_up(hits=hits, misses=wanted_in_all - hits)
    if len(cached) < len(tweet_ids):
        tweets |= _bodies(reads.filled([number for number in tweet_ids if number not in cached]))
    if len(cards) < len(author_ids):
        users |= accounts.filled_cards([number for number in author_ids if number not in cards])


@redis.without_redis(lambda: ({}, {}))
def _cached(
    tweet_ids: Sequence[int], author_ids: Sequence[int]
) -> tuple[dict[int, bytes], dict[int, bytes]]:
    tweets, cards = parts.fetch_values(cache.values(tweet_ids), accounts.cards_values(author_ids))
    return tweets, cards


def _bodies(tweets: Mapping[int, RenderedTweet | None]) -> dict[int, bytes]:
    return {number: tweet.body if tweet else b"" for number, tweet in tweets.items()}


def tweet(tweet_id: int, *, reader: Reader) -> Page:
    """Return a page with one tweet, empty if the reader may not see it."""
    found = Found()
    ref = _ref_of(tweet_id, found)
    if ref is None:
        return Page()
    hydrate([ref], found)
    return Page(refs=[ref] if visibility.may(reader, ref, found) else [], found=found)


def _ref_of(tweet_id: int, found: Found) -> Ref | None:
    """Return the `Ref` of a tweet, from its id alone; None if the tweet is not visible."""
    cached = cache.fetch_heads([tweet_id])
    if tweet_id in cached:
        return cached[tweet_id]
    filled = reads.filled([tweet_id])
    found.tweets |= _bodies(filled)
    tweet = filled[tweet_id]
    return Ref(tweet_id, *tweet[1:]) if tweet else None


def present(page: Page, *, reader: Reader, one: bool = False, **extra: bytes) -> bytes:
    """Return the envelope of a page: its tweets, what they refer to, the reader's marks.

    `extra` are further members, as JSON. `one`: `data` is the page's only tweet, not an array.
    """
    tweets, users = page.found.tweets, page.found.users
    ids: list[int] = []
    authors: dict[int, None] = {}
    originals: dict[int, int] = {}  # and their authors
    for tweet_id, author_id, original_id, original_author_id in page.refs:
        ids.append(tweet_id)
        authors[author_id] = None
        if original_id:
            originals[original_id] = original_author_id
    for tweet_id in originals.keys() & ids:
        del originals[tweet_id]
    authors.update(dict.fromkeys(originals.values()))
    mentioned = [*ids, *originals]
    data = [tweets[number] for number in ids]
    return b'{"data":%b,"includes":{"users":%b,"tweets":%b},"viewer":%b%b}' % (
        data[0] if one else array(data),
        array([users[number] for number in authors]),
        array([tweets[number] for number in originals]),
        answers.viewer(reader.marks_of(mentioned).of(mentioned)),
        b"".join([b',"%b":%b' % (name.encode(), value) for name, value in extra.items()]),
    )
