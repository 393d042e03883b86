"""Home timelines in Redis.

A home is a list of 64-bit integers, the newest arrival first:

- an entry is a tweet's id times 1,024, plus a fingerprint of its original when it is a retweet, so
  that a reader finds repeated originals without looking at each tweet;
- a floor is an id times 1,024 plus 1,023. It says: every entry above me that belongs into this home
  stands before me. The floor of id 0 says that nothing is older;
- the last value is the home's kind: whether it is complete, whether its reader has to merge what
  popular authors wrote (`popular.py`), or that it is being built. Only the build that it names may
  complete the home.

Entries are pushed in any order and perhaps twice; the reader sorts them. Each FLOOR_EVERY values a
floor is pushed as well. Any part of the list that begins at its front is complete above the last
floor in it: a reader of the newest entries takes a window, and a home is cut by dropping its end.

A floor that is pushed is the highest entry that was ever pushed into any home (`HIGHEST`): whoever
pushes an entry raises that first, so whatever is above a floor comes after it, that is, before it
in the list.
"""

import random
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Any, NamedTuple

from django.conf import settings

from timelines import popular, scripts
from twitter.lib import redis, resp

# 53 bits of id and 10 of tag fit a signed 64-bit integer, which a list packs into 10 bytes.
TAG_BITS = 10
TAGS: int = 2**TAG_BITS - 1
FLOOR_TAG = TAGS
# With the version of a home's form: those of an earlier form expire unread.
KEY_PREFIX = "home:3:"
HIGHEST = "highest"
# Kinds of a home. Numbers below them, from BUILDING on, name builds; no id is so large before the
# year 2058. They have the floors' tag, so that none is taken for an entry.
COMPLETE = b"%d" % (2**63 - 1)
TO_MERGE = b"%d" % (2**63 - 1 - 2**TAG_BITS)
BUILDING = 2**62
# The floor under which nothing is.
END = FLOOR_TAG
# Of so many values in a row, one is a floor.
FLOOR_EVERY = 32
# A window of the newest entries has room for the values down to the next floor, and for as many
# that do not count because they came late.
WINDOW_MARGIN = 2 * FLOOR_EVERY
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
# Homes that one command puts floors into, some 4 µs each: nobody else is answered meanwhile.
FLOORS_AT_ONCE = 250


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
    """

    entries: list[int]
    floor: int
    is_short: bool
    unknown: Sequence[int] = ()

    @classmethod
    def of(cls, entries: list[int], floor: int) -> "Home":
        """Return a home that needs no merging."""
        is_short = floor != END and len(entries) < settings.HOME_SIZE // 2
        return cls(entries=entries, floor=floor, is_short=is_short)

    @property
    def reaches_end(self) -> bool:
        """Whether nothing is older than the last entry."""
        return self.floor == END


class Replies(NamedTuple):
    """What Redis replies to `reading`, but for the seconds."""

    values: Sequence[bytes]
    kind: bytes | None
    followed: Sequence[bytes | None]


def _key(account_id: int) -> str:
    return f"{KEY_PREFIX}{account_id}"


@redis.without_redis(lambda: None)
def read(account_id: int) -> Home | None:
    """Return the account's home and let it live on; None when there is none (or no Redis)."""
    *replies, seconds_left = resp.exchange(*reading(account_id))
    home = parse(Replies(*replies))
    if home and is_to_live_on(seconds_left):
        resp.exchange(*living_on(account_id))
    return home


