"""Home timelines in Redis.

A home is a list of 64-bit integers:

- an entry is a tweet's id times 1,024, plus a fingerprint of its original when it is a retweet, so
  that a reader finds repeated originals without looking at each tweet;
- a floor is an id times 1,024 plus 1,023: the home holds every entry above it, and says nothing
  about what is below. The floor of id 0 says that nothing is below;
- the mark, the largest of all numbers: what stands after it is sorted, newest first.

New entries are pushed in front of the mark, in any order and perhaps twice; the reader sorts them
in. Now and then the whole list is sorted and cut (`tidy`), by which the mark comes to the front.
While a home is being built there is no mark, but a number that names the build, and only the build
that it names may complete the home.

The home of somebody who follows popular authors has another mark, which tells the reader to merge
what these wrote (`popular.py`).
"""

import random
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Any

from django.conf import settings

from timelines import popular, scripts
from twitter.lib import redis, resp

# 53 bits of id and 10 of tag fit a signed 64-bit integer, which a list packs into 10 bytes.
TAG_BITS = 10
TAGS: int = 2**TAG_BITS - 1
FLOOR_TAG = TAGS
# With the version of a home's form: those of an earlier form expire unread.
KEY_PREFIX = "home:2:"
MARK = b"%d" % (2**63 - 1)
MARK_TO_MERGE = b"%d" % (2**63 - 2)
# Numbers from here on name builds. No id is so large before the year 2058.
BUILDING = 2**62
# The floor under which nothing is.
END = FLOOR_TAG
# A home is sorted, and cut to HOME_SIZE, when so many values have come since the last time: so a
# window of TIDY_EVERY + n values holds the n newest entries, and sorting costs little for each
# delivery.
TIDY_EVERY = 192
# No writer stands still between its commit and its push for so long.
REMOVED_SECONDS = 86_400
# A build that is not complete by then has died; the next read starts another.
BUILD_SECONDS = 30
# Commands that are written at once.
BATCH = 1_000
# Deliveries that are written at once: what the socket's buffers take, or the writer waits for Redis
# instead of making the next ones.
MESSAGE = 5_000
# Messages that are sent before the replies to an earlier one are waited for.
MESSAGES_AHEAD = 3
# Homes that one command tidies, some 100 µs each: nobody else is answered meanwhile.
TIDIED_AT_ONCE = 16


def pack(*, tweet_id: int, original_id: int) -> int:
    """Return the entry of a tweet; `original_id` is 0 unless it is a retweet."""
    return tweet_id << TAG_BITS | fingerprint_of(original_id)


def fingerprint_of(original_id: int) -> int:
    """Return a number from 1 to 1,022 for an original's id, and 0 for 0."""
    return original_id and 1 + original_id % (FLOOR_TAG - 1)


def id_of(entry: int) -> int:
    """Return the id of an entry's tweet, or of a floor."""
    return entry >> TAG_BITS


@dataclass(frozen=True)
class Home:
    """A home as read: its entries, newest first, each once, and where its knowledge ends.

    It holds every entry above `floor`, but for those of the authors in `unknown`, which are to be
    fetched from Postgres first. `is_short`: built anew, it would reach much further down.
    `is_tidy`: a window of it is enough to read its newest entries.
    """

    entries: list[int]
    floor: int
    is_short: bool
    is_tidy: bool = True
    unknown: Sequence[int] = ()

    @classmethod
    def of(cls, entries: list[int], floor: int, *, is_tidy: bool = True) -> "Home":
        """Return a home that needs no merging."""
        is_short = floor != END and len(entries) < settings.HOME_SIZE // 2
        return cls(entries=entries, floor=floor, is_short=is_short, is_tidy=is_tidy)

    @property
    def reaches_end(self) -> bool:
        """Whether nothing is older than the last entry."""
        return self.floor == END


def _key(account_id: int) -> str:
    return f"{KEY_PREFIX}{account_id}"


@redis.without_redis(lambda: None)
def read(account_id: int) -> Home | None:
    """Return the account's home and let it live on; None when there is none (or no Redis)."""
    values, followed, seconds_left = resp.exchange(*reading(account_id))
    home = parse(values, followed)
    if home and is_to_live_on(seconds_left):
        resp.exchange(*living_on(account_id))
    if home and not home.is_tidy:  # Whoever pushed was stopped before tidying.
        tidy([account_id])
    return home


def reading(account_id: int, *, newest: int | None = None) -> tuple[bytes, bytes, bytes]:
    """Return the packed commands that fetch a home's values, what `popular` adds, and its TTL.

    With `newest`, as many values as hold the so many newest entries if the home is tidy.
    """
    last = -1 if newest is None else TIDY_EVERY + newest
    return (
        resp.pack("LRANGE", _key(account_id), 0, last),
        popular.reading(account_id),
        resp.pack("TTL", _key(account_id)),
    )


