"""The state of an account, which its access tokens are checked against, in Redis.

PostgreSQL has all of it. After each change, a read that follows its commit replaces the state. The
state decides who gets in, so it is filled in under a lease (`twitter.base.data.stamped`).
"""

from collections.abc import Callable
from typing import NamedTuple

from accounts.sessions.tokens import Claims
from twitter.base.data import parts, redis, stamped
from twitter.base.data.parts import Part
from twitter.base.data.stamped import STAMP, Stamped

TTL_SECONDS = 86_400
# Not "account:state:", which had values without a form.
STATES = Stamped("state:", form=1, seconds=TTL_SECONDS, of_reader=True)


class AccountState(NamedTuple):
    """What an access token is checked against.

    `revoked` are sessions that ended so recently that their access tokens have not expired yet.
    `read_at`: when PostgreSQL was asked, in microseconds of its clock.
    """

    active: bool
    generation: int = 0
    revoked: frozenset[int] = frozenset()
    read_at: int = 0

    def accepts(self, claims: Claims) -> bool:
        """Tell whether a token with these claims is still valid."""
        return (
            self.active
            and claims.generation == self.generation
            and claims.session_id not in self.revoked
        )


def state_part(account_id: int) -> Part[AccountState | None]:
    """Return the part that reads an account's state; None when it is not cached."""
    return STATES.part(account_id, parse=_state_in)


@redis.without_redis(lambda: None)
def fetch_state(account_id: int) -> AccountState | None:
    """Return the cached state, in one GET; None when there is none."""
    return parts.fetch(state_part(account_id))


def _state_in(value: bytes) -> AccountState:
    read_at = stamped.read_at(value)
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
    return STATES.stamp(" ".join(map(str, numbers)).encode(), read_at=state.read_at)


def drop(account_id: int) -> None:
    """Delete the state of an account that is gone for good. Raises redis.RedisError."""
    STATES.drop([account_id])
