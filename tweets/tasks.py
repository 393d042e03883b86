"""What tweets do later: each task is one call."""

from celery import shared_task

from tweets import cache, purging, services
from twitter.outbox.tasks import task


@task()
def forget_tweet(*, tweet_id: int, **facts: int) -> None:
    """Show the tweet no more."""
    cache.forget([tweet_id])


@task()
def refresh_tweets(*, tweet_ids: list[int]) -> None:
    """Show the tweets' new counts."""
    services.refresh(tweet_ids)


@task()
def forget_viewer(*, account_id: int) -> None:
    """Let what the account liked and retweeted be read anew."""
    cache.forget_viewer(account_id)


@task()
def purge_tweet(*, tweet_id: int) -> dict[str, int] | None:
    """Clear a deleted tweet away, with its retweets and likes."""
    return None if purging.purge_tweet(tweet_id) else {"tweet_id": tweet_id}


@task()
def purge_author(*, account_id: int) -> dict[str, int] | None:
    """Clear away all that a deleted account wrote, liked and retweeted."""
    return None if purging.purge_author(account_id) else {"account_id": account_id}


@shared_task
def fold_metrics() -> None:
    """Add pending changes of counts to the totals."""
    services.fold_metrics()


@shared_task
def forget_old_answers() -> None:
    """Delete what is kept for a while only."""
    purging.forget_old_answers()