def reading(account_id: int, *, newest: int | None = None) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the packed commands that bring `Replies` for a home, and the seconds it has to live.

    With `newest`, a window that holds so many of the newest entries unless most came late.
    """
    last = -1 if newest is None else newest + WINDOW_MARGIN - 1
    return (
        resp.pack("LRANGE", _key(account_id), 0, last),
        resp.pack("LINDEX", _key(account_id), -1),
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
    *replies, _ = resp.exchange(*reading(account_id))
    return parse(Replies(*replies))


def parse(replies: Replies, *, newest: int = 0) -> Home | None:
    """Return the home that replies to `reading` make, or as much of it as a window holds.

    None if there is none, if it is being built, or if a window does not hold the `newest` entries.
    """
    if replies.kind not in (COMPLETE, TO_MERGE):
        return None
    numbers = list(map(int, replies.values))
    tagged = (number for number in reversed(numbers) if number & TAGS == FLOOR_TAG)
    floor = next((number for number in tagged if number < BUILDING), None)
    if floor is None:
        return None
    entries = {number for number in numbers if number > floor and number & TAGS != FLOOR_TAG}
    if floor != END and len(entries) < newest:
        return None
    own = Home.of(sorted(entries, reverse=True), floor)
    if replies.kind == COMPLETE:
        return own
    if not replies.followed:  # Redis evicted whom to merge: a home that knows nothing.
        return Home.of([], BUILDING)
    return _merged(own, popular.parse(replies.followed))


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
    keys = [HIGHEST, _key(account_id), _removed_key(id_of(entry))]
    length = scripts.PUSH_UNLESS_REMOVED.run(keys=keys, arguments=[entry | TAGS, entry])
    resp.exchange(*_floors([account_id], [length]))


def mark_removed(tweet_ids: Iterable[int]) -> None:
    """Keep `push_unless_removed` from adding these tweets. Raises redis.RedisError."""
    keys = map(_removed_key, tweet_ids)
    resp.exchange(*(resp.pack("SET", key, b"", "EX", REMOVED_SECONDS) for key in keys))


def _removed_key(tweet_id: int) -> str:
    return f"removed:{tweet_id}"


def push_pages(entry: int, pages: Iterable[Sequence[int]]) -> Iterator[Sequence[int]]:
    """Add an entry to those of the accounts' homes that exist; yield each page when that is done.

    Pages hold ids in order. While the caller looks at one, Redis works on what comes next.
    Raises redis.RedisError.
    """
    with resp.Pipe() as pipe:
        under_way: deque[tuple[Sequence[int], Sequence[int]]] = deque()
        # With each message, for Redis may have lost everything since the last.
        raising = scripts.RAISE.packed(keys=[HIGHEST], arguments=[entry | TAGS])
        floors: list[bytes] = []
        for part, page in chain(_parts(pages), [((), ())] * MESSAGES_AHEAD):
            message = b"".join([raising, *floors, *_pushes(entry, part)])
            pipe.send(message, 1 + len(floors) + len(part))
            under_way.append((part, page))
            floors = []
            if len(under_way) > MESSAGES_AHEAD:
                pushed, done = under_way.popleft()
                replies = pipe.receive()
                floors = _floors(pushed, replies[len(replies) - len(pushed) :])
                if done:
                    yield done
        pipe.send(b"".join(floors), len(floors))
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


def _floors(account_ids: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
    """Return commands that push a floor into those of the homes whose length says so."""
    enough = {one for one in set(lengths) if one and not one % FLOOR_EVERY}
    if not enough:
        return []
    lengths_of = zip(account_ids, lengths, strict=True)
    homes = [_key(one) for one, length in lengths_of if length in enough]
    arguments: list[resp.Argument] = [_full(), COMPLETE, TO_MERGE]
    return [
        scripts.PUSH_FLOORS.packed(keys=[HIGHEST, *batch], arguments=arguments)
        for batch in _batches(homes, size=FLOORS_AT_ONCE)
    ]


def _full() -> int:
    """Return the length to which homes are cut: HOME_SIZE entries, floors, and the kind.

    What stands behind the last floor does not count, so there is room for that as well. The length
    is one more than one at which a floor is pushed: so the next comes FLOOR_EVERY values later.
    """
    blocks = -(-settings.HOME_SIZE // (FLOOR_EVERY - 1)) + 1
    return blocks * FLOOR_EVERY + 1


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


def stop_merging(author_id: int, account_ids: Sequence[int]) -> None:
    """Take an author off the lists of those whom the accounts' homes merge; homes stay.

    A home that is being built is dropped: its build may have read of the author before. Raises
    redis.RedisError.
    """
    for batch in _batches(account_ids):
        commands = []
        for one in batch:
            commands += [
                resp.pack("LINDEX", _key(one), -1),
                resp.pack("LREM", popular.key_of_followed(one), 0, author_id),
            ]
        last = resp.exchange(*commands)[::2]
        drop([one for one, value in zip(batch, last, strict=True) if value and _is_build(value)])


def _is_build(value: bytes) -> bool:
    return value not in (COMPLETE, TO_MERGE)


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
    kind = TO_MERGE if to_merge else COMPLETE
    values: list[resp.Argument] = [*_with_floors(entries), floor, kind]
    highest = entries[0] | TAGS if entries else 0
    scripts.COMPLETE.run(
        keys=[HIGHEST, _key(account_id), popular.key_of_followed(account_id)],
        arguments=[highest, build, settings.HOME_TTL_SECONDS, len(values), *values, *to_merge],
    )


def _with_floors(entries: Sequence[int]) -> Iterator[int]:
    """Yield entries, which come newest first, with floors among them."""
    for place, entry in enumerate(entries):
        if not place % (FLOOR_EVERY - 1):
            yield entry | TAGS
        yield entry


def _batches(items: Sequence[Any], *, size: int = BATCH) -> Iterable[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