def is_to_live_on(seconds_left: int) -> bool:
    """Tell whether a read is to prolong a home's life.

    Seldom, so that a read stays a read; and never while a build may still turn out dead.
    """
    return BUILD_SECONDS < seconds_left < float(settings.HOME_TTL_SECONDS) * 0.9


def living_on(account_id: int) -> list[bytes]:
    """Return the packed commands that let a home live on."""
    keys = (_key(account_id), popular.key_of_followed(account_id))
    return [resp.pack("EXPIRE", key, settings.HOME_TTL_SECONDS) for key in keys]


def peek(account_id: int) -> Home | None:
    """Return the account's home without letting it live longer. Raises redis.RedisError."""
    values, followed, _ = resp.exchange(*reading(account_id))
    return parse(values, followed)


def parse(
    values: Sequence[bytes], followed: Sequence[bytes | None], *, newest: int | None = None
) -> Home | None:
    """Return the home that replies to `reading` make; None when they do not reach the mark.

    With `newest`, a home of so many entries or some more: what a window is sure to hold.
    """
    to_merge = MARK_TO_MERGE in values
    if not to_merge and MARK not in values:
        return None
    arrived = values.index(MARK_TO_MERGE if to_merge else MARK)
    behind = list(map(int, values[arrived + 1 :][:newest]))
    if not behind:
        return None
    if to_merge and not followed:  # Redis evicted whom to merge: a home that knows nothing.
        return Home.of([], BUILDING)
    floors = [number for number in behind if number & TAGS == FLOOR_TAG]
    # If it is further down, so much of the list is complete down to its end.
    floor = floors[0] if floors else floor_below(behind[-1])
    entries = [number for number in behind if number > floor]
    if arrived:
        entries += [number for number in map(int, values[:arrived]) if number > floor]
    own = Home.of(sorted(set(entries), reverse=True), floor, is_tidy=arrived <= TIDY_EVERY)
    return _merged(own, popular.parse(followed)) if to_merge else own


def _merged(own: Home, followed: popular.Followed) -> Home:
    entries, floor = popular.merged(own.entries, own.floor, followed.newest)
    return replace(own, entries=entries, floor=floor, unknown=followed.unknown)


def floor_below(entry: int) -> int:
    """Return the highest floor that leaves the entry above it."""
    return (id_of(entry) - 1) << TAG_BITS | FLOOR_TAG


def push_unless_removed(entry: int, account_id: int) -> None:
    """Add an entry to an account's home if that exists, and `mark_removed` was not called for it.

    Whoever removes the tweet marks it first. So this either sees the mark, or comes before it and
    leaves the entry to be found. Raises redis.RedisError.
    """
    keys = [_key(account_id), _removed_key(id_of(entry))]
    length = scripts.PUSH_UNLESS_REMOVED.run(keys=keys, arguments=[entry])
    resp.exchange(*_tidying([account_id], [length]))


def mark_removed(tweet_id: int) -> None:
    """Keep `push_unless_removed` from adding a tweet. Raises redis.RedisError."""
    resp.exchange(resp.pack("SET", _removed_key(tweet_id), b"", "EX", REMOVED_SECONDS))


def _removed_key(tweet_id: int) -> str:
    return f"removed:{tweet_id}"


def push_pages(entry: int, pages: Iterable[Sequence[int]]) -> Iterator[Sequence[int]]:
    """Add an entry to those of the accounts' homes that exist; yield each page when that is done.

    Pages hold ids in order. While the caller looks at one, Redis works on what comes next.
    Raises redis.RedisError.
    """
    with resp.Pipe() as pipe:
        under_way: deque[tuple[Sequence[int], Sequence[int]]] = deque()
        tidying: list[bytes] = []
        for part, page in chain(_parts(pages), [((), ())] * MESSAGES_AHEAD):
            pipe.send(b"".join([*tidying, *_pushes(entry, part)]), len(tidying) + len(part))
            under_way.append((part, page))
            tidying = []
            if len(under_way) > MESSAGES_AHEAD:
                pushed, done = under_way.popleft()
                replies = pipe.receive()
                tidying = _tidying(pushed, replies[len(replies) - len(pushed) :])
                if done:
                    yield done
        pipe.send(b"".join(tidying), len(tidying))
        for _ in range(MESSAGES_AHEAD + 1):
            pipe.receive()


def _parts(pages: Iterable[Sequence[int]]) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    """Cut pages in parts of MESSAGE; each comes with the page if it is its last, else with ()."""
    for page in pages:
        for start in range(0, len(page), MESSAGE):
            end = start + MESSAGE
            yield page[start:end], page if end >= len(page) else ()


