"""Rendered users, and what a token is checked against, in Redis; PostgreSQL has all of it.

Both are replaced after each change, by what is read after its commit. A state decides who gets in,
so it is filled in under a lease (`twitter.base.data.stamped`).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from accounts.rendering import SHAPE_VERSION
from accounts.tokens import Claims
from twitter.base.data import parts, redis, stamped
from twitter.base.data.parts import Part
from twitter.base.data.stamped import STAMP, Stamped

TTL_SECONDS = 86_400

CARDS = Stamped(f"account:card:{SHAPE_VERSION}:", seconds=TTL_SECONDS)
STATES = Stamped("account:state:", seconds=TTL_SECONDS, of_reader=True)


@dataclass(frozen=True)
class Card:
    """A rendered user, empty if the account is not visible.

    `read_at`: when PostgreSQL was asked, in microseconds of its clock.
    """

    body: bytes
    read_at: int


@dataclass(frozen=True)
class AccountState:
    """What an access token is checked against.

    `revoked` are sessions that ended so recently that their access tokens have not expired yet.
    `read_at` is as for a card.
    """

    active: bool
    generation: int = 0
    revoked: frozenset[int] = frozenset()
    read_at: int = 0

    def accepts(self, claims: Claims) -> bool:
        """Tell whether a token that says so is still good."""
        return (
            self.active
            and claims.generation == self.generation
            and claims.session_id not in self.revoked
        )


@redis.without_redis(dict)
def fetch_cards(ids: Collection[int]) -> dict[int, bytes]:
    """Return those of the cards that are cached; empty ones of accounts that are not visible."""
    if not ids:
        return {}
    values = parts.fetch(parts.values(CARDS.keys(ids)))
    found = zip(ids, values, strict=True)
    return {number: card_in(value) for number, value in found if value}


def card_in(value: bytes) -> bytes:
    """Return the card in a cached value; an empty one of an account that is not visible."""
    return value[STAMP.size :]


def store_cards(cards: Mapping[int, Card]) -> None:
    """Fill in cards that are not cached."""
    CARDS.fill(_packed(cards))


def replace_cards(cards: Mapping[int, Card]) -> None:
    """Overwrite cards that are older. Raises redis.RedisError."""
    CARDS.replace(_packed(cards))


def _packed(cards: Mapping[int, Card]) -> dict[int, bytes]:
    return {
        number: stamped.stamp(card.body, read_at=card.read_at) for number, card in cards.items()
    }


def state_part(account_id: int) -> Part[AccountState | None]:
    """Return the part that reads an account's state; None when it is not cached."""
    return STATES.part(account_id, parse=_state_in)


@redis.without_redis(lambda: None)
def fetch_state(account_id: int) -> AccountState | None:
    """Return the cached state, in one GET; None when there is none."""
    return parts.fetch(state_part(account_id))


def _state_in(value: bytes) -> AccountState:
    (read_at,) = STAMP.unpack_from(value)
    if len(value) == STAMP.size:
        return AccountState(active=False, read_at=read_at)
    generation, *revoked = map(int, value[STAMP.size :].split())
    return AccountState(True, generation, frozenset(revoked), read_at)


def filled_state(account_id: int, *, read: Callable[[int], AccountState]) -> AccountState:
    """Return the state that `read` has from PostgreSQL, and cache it."""
    value = STATES.read_leased(account_id, read=lambda number: _packed_state(read(number)))
    return _state_in(value)


def replace_state(account_id: int, state: AccountState) -> None:
    """Overwrite the state if it is older. Raises redis.RedisError."""
    STATES.replace({account_id: _packed_state(state)})


def _packed_state(state: AccountState) -> bytes:
    numbers = (state.generation, *sorted(state.revoked)) if state.active else ()
    return stamped.stamp(" ".join(map(str, numbers)).encode(), read_at=state.read_at)


def drop(account_id: int) -> None:
    """Delete all that is cached of an account that is gone for good. Raises redis.RedisError."""
    CARDS.drop([account_id])
    STATES.drop([account_id])
