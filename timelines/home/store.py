"""Home timelines in Redis.

A home is a list, the newest arrival first:

- an entry says all that a page's skeleton needs: 16 bytes for a tweet, 32 for a retweet
  (`tweets.entries`);
- a floor is an id and a letter, 9 bytes. It says: every entry above this id that belongs into this
  home stands before me. The floor of id 0 says that nothing is older. The letter is the home's
  kind: it is complete, or its reader has to merge what popular authors wrote (`popular.py`);
- while a home is being built, the name of its build stands last, and there is no floor. Only the
  build that it names may complete the home.

Entries are pushed in any order and perhaps twice; the reader sorts them. Each FLOOR_EVERY values a
floor is pushed as well: the highest value of the home so far. So any part of the list that begins
at its front is complete above the last floor in it: a reader of the newest entries takes a window,
and a home is cut by dropping its end.
"""

import secrets
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Any, NamedTuple

from django.conf import settings

from timelines.home import popular, scripts
from tweets.facade import ID_SIZE, Entry, id_bytes, id_of
from twitter.base.data import parts, redis, resp
from twitter.base.data.parts import Part

# With the version of a home's form: those of an earlier form expire unread.
KEY_PREFIX = "home:4:"
# Kinds of a home.
COMPLETE, TO_MERGE = b"c", b"m"
FLOOR_SIZE = ID_SIZE + 1
BUILD_SIZE = 12
# The floor with nothing below it.
END = bytes(ID_SIZE)
# Of so many values in a row, one is a floor.
FLOOR_EVERY = 32
# A window of the newest entries has room for the values down to the next floor, and for as many
# that do not count because they came late.
WINDOW_MARGIN = 2 * FLOOR_EVERY
# A removal is remembered for a day: a writer does not stand still between its commit and its push
# for so long.
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


class Home(NamedTuple):
    """A home as read: its entries, newest first, each once, and where its knowledge ends.

    It holds every entry above the id `floor`, except entries of the authors `to_merge`, which are
    read apart. `is_window`: the list goes on. `is_short`: the home would reach much further down if
    it were built again.
    """

    entries: list[Entry]
    floor: bytes
    to_merge: Sequence[int] = ()
    is_window: bool = False
    is_short: bool = False

    @classmethod
    def of(cls, entries: list[Entry], floor: bytes, *, to_merge: Sequence[int]) -> "Home":
        """Return all of a home."""
        is_short = floor != END and len(entries) < settings.HOME_SIZE // 2
        return cls(entries, floor, to_merge=to_merge, is_short=is_short)

    @property
    def reaches_end(self) -> bool:
        """Whether nothing is older than the last entry."""
        return self.floor == END


_TOP = b"\xff" * ID_SIZE


class Reading(NamedTuple):
    """What Redis says of an account's home. `home` is None if none exists, or if it is being built.

    `is_there` tells these two apart. `seconds_left`: how long the home has to live.
    """

    home: Home | None
    is_there: bool
    seconds_left: int


def _key(account_id: int) -> str:
    return f"{KEY_PREFIX}{{{account_id}}}"


def part(account_id: int, *, newest: int | None = None) -> Part[Reading]:
    """Return the part that reads a home.

    With `newest`, a window that holds so many of the newest entries unless most came late.
    """
    last = -1 if newest is None else newest + WINDOW_MARGIN - 1
    commands = (
        resp.pack("LRANGE", _key(account_id), 0, last),
        resp.pack("LRANGE", popular.key_of_merged(account_id), 0, -1),
        resp.pack("TTL", _key(account_id)),
    )

    def parse(replies: Sequence[Any]) -> Reading:
        values, to_merge, seconds_left = replies
        is_window = newest is not None and len(values) == last + 1
        home = parsed(values, to_merge, is_window=is_window)
        return Reading(home=home, is_there=bool(values), seconds_left=seconds_left)

    return Part(commands, parse)


def parsed(values: Sequence[bytes], to_merge: Sequence[bytes], *, is_window: bool) -> Home | None:
    """Return the home that a list's first values make.

    Without a floor among them: None for a whole list, a home that knows nothing for a window.
    """
    place = len(values)
    while place:
        place -= 1
        if len(values[place]) == FLOOR_SIZE:
            break
    else:
        return Home([], _TOP, is_window=True) if is_window else None
    floor, kind = values[place][:ID_SIZE], values[place][ID_SIZE:]
    # An entry is longer than a floor, so it is above one of the same id, were it not for the kind.
    above = values[place]
    newest_first = dict.fromkeys(sorted(values[:place], reverse=True))  # nearly in order already
    entries = [value for value in newest_first if len(value) != FLOOR_SIZE]
    while entries and entries[-1] <= above:
        entries.pop()
    if kind == TO_MERGE and not to_merge:  # Redis evicted whom to merge.
        return Home([], _TOP, is_short=True)
    authors = tuple(map(int, to_merge)) if kind == TO_MERGE else ()
    if is_window:
        return Home(entries, floor, to_merge=authors, is_window=True)
    return Home.of(entries, floor, to_merge=authors)


