"""Usernames and e-mail addresses of deleted accounts, which no one may take for a while.

Otherwise another person could pass for the one who left, and a troll who was put out could be back
at once. Only keyed digests are stored: with a copy of the database but without SECRET_KEY, no name
can be tried.

A sign-up that runs while an account is purged cannot slip through. Until the purge commits, the
unique constraint makes the sign-up's write wait; the reservation is committed together with the
purge; and the sign-up looks for it after its write, hence after that commit.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Literal

from django.db.models.functions import Now
from django.utils.crypto import salted_hmac

from accounts.models import Account, ReservedLogin

RESERVED_FOR = timedelta(days=30)


Kind = Literal["username", "email"]


def reserve_logins_of(account: Account) -> None:
    """Reserve the account's username and e-mail address, in the transaction that removes it."""
    logins: Iterable[tuple[Kind, str | None]] = (
        ("username", account.username),
        ("email", account.email),
    )
    ReservedLogin.objects.bulk_create(
        [
            ReservedLogin(digest=_digest(kind, value), until=Now() + RESERVED_FOR)
            for kind, value in logins
            if value
        ],
        update_conflicts=True,
        unique_fields=["digest"],
        update_fields=["until"],
    )


def is_reserved(kind: Kind, value: str | None) -> bool:
    """Tell whether a username or an e-mail address, in whatever case, may not be taken yet.

    The answer is valid for what the running transaction has written before, and for nothing else.
    """
    if not value:
        return False
    return ReservedLogin.objects.filter(digest=_digest(kind, value), until__gt=Now()).exists()


def _digest(kind: Kind, value: str) -> str:
    """Return what stands for a login: HMAC-SHA-256 (RFC 2104) with a key from SECRET_KEY."""
    return salted_hmac(f"accounts.reserved.{kind}", value.lower(), algorithm="sha256").hexdigest()
