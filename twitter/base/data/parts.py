"""Parts, by which subjects share a round trip to Redis without knowing of each other.

A part is some packed commands, and a function that parses their replies. The caller who makes the
round trip joins parts.
"""

from binascii import crc_hqx
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from twitter.base.data import resp

T = TypeVar("T")

# Slots of a cluster (https://valkey.io/topics/cluster-spec/#key-distribution-model).
SLOTS = 16_384
# Whether many keys are read with one command for each slot, as a cluster wants it.
split_by_slot = False


class Part(NamedTuple, Generic[T]):
    """Packed commands, and a function that parses their replies, which come in order."""

    commands: Sequence[bytes]
    parse: Callable[[Sequence[Any]], T]


class Values(NamedTuple, Generic[T]):
    """Keys to read with one command, with those of others; and what the values, in order, mean."""

    keys: Sequence[str]
    parse: Callable[[Sequence[bytes | None]], T]


def fetch_values(*wanted: Values[Any]) -> list[Any]:
    """Read all keys in one round trip; return what the values mean for each of the wanted.

    Raises redis.RedisError.
    """
    found = fetch(values([key for one in wanted for key in one.keys]))
    meant, start = [], 0
    for one in wanted:
        end = start + len(one.keys)
        meant.append(one.parse(found[start:end]))
        start = end
    return meant


def exchange(*parts: Part[Any]) -> list[Any]:
    """Make one round trip; return each part's parsed replies. Raises redis.RedisError."""
    return parsed(parts, resp.exchange(*commands_of(parts)))


def commands_of(parts: Sequence[Part[Any]]) -> list[bytes]:
    """Return the commands of all parts, in order."""
    return [command for part in parts for command in part.commands]


def fetch(part: Part[T]) -> T:
    """Make a round trip for one part; return its parsed replies. Raises redis.RedisError."""
    return part.parse(resp.exchange(*part.commands))


def parsed(parts: Sequence[Part[Any]], replies: Sequence[Any]) -> list[Any]:
    """Return each part's parsed replies; `replies` answer all parts' commands, in order."""
    found, start = [], 0
    for part in parts:
        end = start + len(part.commands)
        found.append(part.parse(replies[start:end]))
        start = end
    return found


def values(keys: Sequence[str]) -> Part[list[bytes | None]]:
    """Return the part that reads the values of many keys, in order, None for a missing key."""
    if not keys:
        return Part((), list)
    if not split_by_slot:
        return Part([resp.pack("MGET", *keys)], _first)
    by_slot: dict[int, list[int]] = {}
    for place, key in enumerate(keys):
        by_slot.setdefault(slot_of(key.encode()), []).append(place)
    places = [place for slot in by_slot.values() for place in slot]

    def in_order(replies: Sequence[Sequence[bytes | None]]) -> list[bytes | None]:
        found = [one for reply in replies for one in reply]
        return [one for _, one in sorted(zip(places, found, strict=True), key=_place)]

    commands = [resp.pack("MGET", *(keys[place] for place in slot)) for slot in by_slot.values()]
    return Part(commands, in_order)


def slot_of(key: bytes) -> int:
    """Return a key's slot: that of the text in its first braces, if there is any."""
    start = key.find(b"{")
    end = key.find(b"}", start + 1)
    tag = key[start + 1 : end] if 0 <= start < end - 1 else key
    return crc_hqx(tag, 0) % SLOTS


def _first(replies: Sequence[Any]) -> Any:
    return replies[0]


def _place(item: tuple[int, Any]) -> int:
    return item[0]