def peek(account_id: int) -> Home | None:
    """Return the account's home, all of it, without letting it live on. Raises redis.RedisError."""
    return parts.fetch(part(account_id)).home


@redis.without_redis(lambda: None)
def read(account_id: int) -> Home | None:
    """Return the account's home, all of it, and let it live on; None when there is none."""
    reading = parts.fetch(part(account_id))
    live_on(account_id, reading)
    return reading.home


@redis.without_redis(lambda: None)
def live_on(account_id: int, reading: Reading) -> None:
    """Let a home that was read live on.

    This is seldom done, so that a read stays a read. A home that is being built by now is left
    alone, for its build may be dead.
    """
    if reading.home and reading.seconds_left < float(settings.HOME_TTL_SECONDS) * 0.9:
        scripts.LIVE_ON.run(
            keys=[_key(account_id), popular.key_of_merged(account_id)],
            arguments=[settings.HOME_TTL_SECONDS, BUILD_SIZE],
        )


def floor_below(entry: Entry) -> bytes:
    """Return the highest floor that leaves the entry above it."""
    return id_bytes(id_of(entry) - 1)


def push_part(entry: Entry, account_id: int) -> Part[bool]:
    """Return the part that adds an entry to an account's home if that exists.

    It tells whether `mark_removed` was called for its tweet. A removal first marks the tweet, and
    then takes it out of homes. So either the mark is seen after the push, and the caller has to
    check whether the entry must go; or the mark comes later, and the removal finds the entry.
    """
    commands = (
        resp.pack("LPUSHX", _key(account_id), entry),
        resp.pack("EXISTS", _removed_key(id_of(entry))),
    )

    def parse(replies: Sequence[Any]) -> bool:
        length, is_marked = replies
        if floors := _floors([account_id], [length]):
            resp.exchange(*floors)
        return bool(is_marked)

    return Part(commands, parse)


def mark_removed(tweet_ids: Iterable[int]) -> None:
    """Have `push` tell of these tweets that they were removed. Raises redis.RedisError."""
    keys = map(_removed_key, tweet_ids)
    resp.exchange(*(resp.pack("SET", key, b"", "EX", REMOVED_SECONDS) for key in keys))


def _removed_key(tweet_id: int) -> str:
    return f"removed:{tweet_id}"


class Page(NamedTuple):
    """An entry, and accounts, in order by id, into whose homes it goes."""

    entry: Entry
    account_ids: Sequence[int]


def push_pages(pages: Iterable[Page]) -> Iterator[Page]:
    """Add entries to those of the accounts' homes that exist; yield each page when that is done.

    While the caller looks at one, Redis works on what comes next. Raises redis.RedisError.
    """
    with resp.Pipe() as pipe:
        under_way: deque[tuple[list[Page], int, list[Page]]] = deque()
        floors: list[bytes] = []
        for parts_, ends in chain(_messages(pages), [([], [])] * MESSAGES_AHEAD):
            pushes = [command for part_ in parts_ for command in _pushes(part_)]
            size = sum(len(part_.account_ids) for part_ in parts_)
            pipe.send(b"".join([*floors, *pushes]), len(floors) + size)
            under_way.append((parts_, size, ends))
            floors = []
            if len(under_way) > MESSAGES_AHEAD:
                pushed, size, done = under_way.popleft()
                replies = pipe.receive()
                account_ids = chain.from_iterable(part_.account_ids for part_ in pushed)
                floors = _floors(account_ids, replies[len(replies) - size :])
                yield from done
        pipe.send(b"".join(floors), len(floors))
        for _ in range(MESSAGES_AHEAD + 1):
            pipe.receive()


def _messages(pages: Iterable[Page]) -> Iterator[tuple[list[Page], list[Page]]]:
    """Make messages of up to MESSAGE deliveries: parts of pages, and the pages that end there."""
    parts_, ends, room = list[Page](), list[Page](), MESSAGE
    for page in pages:
        for start in range(0, len(page.account_ids), MESSAGE):
            part_ = Page(page.entry, page.account_ids[start : start + MESSAGE])
            if len(part_.account_ids) > room:
                yield parts_, ends
                parts_, ends, room = [], [], MESSAGE
            parts_.append(part_)
            room -= len(part_.account_ids)
        ends.append(page)
        if not room:  # It does not wait for the next page.
            yield parts_, ends
            parts_, ends, room = [], [], MESSAGE
    if ends:
        yield parts_, ends


def _pushes(page: Page) -> Iterator[bytes]:
    """Yield commands, one for each account.

    One format for many ids takes half as long as one for each, but needs ids of one length.
    """
    value = page.entry.replace(b"%", b"%%")
    prefix = KEY_PREFIX.encode()
    for ids in _of_one_length(page.account_ids):
        command = b"*3\r\n$6\r\nLPUSHX\r\n$%d\r\n%b{%%d}\r\n$%d\r\n%b\r\n"
        command %= (len(_key(ids[0])), prefix, len(page.entry), value)
        yield (command * len(ids)) % tuple(ids)


