"""What accounts do later, or at once after a change: each task is one call."""

from collections import Counter

from celery import shared_task

from accounts import cache, popularity, purging, services, sessions
from twitter.outbox.tasks import task


@task()
def forget_account(*, account_id: int) -> None:
    """Let profile and state be read anew."""
    cache.forget([account_id])


@task()
def refresh_accounts(*, account_ids: list[int]) -> None:
    """Show the accounts' new counts."""
    services.refresh_cards(account_ids)


@task()
def forget_follow(*, follower_id: int, followed_id: int) -> None:
    """Forget the counts that both show; their cards are rendered anew."""
    services.refresh_cards([follower_id, followed_id])


@task()
def count_posted(*, tweet_id: int, author_id: int, original_id: int) -> None:
    """Count one tweet more."""
    services.count_tweets({author_id: 1})


@task()
def count_removed(*, tweet_id: int, author_id: int, original_id: int) -> None:
    """Count one tweet less."""
    services.count_tweets({author_id: -1})


@task(atomic=True)
def count_imported(*, author_ids: list[int]) -> None:
    """Count one tweet more for each time that an author is named."""
    services.count_tweets(Counter(author_ids))


@task(atomic=True)
def end_fan_out(*, account_id: int) -> None:
    """Leave a popular author's tweets to those who read them."""
    popularity.end_fan_out(account_id)


@task()
def purge_account(*, author_id: int) -> dict[str, int] | None:
    """Clear a deleted account away, after its tweets and likes are gone."""
    return None if purging.purge_account(author_id) else {"author_id": author_id}


@task()
def sweep_account(*, account_id: int) -> None:
    """Clear away what came in while the account was being purged."""
    purging.sweep_account(account_id)


@shared_task
def fold_counters() -> None:
    """Add pending changes of counts to the totals."""
    services.fold_counters()


@shared_task
def delete_ended_sessions() -> None:
    """Delete sessions that nobody can use any more."""
    sessions.delete_ended()
