"""Limits on guessing passwords, by which a guesser cannot lock the account's owner out.

An attempt is counted twice: first for its login and address together, and, if that lets it pass,
for its login alone. The second count stops guesses from many addresses. It does not apply to
addresses from which the account was logged in to before: so strangers cannot use it up for the
owner there. Logins count as they are typed: a username, an e-mail address and a login of no account
make no difference. The API and the admin count apart, with limits of their own.

Somebody who is logged in and has to give the password again is counted by session. A thief of a
token has only its session, and the owner is not locked out of the others.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

from django.conf import settings
from redis.exceptions import RedisError

from twitter.base.data import resp
from twitter.base.http import limits
from twitter.base.http.errors import TooMany
from twitter.base.http.limits import Bucket
from twitter.base.observe import metrics

KNOWN_SECONDS = 30 * 86_400
# So many addresses are kept for an account, the latest ones.
KNOWN_MOST = 100


LogInKind = Literal["log-ins", "admin-log-ins"]


_LOG_INS = "attempts to log in"


@dataclass(frozen=True)
class Attempt:
    """A log-in that is under way."""

    kind: LogInKind
    account_id: int | None
    address: str
    together: Bucket | None


def begin(*, kind: LogInKind, account_id: int | None, login: str, address: str) -> Attempt:
    """Count an attempt, before the password is checked. Raises TooMany.

    `account_id` is None when no account has that login.
    """
    login = login.lower()
    together = _count(kind, "account-and-address", f"{login} {address}", what=_LOG_INS)
    # Also asked for a login of no account, so that it takes as long.
    if not _is_known(account_id or 0, address):
        # Only attempts that passed: otherwise a single address could use this up.
        _count(kind, "account", login, what=_LOG_INS)
    return Attempt(kind=kind, account_id=account_id, address=address, together=together)


def _bucket(kind: str, subject: str, who: str | int) -> Bucket | None:
    limit = settings.RATE_LIMITS[kind].get(subject)
    return limits.bucket(kind=kind, subject=subject, who=who, limit=limit)


def _count(kind: str, subject: str, who: str | int, *, what: str) -> Bucket | None:
    bucket = _bucket(kind, subject, who)
    if bucket and (over := limits.exceeded(limits.count([bucket]))):
        metrics.refused(bucket.name)
        raise TooMany(f"Too many {what}; try again later.", seconds=over.reset)
    return bucket


def begin_check(*, session_id: int) -> Bucket | None:
    """Count an attempt of somebody who is logged in and has to give the password again.

    Call it before the password is checked, so that many requests at once do not pass. If the
    password is right, give the bucket to `limits.reset_count`: only failures add up.

    Raises TooMany.
    """
    return _count("password-checks", "token", session_id, what="wrong passwords")


def count_email_change(*, account_id: int) -> None:
    """Count a change of an account's e-mail address. Raises TooMany.

    The answer tells whether an account has that address, as sign-up does.
    """
    _count("email-changes", "user", account_id, what="changes of the e-mail address")


def failed(attempt: Attempt) -> None:
    """Count a failed log-in in the metrics."""
    metrics.logged_in(attempt.kind, succeeded=False)


def succeeded(attempt: Attempt) -> None:
    """Reset the count of failures, and note that the account is used from this address."""
    metrics.logged_in(attempt.kind, succeeded=True)
    if attempt.account_id is None:
        return
    now, known = time.time(), _key(attempt.account_id)
    if attempt.together:
        limits.reset_count(attempt.together)
    try:
        resp.exchange(
            # To the microsecond: among equal times, the wrong address might be removed.
            resp.pack("ZADD", known, f"{now:.6f}", limits.digest(attempt.address)),
            resp.pack("ZREMRANGEBYSCORE", known, "-inf", f"{now - KNOWN_SECONDS:.6f}"),
            resp.pack("ZREMRANGEBYRANK", known, 0, -KNOWN_MOST - 1),
            resp.pack("EXPIRE", known, KNOWN_SECONDS),
        )
    except RedisError:
        return  # The address will count as new next time.


def delete_records(account_id: int, *, logins: Iterable[str] = ()) -> None:
    """Delete the addresses that an account is used from, and reset the counts of its logins.

    A count of a login and an address together cannot be found without the address. It ends soon.
    Raises redis.RedisError.
    """
    resp.exchange(resp.pack("UNLINK", _key(account_id)))
    for kind, login in product(get_args(LogInKind), logins):
        if bucket := _bucket(kind, "account", login.lower()):
            limits.reset_count(bucket)


def _is_known(account_id: int, address: str) -> bool:
    try:
        [seen] = resp.exchange(resp.pack("ZSCORE", _key(account_id), limits.digest(address)))
    except RedisError:
        return False
    return seen is not None and float(seen) > time.time() - KNOWN_SECONDS


def _key(account_id: int) -> str:
    return f"limit:known:{account_id}"
