"""Rendered users, and what a token is checked against, in Redis; Postgres has all of it.

Who changes an account forgets its entries, at once or, if that failed, through the outbox.
Forgetting leaves a tombstone for a moment, because a reader that saw Postgres before the change may
still be about to write what it saw; filling never overwrites, neither an entry nor a tombstone.

A state decides who gets in, so that is not enough: the reader may be slower than the tombstone
lives, and Redis may lose the tombstone. So who fills a state in takes a lease on it first, before
reading Postgres, and fills it in only while the lease is still there. Forgetting overwrites the
lease, and Redis loses it with all else. (R. Nishtala et al., Scaling Memcache at Facebook, NSDI
2013, section 3.2.1.)
"""

import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from django.conf import settings

from accounts.rendering import SHAPE_VERSION
from accounts.tokens import Claims
from twitter.lib import redis, resp, stamped

CARD_PREFIX = f"account:card:{SHAPE_VERSION}:"
TTL_SECONDS = 86_400
# What a lease begins with; a state begins with a digit.
_LEASE = b"?"
# Should its holder have died, nobody fills the state in for so long.
_LEASE_MS = 10_000

# KEYS: a state. ARGV: the lease, the state, the seconds that it has to live.
_FILL_STATE = resp.Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
end
""")


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

    def accepts(self, claims: Claims) -> bool:
        """Tell whether a token that says so is still good."""
        return (
            self.active
            and claims.generation == self.generation
            and claims.session_id not in self.revoked
        )


def _card_key(account_id: int) -> str:
    return f"{CARD_PREFIX}{account_id}"


def _state_key(account_id: int) -> str:
    return f"account:state:{account_id}"


@redis.without_redis(dict)
def fetch_cards(ids: Collection[int]) -> dict[int, bytes]:
    """Return those of the cards that are cached."""
    if not ids:
        return {}
    values = resp.exchange(resp.pack("MGET", *map(_card_key, ids)))[0]
    return {
        account_id: card_in(value) for account_id, value in zip(ids, values, strict=True) if value
    }


def card_in(value: bytes) -> bytes:
    """Return the rendered user in a cached value."""
    return value[stamped.STAMP.size :]


def store_cards(cards: Mapping[int, Card]) -> None:
    """Fill entries that are absent."""
    stamped.fill(_packed(cards), seconds=TTL_SECONDS)


def replace_cards(cards: Mapping[int, Card]) -> None:
    """Overwrite entries that are older, after counts changed. Raises redis.RedisError.

    Counts change often, and a tombstone would send every reader of a popular user to Postgres. Who
    writes after its own change was committed has read later than all who missed that change.
    """
    stamped.replace(_packed(cards), seconds=TTL_SECONDS)


def _packed(cards: Mapping[int, Card]) -> dict[str, bytes]:
    return {
        _card_key(account_id): stamped.STAMP.pack(card.read_at) + card.body
        for account_id, card in cards.items()
    }


@redis.without_redis(lambda: None)
def fetch_state(account_id: int) -> AccountState | None:
    """Return the cached state, in one GET; None when there is none."""
    return state_in(resp.exchange(reading_state(account_id))[0])


def reading_state(account_id: int) -> bytes:
    """Return the packed command that fetches an account's state."""
    return resp.pack("GET", _state_key(account_id))


def state_in(value: bytes | None) -> AccountState | None:
    """Return the state in a cached value; None when there is none."""
    if not value or value.startswith(_LEASE):
        return None
    active, generation, *revoked = map(int, value.split())
    return AccountState(active=bool(active), generation=generation, revoked=frozenset(revoked))


@redis.without_redis(lambda: None)
def lease_state(account_id: int) -> bytes | None:
    """Return what allows to fill in the state that is read from now on; None if it is not ours."""
    lease = _LEASE + secrets.token_bytes(16)
    [taken] = resp.exchange(resp.pack("SET", _state_key(account_id), lease, "PX", _LEASE_MS, "NX"))
    return lease if taken else None


@redis.without_redis(lambda: None)
def fill_state(account_id: int, state: AccountState, *, lease: bytes) -> None:
    """Store the state, unless the account was forgotten since the lease was taken."""
    numbers = (int(state.active), state.generation, *sorted(state.revoked))
    value = " ".join(map(str, numbers))
    seconds = TTL_SECONDS if state.active else settings.ACCESS_TOKEN_SECONDS
    _FILL_STATE.run(keys=[_state_key(account_id)], arguments=[lease, value, seconds])


def forget(ids: Iterable[int]) -> None:
    """Leave tombstones for all that is cached of these accounts. Raises redis.RedisError."""
    stamped.forget(key(number) for number in ids for key in (_card_key, _state_key))


def forget_cards(ids: Iterable[int]) -> None:
    """Leave tombstones for these users as others see them, such as after their counts changed.

    What tokens are checked against stays. Raises redis.RedisError.
    """
    stamped.forget(map(_card_key, ids))