def _of_one_length(numbers: Sequence[int]) -> Iterable[Sequence[int]]:
    """Return runs of the numbers, which come in order; those of a run have as many digits."""
    if not numbers or len(str(numbers[0])) == len(str(numbers[-1])):
        return [numbers] if numbers else []
    return [list(run) for _, run in groupby(numbers, key=lambda number: len(str(number)))]


def _floors(account_ids: Iterable[int], lengths: Sequence[int]) -> list[bytes]:
    """Return commands that push a floor into those of the homes whose length says so."""
    enough = {one for one in set(lengths) if one and not one % FLOOR_EVERY}
    if not enough:
        return []
    lengths_of = zip(account_ids, lengths, strict=True)
    homes = dict.fromkeys(_key(one) for one, length in lengths_of if length in enough)
    arguments: list[resp.Argument] = [_full(), FLOOR_SIZE, WINDOW_MARGIN]
    return [
        scripts.PUSH_FLOOR.loading,
        *(scripts.PUSH_FLOOR.by_digest(keys=[home], arguments=arguments) for home in homes),
    ]


def _full() -> int:
    """Return the length to which homes are cut: HOME_SIZE entries, and floors.

    What stands behind the last floor does not count, so there is room for that as well. The length
    is one more than one at which a floor is pushed: so the next comes FLOOR_EVERY values later.
    """
    blocks = -(-settings.HOME_SIZE // (FLOOR_EVERY - 1)) + 1
    return blocks * FLOOR_EVERY + 1


def remove(entry: Entry, account_ids: Collection[int]) -> None:
    """Take an entry out of the accounts' homes. Raises redis.RedisError.

    A home that is being built is dropped, for its snapshot may be older than the removal. Its
    build's name is last in the list; it is looked at before the entry is taken out, so that a
    build which is completed in between has either been noticed or leaves the entry to be found.
    """
    _take_out(entry, account_ids, key=_key)


def stop_merging(author_id: int, account_ids: Sequence[int]) -> None:
    """Take an author off the lists of those whom the accounts' homes merge; homes stay.

    A home that is being built is dropped: its build may have read before that it merges the author.
    Raises redis.RedisError.
    """
    _take_out(author_id, account_ids, key=popular.key_of_merged)


def _take_out(
    value: resp.Argument, account_ids: Collection[int], *, key: Callable[[int], str]
) -> None:
    for batch in _batches(list(account_ids)):
        commands = []
        for one in batch:
            commands += [resp.pack("LINDEX", _key(one), -1), resp.pack("LREM", key(one), 0, value)]
        last = resp.exchange(*commands)[::2]
        drop([one for one, end in zip(batch, last, strict=True) if end and len(end) == BUILD_SIZE])


def drop(account_ids: Collection[int]) -> None:
    """Delete the accounts' homes; the next read builds each again. Raises redis.RedisError."""
    for batch in _batches(list(account_ids)):
        resp.exchange(
            *(resp.pack("UNLINK", _key(one), popular.key_of_merged(one)) for one in batch)
        )


def existing(account_ids: Sequence[int]) -> list[int]:
    """Return those of the accounts that have a home. Raises redis.RedisError."""
    found = resp.exchange(*(resp.pack("EXISTS", _key(number)) for number in account_ids))
    return [number for number, exists in zip(account_ids, found, strict=True) if exists]


@redis.without_redis(lambda: None)
def begin_build(account_id: int) -> bytes | None:
    """Put an empty home there, which receives deliveries from now on; returns the build's name.

    Must come before the snapshot is read from PostgreSQL: a tweet committed before the snapshot is
    in it, one committed after is fanned out to a home that exists. Nothing falls between. Returns
    None when there is a home already.
    """
    build = secrets.token_bytes(BUILD_SIZE)
    created = scripts.BEGIN.run(keys=[_key(account_id)], arguments=[build, BUILD_SECONDS])
    return build if created else None


@redis.without_redis(lambda: None)
def complete_build(
    *,
    account_id: int,
    build: bytes,
    entries: Sequence[Entry],
    floor: bytes,
    to_merge: Sequence[int] = (),
) -> None:
    """Add a snapshot to the account's home, unless that was dropped since `begin_build`.

    `entries` come newest first; `to_merge` are the popular authors that are not among them.
    """
    kind = TO_MERGE if to_merge else COMPLETE
    values: list[resp.Argument] = [*_with_floors(entries, kind), floor + kind]
    scripts.COMPLETE.run(
        keys=[_key(account_id), popular.key_of_merged(account_id)],
        arguments=[build, settings.HOME_TTL_SECONDS, len(values), *values, *to_merge],
    )


def _with_floors(entries: Sequence[Entry], kind: bytes) -> Iterator[bytes]:
    """Yield entries, which come newest first, with floors among them."""
    for place, entry in enumerate(entries):
        if not place % (FLOOR_EVERY - 1):
            yield entry[:ID_SIZE] + kind
        yield entry


def _batches(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))
