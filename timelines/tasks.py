"""What keeps home timelines true: each task is one call."""

from collections.abc import Sequence

from accounts.events import (
    AccountDeleted,
    AccountEvent,
    AccountPurged,
    BecamePopular,
    Followed,
    GraphImported,
    Unfollowed,
)
from timelines.events import FollowersKnow
from timelines.home import popular, services, store
from tweets.events import ImportEnded, ManyRemoved, ManyRestored, TweetPosted, TweetRemoved
from twitter.base.data.parts import Part
from twitter.outbox.tasks import task


def _going_on(after: int | None) -> dict[str, int] | None:
    return None if after is None else {"after": after}


def deliver_to_author(event: TweetPosted) -> Part[None]:
    """Return the part that shows an author's tweet in the author's own home."""
    return services.part_for_author(event.ref)


def _fan_out_together(events: Sequence[TweetPosted]) -> list[TweetPosted]:
    done = set(services.fan_out_together([event.ref for event in events]))
    return [event for event in events if event.ref in done]


@task(together=_fan_out_together)
def fan_out(event: TweetPosted, *, after: int = 0) -> dict[str, int] | None:
    """Deliver a tweet to its author's followers."""
    return _going_on(services.fan_out(event.ref, after=after))


@task()
def remove_from_homes(event: TweetRemoved, *, after: int = 0) -> dict[str, int] | None:
    """Take a removed tweet out of the followers' homes."""
    return _going_on(services.remove_from_homes(event.ref, after=after))


@task()
def drop_homes_after_many(
    event: ManyRemoved | ManyRestored, *, after: int = 0
) -> dict[str, int] | None:
    """Have the homes of an author's followers built again after many tweets went or came back."""
    if isinstance(event, ManyRemoved) and not after:
        store.mark_removed(event.tweet_ids)
    return _going_on(services.drop_homes_of_followers(account_id=event.author_id, after=after))


@task()
def drop_home(event: Followed | Unfollowed) -> None:
    """Have a home built again after its owner followed or unfollowed somebody."""
    store.drop([event.follower_id])


@task()
def drop_homes_of_followers(event: AccountEvent, *, after: int = 0) -> dict[str, int] | None:
    """Have the homes of an account's followers built again, when it vanishes or comes back."""
    return _going_on(services.drop_homes_of_followers(account_id=event.account_id, after=after))


@task(former="timelines.tasks.forget_fanned_out")
def drop_homes_once_more(event: FollowersKnow, *, after: int = 0) -> dict[str, int] | None:
    """Drop followers' homes once more: they hold what was fanned out before all of them merged."""
    return _going_on(services.drop_homes(account_id=event.account_id, after=after))


@task()
def leave_homes(event: AccountDeleted, *, after: int = 0) -> dict[str, int] | None:
    """Take all that a deleted account wrote out of homes, before its follows are purged."""
    return _going_on(services.leave_homes(account_id=event.account_id, after=after))


@task(former="timelines.tasks.forget_account")
def drop_account(event: AccountPurged) -> None:
    """Drop the home of an account that is purged, and what others merged of it."""
    store.drop([event.account_id])
    popular.drop(event.account_id)


@task()
def announce_popular(event: BecamePopular, *, after: int = 0) -> dict[str, int] | None:
    """Have an author's followers merge the author's tweets when they read."""
    return _going_on(services.announce_popular(account_id=event.account_id, after=after))


@task()
def drop_all_homes(event: GraphImported | ImportEnded, *, after: int = 0) -> dict[str, int] | None:
    """Have all homes built again, after an import of follows or of tweets."""
    return _going_on(services.drop_all_homes(after=after))
