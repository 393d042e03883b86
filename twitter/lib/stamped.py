"""Values in Redis that say when Postgres was read for them, in microseconds of its clock.

A reader who missed a value fills it in, and overwrites nothing. Whoever changed what is in it
replaces it by what was read after the change was committed; what was read earlier never replaces
it. Whoever makes it disappear leaves a tombstone: for a moment nobody may fill it in, because a
reader who saw Postgres before the change may still be about to write what it saw.

A reader who was held up for longer than the tombstone lives fills in nothing either: what was read
too long ago is not stored where nothing is. That compares Redis' clock with Postgres', which may
differ by a second.
"""

import struct
from collections.abc import Iterable, Mapping

from twitter.lib import redis, resp

# Bytes in front of a value that hold the stamp: 64 bits, little-endian.
STAMP = struct.Struct("<q")
# The stamp of what a statement reads, in SQL.
NOW = "(extract(epoch FROM statement_timestamp()) * 1000000)::bigint"
# A reader has so long from its query to its write; tombstones live a second longer.
FILL_SECONDS = 2
TOMBSTONE_MS = (FILL_SECONDS + 1) * 1_000

# Values that one call stores.
_BATCH = 100

_TIMES = f"""
local time = redis.call('TIME')
local oldest = time[1] * 1000000 + time[2] - {FILL_SECONDS * 1_000_000}
local function read_at(value) return (struct.unpack('<l', value)) end
"""
# KEYS: the values' keys. ARGV: the seconds they have to live, the stamped values.
_FILL = resp.Script(f"""{_TIMES}
for i, key in ipairs(KEYS) do
    if read_at(ARGV[i + 1]) > oldest then
        redis.call('SET', key, ARGV[i + 1], 'EX', ARGV[1], 'NX')
    end
end
""")
_REPLACE = resp.Script(f"""{_TIMES}
for i, key in ipairs(KEYS) do
    local held, at = redis.call('GET', key), read_at(ARGV[i + 1])
    if not held and at > oldest or held and held ~= '' and read_at(held) < at then
        redis.call('SET', key, ARGV[i + 1], 'EX', ARGV[1])
    end
end
""")


@redis.without_redis(lambda: None)
def fill(values: Mapping[str, bytes], *, seconds: int) -> None:
    """Store those of the values, by key, that are neither there nor just gone."""
    _store(_FILL, values, seconds=seconds)


def replace(values: Mapping[str, bytes], *, seconds: int) -> None:
    """Overwrite values, by key, that are older, and were not just made to disappear.

    Raises redis.RedisError.
    """
    _store(_REPLACE, values, seconds=seconds)


def _store(script: resp.Script, values: Mapping[str, bytes], *, seconds: int) -> None:
    keys = list(values)
    for start in range(0, len(keys), _BATCH):
        batch = keys[start : start + _BATCH]
        script.run(keys=batch, arguments=[seconds, *(values[key] for key in batch)])


def forget(keys: Iterable[str]) -> None:
    """Leave tombstones. Raises redis.RedisError."""
    commands = [resp.pack("SET", key, b"", "PX", TOMBSTONE_MS) for key in keys]
    if commands:
        resp.exchange(*commands)
