"""Rendered users, and what a token is checked against, in Redis; Postgres has all of it.

Who changes an account forgets its entries, at once and again through the outbox. Forgetting leaves
a tombstone for a moment, because a reader that saw Postgres before the change may still be about
to write what it saw; filling never overwrites, neither an entry nor a tombstone.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from accounts.rendering import SHAPE_VERSION
from twitter.lib import redis

TTL_SECONDS = 86_400
# Longer than a reader needs from its query to its write.
TOMBSTONE_MS = 3_000

# Overwrites an entry that is older, and was not just forgotten.
# KEYS: the entry; ARGV: when Postgres was read, the value, seconds to live.
_REPLACE = """
local held = redis.call('GET', KEYS[1])
if not held or (held ~= '' and tonumber(held:match('^%d+')) < tonumber(ARGV[1])) then
    redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
end"""


@dataclass(frozen=True)
class Card:
    """A rendered user. `read_at`: when Postgres was asked, in microseconds of its clock."""

    body: bytes
    read_at: int


@dataclass(frozen=True)
class AccountState:
    """What an access token is checked against.

    `revoked` are sessions that ended so recently that their access tokens have not expired yet.
    """

    active: bool
    generation: int
    revoked: frozenset[int]

    def accepts(self, *, session_id: int, generation: int) -> bool:
        """Tell whether a token of that session and generation is still good."""
        return self.active and generation == self.generation and session_id not in self.revoked


def _card_key(account_id: int) -> str:
    return f"account:card:{SHAPE_VERSION}:{account_id}"


def _state_key(account_id: int) -> str:
    return f"account:state:{account_id}"


@redis.without_redis(dict)
def fetch_cards(ids: Collection[int]) -> dict[int, bytes]:
    """Return those of the cards that are cached."""
    if not ids:
        return {}
    values: list[Any] = redis.client().mget([_card_key(account_id) for account_id in ids])
    return {
        account_id: value.partition(b"\n")[2]
        for account_id, value in zip(ids, values, strict=True)
        if value
    }


@redis.without_redis(lambda: None)
def store_cards(cards: Mapping[int, Card]) -> None:
    """Fill entries that are absent."""
    if not cards:
        return
    pipeline = redis.client().pipeline(transaction=False)
    for account_id, card in cards.items():
        pipeline.set(_card_key(account_id), _pack(card), ex=TTL_SECONDS, nx=True)
    pipeline.execute()


def replace_cards(cards: Mapping[int, Card]) -> None:
    """Overwrite entries that are older, after counts changed. Raises redis.RedisError.

    Counts change often, and a tombstone would send every reader of a popular user to Postgres. Who
    writes after its own change was committed has read later than all who missed that change.
    """
    pipeline = redis.client().pipeline(transaction=False)
    for account_id, card in cards.items():
        pipeline.eval(_REPLACE, 1, _card_key(account_id), card.read_at, _pack(card), TTL_SECONDS)
    pipeline.execute()


def _pack(card: Card) -> bytes:
    return b"%d\n%s" % (card.read_at, card.body)


@redis.without_redis(lambda: None)
def fetch_state(account_id: int) -> AccountState | None:
    """Return the cached state, in one GET; None when there is none."""
    value = redis.client().get(_state_key(account_id))
    if not value:
        return None
    fields = json.loads(value)
    return AccountState(
        active=fields["active"],
        generation=fields["generation"],
        revoked=frozenset(fields["revoked"]),
    )


@redis.without_redis(lambda: None)
def store_state(account_id: int, state: AccountState) -> None:
    """Fill the entry if it is absent."""
    fields = {
        "active": state.active,
        "generation": state.generation,
        "revoked": sorted(state.revoked),
    }
    redis.client().set(_state_key(account_id), json.dumps(fields), ex=TTL_SECONDS, nx=True)


def forget(ids: Iterable[int]) -> None:
    """Leave tombstones for all that is cached of these accounts. Raises redis.RedisError."""
    pipeline = redis.client().pipeline(transaction=False)
    for account_id in ids:
        pipeline.set(_card_key(account_id), b"", px=TOMBSTONE_MS)
        pipeline.set(_state_key(account_id), b"", px=TOMBSTONE_MS)
    pipeline.execute()
