"""What moderators do to accounts and follows, each with its entry in the audit log."""

from django.db import transaction
from django.db.models.functions import Now

from accounts import rereads
from accounts.events import AccountRestored, AccountSuspended
from accounts.graph.services import unfollow
from accounts.models import VISIBLE, Account, Follow
from accounts.people.services import delete_locked, lock_present
from twitter.base.admin import audit
from twitter.base.http.errors import Conflict, Forbidden, NotFound
from twitter.outbox.events import publish


def delete_as_admin(*, account_id: int, by_id: int, reason: str) -> None:
    """Delete any account as an administrator; all else is as when its owner deletes it.

    The audit log keeps who did it, when and why, but not to whom. Raises Forbidden unless a
    superuser does it, Conflict for accounts of the staff and of former moderators, NotFound.
    """
    if not Account.objects.filter(VISIBLE, id=by_id, is_superuser=True).exists():
        raise Forbidden("Only an administrator deletes the accounts of others.")
    with transaction.atomic():
        delete_locked(lock_present(account_id))
        audit.record_erasure(
            by_id=by_id, kind=Account, what="a deleted account", action="Deleted", reason=reason
        )


def suspend(*, account_id: int, by_id: int, reason: str) -> None:
    """Make an account invisible and end its sessions; suspending again changes nothing.

    Raises Conflict for one's own account, NotFound.
    """
    if account_id == by_id:
        raise Conflict("You cannot suspend yourself.")
    with transaction.atomic():
        account = lock_present(account_id)
        if account.suspended_at is None:
            Account.objects.filter(id=account_id).update(suspended_at=Now())
            rereads.note_author(account_id)
            account.end_sessions()
            publish(AccountSuspended(account_id=account_id))
            audit.record(by_id=by_id, target=account, action="Suspended", reason=reason)


def lift(*, account_id: int, by_id: int, reason: str) -> None:
    """Lift a suspension; lifting again changes nothing. Raises NotFound."""
    with transaction.atomic():
        account = lock_present(account_id)
        if account.suspended_at is not None:
            Account.objects.filter(id=account_id).update(suspended_at=None)
            rereads.note_author(account_id)
            publish(AccountRestored(account_id=account_id))
            audit.record(by_id=by_id, target=account, action="Suspension lifted", reason=reason)


def remove_follow(*, follow_id: int, by_id: int, reason: str) -> None:
    """Undo somebody's follow, as a moderator. Raises NotFound."""
    with transaction.atomic():
        follow = Follow.objects.filter(id=follow_id).first()
        if follow is None:
            raise NotFound("There is no such follow.")
        audit.record(by_id=by_id, target=follow, action="Removed", reason=reason)
        unfollow(follower_id=follow.follower_id, followed_id=follow.followed_id)
