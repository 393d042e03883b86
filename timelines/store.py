"""Home timelines in Redis.

A home is a list of 64-bit integers, in the order in which they arrived:

- an entry is a tweet's id times 1,024, plus a fingerprint of its original when it is a retweet, so
  that a reader finds repeated originals without looking at each tweet;
- one floor, written as a number that is not positive: the home holds every entry above it, and
  says nothing about what is below. 0 means that nothing is below.

The reader sorts and removes doubles, hence deliveries may come twice and in any order. While a home
is being built its floor is above all entries, so that everything is still below it; that floor also
names the build, and only the build that it names may complete it.
"""

import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from django.conf import settings
from redis.client import Pipeline

from twitter.lib import redis

# 53 bits of id and 10 of fingerprint fit a signed 64-bit integer, which a list packs into 11 bytes.
FINGERPRINT_BITS = 10
# A floor from here on, above every entry, names a build.
BUILDING = 2**62
# A home is cut back to HOME_SIZE when it has grown by so much, which spreads the cost of cutting.
SLACK = 64
# A build that is not complete by then has died; the next read starts another.
BUILD_SECONDS = 30
# Commands a pipeline sends at once.
BATCH = 1_000

# Begins a build unless there is a home.
_BEGIN = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
"""

# Completes the build named ARGV[1], unless the home was dropped meanwhile: what arrived since the
# build began stays, the snapshot (ARGV[3..], floor among it) is added.
_COMPLETE = """
if not redis.call('LPOS', KEYS[1], ARGV[1]) then return 0 end
redis.call('LREM', KEYS[1], 0, ARGV[1])
for i = 3, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
"""

# Cuts homes back to their newest ARGV[1] entries; the floor rises to the newest one dropped. SORT
# compares doubles, which is exact enough: entries of two ids differ by 1,024 or more. Numbers are
# kept and compared as strings (length first), because Lua's doubles would round them. A home that
# is being built (floor above 2^62) is left alone.
_CUT = """
local function above(a, b) return #a > #b or (#a == #b and a > b) end
for _, key in ipairs(KEYS) do
    local values = redis.call('SORT', key, 'DESC')
    local floor = string.gsub(values[#values], '-', '')
    if not above(floor, '4611686018427387903') then
        local size, kept, last = tonumber(ARGV[1]), {}, nil
        for i = 1, #values - 1 do
            if not above(values[i], floor) then break end
            if #kept == size and values[i] ~= last then floor = values[i] break end
            if values[i] ~= last then kept[#kept + 1] = values[i] end
            last = values[i]
        end
        kept[#kept + 1] = floor == '0' and '0' or '-' .. floor
        local ttl = redis.call('PTTL', key)
        redis.call('DEL', key)
        redis.call('RPUSH', key, unpack(kept))
        if ttl > 0 then redis.call('PEXPIRE', key, ttl) end
    end
end
"""


@dataclass(frozen=True)
class Entry:
    """A tweet in a home. `fingerprint` is 0 unless it is a retweet; equal originals, equal ones."""

    id: int
    fingerprint: int

    @classmethod
    def of(cls, *, tweet_id: int, original_id: int) -> "Entry":
        """Return the entry of a tweet; `original_id` is 0 unless it is a retweet."""
        return cls(id=tweet_id, fingerprint=fingerprint_of(original_id))

    def pack(self) -> int:
        """Return the number that stands for it in Redis."""
        return self.id << FINGERPRINT_BITS | self.fingerprint


def fingerprint_of(original_id: int) -> int:
    """Return a number from 1 to 1,023 for an original's id, and 0 for 0."""
    return original_id and 1 + original_id % (2**FINGERPRINT_BITS - 1)


@dataclass(frozen=True)
class Home:
    """A home as read: its entries, newest first, each once, and where its knowledge ends.

    It holds every entry whose packed number is above `floor`.
    """

    entries: Sequence[Entry]
    floor: int

    @property
    def reaches_end(self) -> bool:
        """Whether nothing is older than the last entry."""
        return self.floor == 0


def _key(account_id: int) -> str:
    return f"home:{account_id}"


@redis.without_redis(lambda: None)
def read(account_id: int) -> Home | None:
    """Return the account's home and let it live on; None when there is none (or no Redis)."""
    pipeline = redis.client().pipeline(transaction=False)
    pipeline.lrange(_key(account_id), 0, -1)
    pipeline.ttl(_key(account_id))
    values, seconds_left = pipeline.execute()
    # Seldom, so that a read stays a read; and never while a build may still turn out dead.
    if BUILD_SECONDS < seconds_left < settings.HOME_TTL_SECONDS * 0.9:
        redis.client().expire(_key(account_id), settings.HOME_TTL_SECONDS)
    return _parse(values)


def peek(account_id: int) -> Home | None:
    """Return the account's home without letting it live longer. Raises redis.RedisError."""
    return _parse(cast("list[bytes]", redis.client().lrange(_key(account_id), 0, -1)))


def _parse(values: Iterable[bytes]) -> Home | None:
    numbers = sorted(set(map(int, values)), reverse=True)
    if not numbers or numbers[-1] > 0:
        return None
    floor = -numbers[-1]
    mask = 2**FINGERPRINT_BITS - 1
    entries = [
        Entry(id=number >> FINGERPRINT_BITS, fingerprint=number & mask)
        for number in numbers
        if number > floor
    ]
    return Home(entries=entries, floor=floor)


def push(entry: Entry, account_ids: Sequence[int]) -> None:
    """Add an entry to those of the accounts' homes that exist. Raises redis.RedisError."""
    full = []
    for batch in _batches(account_ids):
        pipeline = redis.client().pipeline(transaction=False)
        for account_id in batch:
            pipeline.lpushx(_key(account_id), entry.pack())
        limit = settings.HOME_SIZE + SLACK
        lengths = zip(batch, pipeline.execute(), strict=True)
        full += [_key(account_id) for account_id, length in lengths if length > limit]
    for start in range(0, len(full), 100):
        redis.client().register_script(_CUT)(full[start : start + 100], [settings.HOME_SIZE])


def remove(entry: Entry, account_ids: Collection[int]) -> None:
    """Take an entry out of the accounts' homes. Raises redis.RedisError.

    A home that is being built is dropped, for its snapshot may be older than the removal. The floor
    is last in the list; it is looked at before the entry is taken out, so that a build which is
    completed in between has either been noticed or leaves the entry to be found.
    """
    for batch in _batches(list(account_ids)):
        pipeline = redis.client().pipeline(transaction=False)
        for account_id in batch:
            pipeline.lindex(_key(account_id), -1)
            pipeline.lrem(_key(account_id), 0, str(entry.pack()))
        floors = zip(batch, pipeline.execute()[::2], strict=True)
        drop([account_id for account_id, floor in floors if floor and int(floor) <= -BUILDING])


def drop(account_ids: Collection[int]) -> None:
    """Delete the accounts' homes; the next read builds each anew. Raises redis.RedisError."""
    for batch in _batches(list(account_ids)):
        redis.client().unlink(*map(_key, batch))


def existing(account_ids: Sequence[int]) -> list[int]:
    """Return those of the accounts that have a home. Raises redis.RedisError."""
    pipeline: Pipeline = redis.client().pipeline(transaction=False)
    for account_id in account_ids:
        pipeline.exists(_key(account_id))
    found = zip(account_ids, pipeline.execute(), strict=True)
    return [account_id for account_id, exists in found if exists]


@redis.without_redis(lambda: None)
def begin_build(account_id: int) -> str | None:
    """Put an empty home there, which receives deliveries from now on; returns the build's name.

    Must come before the snapshot is read from Postgres: a tweet committed before the snapshot is
    in it, one committed after is fanned out to a home that exists. Nothing falls between. Returns
    None when there is a home already.
    """
    build = str(-(BUILDING + random.getrandbits(61)))
    created = redis.client().register_script(_BEGIN)([_key(account_id)], [build, BUILD_SECONDS])
    return build if created else None


@redis.without_redis(lambda: None)
def complete_build(*, account_id: int, build: str, home: Home) -> None:
    """Add a snapshot to the account's home, unless that was dropped since `begin_build`."""
    redis.client().register_script(_COMPLETE)(
        [_key(account_id)],
        [
            build,
            settings.HOME_TTL_SECONDS,
            *(entry.pack() for entry in home.entries),
            -home.floor,
        ],
    )


def snapshot(entries: Sequence[Entry]) -> Home:
    """Return the home that holds these entries, the newest HOME_SIZE there are, newest first."""
    if len(entries) < settings.HOME_SIZE:
        return Home(entries=entries, floor=0)
    return Home(entries=entries, floor=(entries[-1].id << FINGERPRINT_BITS) - 1)


def _batches(items: Sequence[int]) -> Iterable[Sequence[int]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))
