"""Facts about accounts to which others may subscribe."""

from dataclasses import dataclass
from typing import ClassVar

from twitter.outbox.events import Event


@dataclass(frozen=True, kw_only=True)
class AccountEvent(Event):
    """A fact about one account."""

    account_id: int


@dataclass(frozen=True, kw_only=True)
class AccountChanged(AccountEvent):
    """Name, bio, username, e-mail address or privileges changed."""

    name: ClassVar[str] = "accounts.account_changed"


@dataclass(frozen=True, kw_only=True)
class EmailReplaced(AccountEvent):
    """The account has another e-mail address, or none. `former_email` is stored nowhere else."""

    name: ClassVar[str] = "accounts.email_replaced"
    former_email: str


@dataclass(frozen=True, kw_only=True)
class AccountSuspended(AccountEvent):
    """A moderator made the account invisible."""

    name: ClassVar[str] = "accounts.account_suspended"


@dataclass(frozen=True, kw_only=True)
class AccountRestored(AccountEvent):
    """A moderator lifted the suspension."""

    name: ClassVar[str] = "accounts.account_restored"


@dataclass(frozen=True, kw_only=True)
class AccountDeleted(AccountEvent):
    """Its owner or an administrator deleted the account.

    It is invisible; what it left is still to be purged.
    """

    name: ClassVar[str] = "accounts.account_deleted"


@dataclass(frozen=True, kw_only=True)
class AccountPurged(AccountEvent):
    """All rows of a deleted account are gone from PostgreSQL.

    A long request of that account, or a folding of counters, may still be under way and add rows.
    """

    name: ClassVar[str] = "accounts.account_purged"


@dataclass(frozen=True, kw_only=True)
class CountersFolded(Event):
    """Changes of these accounts' numbers were added up."""

    name: ClassVar[str] = "accounts.counters_folded"
    account_ids: list[int]


@dataclass(frozen=True, kw_only=True)
class SessionsRevoked(AccountEvent):
    """One or all of the account's sessions ended; its tokens must stop at once."""

    name: ClassVar[str] = "accounts.sessions_revoked"


@dataclass(frozen=True, kw_only=True)
class Followed(Event):
    """`follower_id` follows `followed_id` now, and did not before."""

    name: ClassVar[str] = "accounts.followed"
    follower_id: int
    followed_id: int


@dataclass(frozen=True, kw_only=True)
class Unfollowed(Event):
    """`follower_id` does not follow `followed_id` any more."""

    name: ClassVar[str] = "accounts.unfollowed"
    follower_id: int
    followed_id: int


@dataclass(frozen=True, kw_only=True)
class GraphImported(Event):
    """Follows were added in bulk, without an event for each."""

    name: ClassVar[str] = "accounts.graph_imported"


@dataclass(frozen=True, kw_only=True)
class BecamePopular(AccountEvent):
    """The account has more than FANOUT_MAX_FOLLOWERS followers, for the first time."""

    name: ClassVar[str] = "accounts.became_popular"
