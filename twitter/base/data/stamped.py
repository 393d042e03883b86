"""Values in Redis that say when PostgreSQL was read for them: every cache of this project.

A value is a stamp, the moment at which PostgreSQL was read, in microseconds of its clock; the
number of the body's form; and a body. An empty body says that nothing was there: absence is cached
as well.

- **Filling**, by a reader who missed a value, overwrites no value of its own form.
- **Replacing**, by a request that changed something, stores what was read after its commit. What
  was read later overwrites what was read earlier, never the reverse. A stamp is taken before the
  statement's snapshot, so a value contains every change that was committed before its stamp; and
  the last change of all has read after its own commit. So the value that stays contains it.
- Where no value is, a value that was read too long ago is not stored: a newer one may have been
  stored and lost meanwhile. That compares the clock of Redis with PostgreSQL's; if they differ by
  more, less is cached.
- **Leasing** is for values that decide who gets in, or who may see what. A reader puts a lease
  there, then reads PostgreSQL, and fills the value in only while the lease is still there.
  Replacing overwrites the lease, and Redis loses it with all else. So a reader who is slow never
  brings back what was revoked. (R. Nishtala et al., Scaling Memcache at Facebook, NSDI 2013,
  section 3.2.1.)

While a new version is rolled out, old and new code use the same keys. For each of them, a value of
another form is missing; and a change that one makes replaces what the other has cached.
"""

import secrets
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeGuard, TypeVar

from twitter.base.data import redis, resp
from twitter.base.data.ids import id_before
from twitter.base.data.parts import Part, Values

T = TypeVar("T")

# What stands in front of a body, little-endian: the stamp, 64 bits; the form, 16 bits.
STAMP = struct.Struct("<qH")
_FORM = slice(8, STAMP.size)
# The stamp of what a statement reads, in SQL.
NOW = "(extract(epoch FROM statement_timestamp()) * 1000000)::bigint"
# A reader has so long from its query to its write.
FILL_SECONDS = 2
# Absence expires after so long: anybody can make up ids that do not exist.
ABSENT_SECONDS = 600
# A row that is younger than this may not be committed yet: no transaction takes longer.
NEW_SECONDS = 60
# A lease is shorter than a stamp, so that none is taken for a value.
_LEASE_BYTES = STAMP.size - 1
# If the holder of a lease has died, no reader fills in the value for so long.
_LEASE_MS = 10_000
# Values that one call stores.
_BATCH = 100

_PRELUDE = f"""
local time = redis.call('TIME')
local oldest = time[1] * 1000000 + time[2] - {FILL_SECONDS * 1_000_000}
local function read_at(value) return (struct.unpack('<l', value)) end
local function is_other(held, form)
    return #held >= {STAMP.size} and string.sub(held, {_FORM.start + 1}, {_FORM.stop}) ~= form
end
local function form(value) return string.sub(value, {_FORM.start + 1}, {_FORM.stop}) end
local key, value, seconds = KEYS[1], ARGV[1], ARGV[2]
"""
_FILL = resp.Script(f"""{_PRELUDE}
if read_at(value) > oldest then
    local held = redis.call('GET', key)
    if not held or (is_other(held, form(value)) and read_at(held) < read_at(value)) then
        redis.call('SET', key, value, 'EX', seconds)
    end
end
""")
_REPLACE = resp.Script(f"""{_PRELUDE}
local held = redis.call('GET', key)
if held and #held >= {STAMP.size} then
    if read_at(held) < read_at(value) then redis.call('SET', key, value, 'EX', seconds) end
elseif read_at(value) > oldest then
    redis.call('SET', key, value, 'EX', seconds)
elseif held then
    redis.call('DEL', key)
end
""")
# ARGV: the lease, the form, milliseconds.
_LEASE = resp.Script(f"""{_PRELUDE}
local held = redis.call('GET', key)
if held and not is_other(held, ARGV[2]) then return 0 end
redis.call('SET', key, ARGV[1], 'PX', ARGV[3])
return 1
""")
# ARGV[3]: the lease.
_FILL_LEASED = resp.Script("""
if redis.call('GET', KEYS[1]) == ARGV[3] then
    redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
end
""")


def read_at(value: bytes) -> int:
    """Return when PostgreSQL was read for a value, in microseconds of its clock."""
    moment, _ = STAMP.unpack_from(value)
    return int(moment)


