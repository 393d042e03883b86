"""Values in Redis that say when Postgres was read for them, in microseconds of its clock.

A reader who missed a value fills it in, and overwrites nothing. Whoever changed what is in it
replaces it by what was read after the change was committed; what was read earlier never replaces
it. Whoever makes it disappear leaves a tombstone: for a moment nobody may fill it in, because a
reader who saw Postgres before the change may still be about to write what it saw.
"""

import struct
from collections.abc import Iterable, Mapping

from twitter.lib import redis, resp

# Bytes in front of a value that hold the stamp: 64 bits, little-endian.
STAMP = struct.Struct("<q")
# Longer than a reader needs from its query to its write.
TOMBSTONE_MS = 3_000

# Values that one call replaces.
_BATCH = 100

# KEYS: the values' keys. ARGV: the seconds they have to live, the stamped values.
_REPLACE = resp.Script("""
for i, key in ipairs(KEYS) do
    local held, value = redis.call('GET', key), ARGV[i + 1]
    if not held or (held ~= '' and struct.unpack('<l', held) < struct.unpack('<l', value)) then
        redis.call('SET', key, value, 'EX', ARGV[1])
    end
end
""")


@redis.without_redis(lambda: None)
def fill(values: Mapping[str, bytes], *, seconds: int) -> None:
    """Store those of the values, by key, that are neither there nor just gone."""
    if values:
        resp.exchange(*(resp.pack("SET", key, values[key], "EX", seconds, "NX") for key in values))


def replace(values: Mapping[str, bytes], *, seconds: int) -> None:
    """Overwrite values, by key, that are older, and were not just made to disappear.

    Raises redis.RedisError.
    """
    keys = list(values)
    for start in range(0, len(keys), _BATCH):
        batch = keys[start : start + _BATCH]
        _REPLACE.run(keys=batch, arguments=[seconds, *(values[key] for key in batch)])


def forget(keys: Iterable[str]) -> None:
    """Leave tombstones. Raises redis.RedisError."""
    commands = [resp.pack("SET", key, b"", "PX", TOMBSTONE_MS) for key in keys]
    if commands:
        resp.exchange(*commands)
