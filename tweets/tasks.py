"""What tweets do later: each task is one call."""

from celery import shared_task

from accounts.events import AccountDeleted, AccountPurged
from tweets import cache, purging, services
from tweets.events import ManyRemoved, MetricsFolded, TweetDeleted, TweetRemoved, ViewerChanged
from twitter.outbox.tasks import periodic_in_steps, task


@task()
def forget_tweet(event: TweetRemoved) -> None:
    """Show the tweet no more."""
    cache.forget([event.tweet_id])


@task()
def forget_tweets(event: ManyRemoved) -> None:
    """Show the tweets no more."""
    cache.forget(event.tweet_ids)


@task()
def refresh_tweets(event: MetricsFolded) -> None:
    """Show the tweets' new counts."""
    services.refresh(event.tweet_ids)


@task()
def forget_viewer(event: ViewerChanged | AccountPurged) -> None:
    """Let what the account liked and retweeted be read anew."""
    cache.forget_viewer(event.account_id)


@task()
def purge_tweet(event: TweetDeleted) -> dict[str, int] | None:
    """Clear a deleted tweet away, with its retweets and likes."""
    return None if purging.purge_tweet(event.tweet_id) else {}


@task()
def purge_author(event: AccountDeleted) -> dict[str, int] | None:
    """Clear away all that a deleted account wrote, liked and retweeted."""
    return None if purging.purge_author(event.account_id) else {}


@shared_task
def fold_metrics() -> None:
    """Add pending changes of counts to the totals."""
    services.fold_metrics()


@periodic_in_steps
def delete_expired() -> bool:
    """Delete what is kept for a while only."""
    return purging.delete_expired()
