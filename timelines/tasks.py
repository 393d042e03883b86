"""What keeps home timelines true: each task is one call."""

from typing import Any

from timelines import popular, services, store
from twitter.outbox.tasks import task


def _next(facts: dict[str, Any], after: int | None) -> dict[str, Any] | None:
    return None if after is None else {**facts, "after": after}


@task()
def deliver_to_author(*, tweet_id: int, author_id: int, original_id: int) -> None:
    """Show an author's tweet in the author's own home."""
    services.deliver_to_author(tweet_id=tweet_id, author_id=author_id, original_id=original_id)


@task()
def fan_out(*, after: int = 0, **facts: int) -> dict[str, Any] | None:
    """Deliver a tweet to its author's followers."""
    return _next(facts, services.fan_out(**facts, after=after))


@task()
def remove_from_homes(*, after: int = 0, **facts: int) -> dict[str, Any] | None:
    """Take a removed tweet out of the followers' homes."""
    return _next(facts, services.remove_from_homes(**facts, after=after))


@task()
def drop_home(*, follower_id: int, followed_id: int) -> None:
    """Have a home built anew after its owner followed or unfollowed somebody."""
    store.drop([follower_id])


@task()
def drop_homes_of_followers(*, account_id: int, after: int = 0) -> dict[str, Any] | None:
    """Have the homes of an account's followers built anew, when it vanishes or comes back."""
    rest = services.drop_homes_of_followers(account_id=account_id, after=after)
    return _next({"account_id": account_id}, rest)


@task()
def forget_account(*, account_id: int) -> None:
    """Drop the home of an account that is purged, and what others merged of it."""
    store.drop([account_id])
    popular.forget(account_id)


@task()
def announce_popular(*, account_id: int, after: int = 0) -> dict[str, Any] | None:
    """Have an author's followers merge the author's tweets when they read."""
    rest = services.announce_popular(account_id=account_id, after=after)
    return _next({"account_id": account_id}, rest)


@task()
def drop_all_homes(*, after: int = 0) -> dict[str, Any] | None:
    """Have all homes built anew, after an import changed whom people follow."""
    return _next({}, services.drop_all_homes(after=after))