def _pushes(entry: int, account_ids: Sequence[int]) -> Iterator[bytes]:
    """Yield commands, one for each account; the accounts come in order.

    One format for many ids takes half as long as one for each, but needs ids of one length.
    """
    value = b"%d" % entry
    for ids in _of_one_length(account_ids):
        command = b"*3\r\n$6\r\nLPUSHX\r\n$%d\r\n%b%%d\r\n$%d\r\n%b\r\n"
        command %= (len(_key(ids[0])), KEY_PREFIX.encode(), len(value), value)
        yield (command * len(ids)) % tuple(ids)


def _of_one_length(numbers: Sequence[int]) -> Iterable[Sequence[int]]:
    """Return runs of the numbers, which come in order, each of as many digits."""
    if not numbers or len(str(numbers[0])) == len(str(numbers[-1])):
        return [numbers] if numbers else []
    return [list(run) for _, run in groupby(numbers, key=lambda number: len(str(number)))]


def _tidying(account_ids: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
    """Return commands that tidy those of the homes whose length says so.

    A home that was cut has HOME_SIZE entries, the mark and a floor.
    """
    just_cut = settings.HOME_SIZE + 2
    enough = {one for one in set(lengths) if one and not (one - just_cut) % TIDY_EVERY}
    lengths_of = zip(account_ids, lengths, strict=True)
    untidy = [one for one, length in lengths_of if length in enough]
    return [
        scripts.TIDY.packed(**_to_tidy(batch)) for batch in _batches(untidy, size=TIDIED_AT_ONCE)
    ]


def tidy(account_ids: Iterable[int]) -> None:
    """Sort homes, and cut them to HOME_SIZE. Raises redis.RedisError."""
    scripts.TIDY.run(**_to_tidy(account_ids))


def _to_tidy(account_ids: Iterable[int]) -> dict[str, list[Any]]:
    return {
        "keys": [_key(number) for number in account_ids],
        "arguments": [settings.HOME_SIZE, MARK, MARK_TO_MERGE],
    }


def remove(entry: int, account_ids: Collection[int]) -> None:
    """Take an entry out of the accounts' homes. Raises redis.RedisError.

    A home that is being built is dropped, for its snapshot may be older than the removal. Its
    build's name is last in the list; it is looked at before the entry is taken out, so that a
    build which is completed in between has either been noticed or leaves the entry to be found.
    """
    for batch in _batches(list(account_ids)):
        commands = []
        for key in map(_key, batch):
            commands += [resp.pack("LINDEX", key, -1), resp.pack("LREM", key, 0, entry)]
        last = resp.exchange(*commands)[::2]
        drop([one for one, value in zip(batch, last, strict=True) if value and _is_build(value)])


def _is_build(value: bytes) -> bool:
    return int(value) >= BUILDING and value not in (MARK, MARK_TO_MERGE)


def drop(account_ids: Collection[int]) -> None:
    """Delete the accounts' homes; the next read builds each anew. Raises redis.RedisError."""
    for batch in _batches(list(account_ids)):
        keys = [(_key(number), popular.key_of_followed(number)) for number in batch]
        resp.exchange(resp.pack("UNLINK", *chain.from_iterable(keys)))


def existing(account_ids: Sequence[int]) -> list[int]:
    """Return those of the accounts that have a home. Raises redis.RedisError."""
    found = resp.exchange(*(resp.pack("EXISTS", _key(number)) for number in account_ids))
    return [number for number, exists in zip(account_ids, found, strict=True) if exists]


@redis.without_redis(lambda: None)
def begin_build(account_id: int) -> str | None:
    """Put an empty home there, which receives deliveries from now on; returns the build's name.

    Must come before the snapshot is read from Postgres: a tweet committed before the snapshot is
    in it, one committed after is fanned out to a home that exists. Nothing falls between. Returns
    None when there is a home already.
    """
    build = str(BUILDING + random.getrandbits(61))
    created = scripts.BEGIN.run(keys=[_key(account_id)], arguments=[build, BUILD_SECONDS])
    return build if created else None


@redis.without_redis(lambda: None)
def complete_build(
    *,
    account_id: int,
    build: str,
    entries: Sequence[int],
    floor: int,
    to_merge: Sequence[int] = (),
) -> None:
    """Add a snapshot to the account's home, unless that was dropped since `begin_build`.

    `entries` come newest first; `to_merge` are the popular authors that are not among them.
    """
    mark = MARK_TO_MERGE if to_merge else MARK
    values: list[resp.Argument] = [mark, *entries, floor]
    scripts.COMPLETE.run(
        keys=[_key(account_id), popular.key_of_followed(account_id)],
        arguments=[build, settings.HOME_TTL_SECONDS, len(values), *values, *to_merge],
    )


def _batches(items: Sequence[int], *, size: int = BATCH) -> Iterable[Sequence[int]]:
    return (items[start : start + size] for start in range(0, len(items), size))
