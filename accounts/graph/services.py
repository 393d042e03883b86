"""Following and unfollowing: one transaction each, with the event that tells of it."""

from django.conf import settings
from django.db import transaction

from accounts import rereads
from accounts.events import Followed, Unfollowed
from accounts.models import FOLLOWED_REFERENCE, AccountCounterDelta, Follow
from accounts.people import reads
from accounts.people.services import NO_USER, lock_active
from twitter.base.http.errors import Invalid, NotFound, unless_purged
from twitter.outbox.events import publish


def follow(*, follower_id: int, followed_id: int) -> None:
    """Follow someone; following again changes nothing.

    Raises Invalid for one's own account and beyond FOLLOWING_MAX, NotFound, Unauthenticated.
    """
    if follower_id == followed_id:
        raise Invalid("You cannot follow yourself.", field="user_id")
    no_user = NotFound(NO_USER)
    if not reads.visible({followed_id}):
        raise no_user
    with unless_purged({FOLLOWED_REFERENCE: no_user}), transaction.atomic():
        # Only the follower's own row is locked, NO KEY UPDATE, which the foreign keys' locks on
        # both rows do not wait for: two that follow each other at once cannot deadlock.
        lock_active(follower_id)
        _, is_new = Follow.objects.get_or_create(follower_id=follower_id, followed_id=followed_id)
        if not is_new:
            return
        if Follow.objects.filter(follower_id=follower_id).count() > settings.FOLLOWING_MAX:
            raise Invalid(
                f"You cannot follow more than {settings.FOLLOWING_MAX} users.", field="user_id"
            )
        rereads.note_readers([follower_id])
        _count_follow(follower_id=follower_id, followed_id=followed_id, change=1)
        publish(Followed(follower_id=follower_id, followed_id=followed_id))


def unfollow(*, follower_id: int, followed_id: int) -> None:
    """Stop following someone; doing so again changes nothing.

    Raises NotFound when there was no follow to undo, and there is no such user.
    """
    with transaction.atomic():
        # No lock: FOLLOWING_MAX, for which `follow` takes one, cannot be exceeded by this.
        followed = Follow.objects.filter(follower_id=follower_id, followed_id=followed_id)
        deleted, _ = followed.delete()
        if deleted:
            rereads.note_readers([follower_id])  # to read their homes again
            _count_follow(follower_id=follower_id, followed_id=followed_id, change=-1)
            publish(Unfollowed(follower_id=follower_id, followed_id=followed_id))
        elif not reads.visible({followed_id}):
            raise NotFound(NO_USER)


def _count_follow(*, follower_id: int, followed_id: int, change: int) -> None:
    AccountCounterDelta.objects.bulk_create(
        (
            AccountCounterDelta(account_id=follower_id, following_count=change),
            AccountCounterDelta(account_id=followed_id, followers_count=change),
        )
    )
