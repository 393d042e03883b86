"""The models of accounts: each subject has its own, and all are imported from here."""

from accounts.graph.models import FOLLOWED_REFERENCE, Follow, PopularAuthor
from accounts.people.models import (
    EMAIL_UNIQUE,
    USERNAME_UNIQUE,
    VISIBLE,
    Account,
    AccountCounterDelta,
    AccountCounters,
    ImportedAccount,
    ReservedLogin,
)
from accounts.sessions.models import Session

__all__ = [
    "EMAIL_UNIQUE",
    "FOLLOWED_REFERENCE",
    "USERNAME_UNIQUE",
    "VISIBLE",
    "Account",
    "AccountCounterDelta",
    "AccountCounters",
    "Follow",
    "ImportedAccount",
    "PopularAuthor",
    "ReservedLogin",
    "Session",
]
