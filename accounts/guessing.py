"""Passwords are not to be guessed, and whoever tries is not to lock the account's owner out.

Attempts are counted for an account and an address together, and for the account alone. The latter
count is what stops many addresses; it does not hold for addresses from which the account was logged
in to before, so a stranger cannot use it up for its owner. A log-in that nobody has is counted like
any other, so refusals do not tell whether it exists.
"""

from dataclasses import dataclass

from django.conf import settings
from redis.exceptions import RedisError

from twitter.lib import limits, resp
from twitter.lib.errors import TooMany
from twitter.lib.limits import Bucket

KNOWN_SECONDS = 30 * 86_400
# Addresses of one account; when there are so many, all are forgotten.
KNOWN_MOST = 100


@dataclass(frozen=True)
class Attempt:
    """A log-in that is under way."""

    account_id: int | None
    address: str
    together: Bucket | None


def begin(*, account_id: int | None, login: str, address: str) -> Attempt:
    """Count an attempt, before the password is looked at. Raises TooMany.

    `account_id` is None when nobody has that login.
    """
    who = account_id or login.lower()
    pair = _bucket("account-and-address", f"{who} {address}")
    alone = _bucket("account", who)
    if account_id and _is_known(account_id, address):
        alone = None
    over = limits.exceeded(limits.count([each for each in (pair, alone) if each]))
    if over:
        raise TooMany("Too many attempts to log in; try again later.", seconds=over.reset)
    return Attempt(account_id=account_id, address=address, together=pair)


def succeeded(attempt: Attempt) -> None:
    """Forget the failures, and remember that the account is used from this address."""
    if attempt.account_id is None:
        return
    known, address = _key(attempt.account_id), limits.digest(attempt.address)
    try:
        [count] = resp.exchange(resp.pack("SCARD", known))
        commands = [resp.pack("DEL", known)] if count >= KNOWN_MOST else []
        if attempt.together:
            commands.append(resp.pack("DEL", attempt.together.key))
        resp.exchange(
            *commands, resp.pack("SADD", known, address), resp.pack("EXPIRE", known, KNOWN_SECONDS)
        )
    except RedisError:
        return  # The address will be new another time.


def forget(account_id: int) -> None:
    """Forget where an account is used from. Raises redis.RedisError."""
    resp.exchange(resp.pack("UNLINK", _key(account_id)))


def _bucket(subject: str, who: str | int) -> Bucket | None:
    limit = settings.RATE_LIMITS["log-ins"].get(subject)
    return limits.bucket(kind="log-ins", subject=subject, who=who, limit=limit)


def _is_known(account_id: int, address: str) -> bool:
    try:
        [known] = resp.exchange(resp.pack("SISMEMBER", _key(account_id), limits.digest(address)))
    except RedisError:
        return False
    return bool(known)


def _key(account_id: int) -> str:
    return f"limit:known:{account_id}"