class Stamped:
    """Values by a number: the id of a tweet or of an account.

    `prefix` begins the keys. `form` changes when the body gets another form. `seconds` is how long
    a value lives. `absent_seconds` is for values without a body. `of_reader`: the keys have the
    account as a tag, so that all that belongs to a reader lies on one server of a cluster.
    """

    def __init__(
        self,
        prefix: str,
        *,
        form: int,
        seconds: int,
        absent_seconds: int = ABSENT_SECONDS,
        of_reader: bool = False,
    ) -> None:
        self.prefix = prefix
        self._before, self._after = (f"{prefix}{{", "}") if of_reader else (prefix, "")
        self._form, self._form_bytes = form, STAMP.pack(0, form)[_FORM]
        self._seconds, self._absent_seconds = seconds, absent_seconds

    def stamp(self, body: bytes, *, read_at: int) -> bytes:
        """Return a value; an empty body says that nothing was there at `read_at`."""
        return STAMP.pack(read_at, self._form) + body

    def knows(self, value: bytes | None) -> TypeGuard[bytes]:
        """Tell whether that is a value of this form, and not a lease or nothing."""
        return value is not None and value.startswith(self._form_bytes, _FORM.start)

    def key(self, number: int) -> str:
        """Return the key of a number's value."""
        return f"{self._before}{number}{self._after}"

    def keys(self, numbers: Iterable[int]) -> list[str]:
        """Return the keys of numbers' values."""
        return [f"{self._before}{number}{self._after}" for number in numbers]

    def part(self, number: int, *, parse: Callable[[bytes], T]) -> Part[T | None]:
        """Return the part that reads what a number's value means; None when there is no value."""

        def parsed(replies: Sequence[Any]) -> T | None:
            value = replies[0]
            return parse(value) if self.knows(value) else None

        return Part((resp.pack("GET", self.key(number)),), parsed)

    def values(
        self, numbers: Sequence[int], *, parse: Callable[[bytes], T]
    ) -> Values[dict[int, T]]:
        """Return how to read what numbers' values mean; without those that have none."""
        form, start = self._form_bytes, _FORM.start  # `knows`, without a call for each value

        def parsed(found: Sequence[bytes | None]) -> dict[int, T]:
            return {
                number: parse(value)
                for number, value in zip(numbers, found, strict=True)
                if value is not None and value.startswith(form, start)
            }

        return Values(self.keys(numbers), parsed)

    def bodies(self, numbers: Sequence[int], *, skip: int = 0) -> Values[dict[int, bytes]]:
        """Return how to read the bodies of numbers' values, without their first `skip` bytes.

        What `values` does with a slice as `parse`, without a call for each value.
        """
        form, at, start = self._form_bytes, _FORM.start, STAMP.size + skip

        def parsed(found: Sequence[bytes | None]) -> dict[int, bytes]:
            return {
                number: value[start:]
                for number, value in zip(numbers, found, strict=True)
                if value is not None and value.startswith(form, at)
            }

        return Values(self.keys(numbers), parsed)

    @redis.without_redis(lambda: None)
    def fill(self, values: Mapping[int, bytes]) -> None:
        """Store those of the values that are not there in this form.

        Absence is not stored for an id whose row may not be committed yet. An id tells how old it
        is, and a stranger may ask for the ids that come next.
        """
        self._run(
            _FILL,
            {
                number: value
                for number, value in values.items()
                if len(value) > STAMP.size
                or number < id_before(read_at(value) - NEW_SECONDS * 1_000_000)
            },
        )

    def replace(self, values: Mapping[int, bytes]) -> None:
        """Store those of the stamped values that are newer. Raises redis.RedisError."""
        self._run(_REPLACE, values)

    def _run(self, script: resp.Script, values: Mapping[int, bytes]) -> None:
        calls: list[tuple[list[str], list[resp.Argument]]] = [
            ([self.key(number)], [value, self._seconds_of(value)])
            for number, value in values.items()
        ]
        for start in range(0, len(calls), _BATCH):
            script.run_each(calls[start : start + _BATCH])

    def _seconds_of(self, value: bytes) -> int:
        return self._seconds if len(value) > STAMP.size else self._absent_seconds

    def read_leased(self, number: int, *, read: Callable[[int], bytes]) -> bytes:
        """Return the stamped value that `read` has from PostgreSQL, filled in under a lease."""
        lease = self.lease(number)
        value = read(number)
        if lease:
            self.fill_leased(number, value, lease=lease)
        return value

    @redis.without_redis(lambda: None)
    def lease(self, number: int) -> bytes | None:
        """Return a lease, by which a value that is read from now on may be filled in.

        None if a value or another lease is there already, or without Redis.
        """
        lease = secrets.token_bytes(_LEASE_BYTES)
        arguments: list[resp.Argument] = [lease, self._form_bytes, _LEASE_MS]
        return lease if _LEASE.run(keys=[self.key(number)], arguments=arguments) else None

    @redis.without_redis(lambda: None)
    def fill_leased(self, number: int, value: bytes, *, lease: bytes) -> None:
        """Store the stamped value, unless something took the lease's place meanwhile."""
        arguments: list[resp.Argument] = [value, self._seconds_of(value), lease]
        _FILL_LEASED.run(keys=[self.key(number)], arguments=arguments)

    def drop(self, numbers: Iterable[int]) -> None:
        """Delete values, and leases with them. Raises redis.RedisError."""
        commands = [resp.pack("UNLINK", self.key(number)) for number in numbers]
        if commands:
            resp.exchange(*commands)
