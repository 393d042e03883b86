"""The tasks of tweets, which run later, or at once after a change. Each is one call.

This app must not import the events of apps above it, so a protocol says which attributes of such an
event a task uses.
"""

from typing import Protocol

from celery import shared_task

from accounts.events import AccountPurged
from tweets import purging
from tweets.events import (
    ManyRemoved,
    ManyRestored,
    MarksChanged,
    MetricsFolded,
    TweetDeleted,
    TweetRemoved,
    TweetRestored,
)
from tweets.posts import counts
from tweets.reactions import marks
from twitter.outbox.tasks import periodic_in_steps, task


class OfAccount(Protocol):
    """An event about one account."""

    account_id: int


@task(former="tweets.tasks.forget_tweet")
def refresh_tweet(event: TweetRemoved | TweetRestored) -> None:
    """Refresh a cached tweet that was hidden, deleted or restored."""
    counts.refresh([event.tweet_id])


@task()
def refresh_tweets(event: MetricsFolded | ManyRemoved | ManyRestored) -> None:
    """Refresh cached tweets that have new counts, or were removed or restored."""
    counts.refresh(event.tweet_ids)


@task()
def refresh_marks(event: MarksChanged) -> None:
    """Show what the account did to tweets."""
    marks.refresh(event.account_id)


@task(former="tweets.tasks.forget_viewer")
def drop_marks(event: AccountPurged | MarksChanged) -> None:
    """Delete what is cached of what an account did to tweets."""
    marks.drop(event.account_id)


@task()
def purge_tweet(event: TweetDeleted) -> dict[str, int] | None:
    """Purge a deleted tweet, with its retweets and likes."""
    return None if purging.purge_tweet(event.tweet_id) else {}


@task()
def purge_author(event: OfAccount) -> dict[str, int] | None:
    """Clear away all that a deleted account wrote, and what it did to tweets."""
    return None if purging.purge_author(event.account_id) else {}


@shared_task
def fold_metrics() -> None:
    """Add pending changes of counts to the totals."""
    counts.fold_metrics()


@periodic_in_steps
def delete_expired() -> bool:
    """Delete expired first answers and tombstones."""
    return purging.delete_expired()
