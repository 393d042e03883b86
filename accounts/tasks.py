"""The tasks of accounts, which run later, or at once after a change. Each is one call.

The tasks of all subjects are in this one module: rows of the outbox name a task by its module, and
outlast a deployment. This app must not import the events of apps above it, so a protocol says which
attributes of such an event a task uses.
"""

from collections import Counter
from typing import Protocol

from celery import shared_task

from accounts import mail, purging, rereads
from accounts.events import (
    AccountEvent,
    AccountPurged,
    CountersFolded,
    EmailReplaced,
    Followed,
    GraphImported,
    Unfollowed,
)
from accounts.graph import popularity, relations
from accounts.people import counters, reads, services
from accounts.sessions import reads as sessions
from twitter.outbox.events import Statement
from twitter.outbox.tasks import periodic_in_steps, task

# Accounts whose relations one step drops.
PAGE = 10_000


class OfAccount(Protocol):
    """An event about one account."""

    account_id: int


class OfAuthor(Protocol):
    """An event about something that one account wrote."""

    author_id: int


class OfAuthorsTweets(Protocol):
    """An event about several things that one account wrote."""

    author_id: int
    tweet_ids: list[int]


class OfAuthors(Protocol):
    """An event about several things that were written; names the author of each."""

    author_ids: list[int]


@task(former="accounts.tasks.forget_account")
def refresh_account(event: AccountEvent) -> None:
    """Refresh the account's card, and the state that its tokens are checked against."""
    services.refresh_cards([event.account_id])
    sessions.refresh_state(event.account_id)


@task()
def tell_former_address(event: EmailReplaced) -> None:
    """Tell an account's former e-mail address that it was replaced."""
    mail.tell_former_address(account_id=event.account_id, address=event.former_email)


@task()
def refresh_accounts(event: CountersFolded) -> None:
    """Refresh the accounts' cards, which have their counts."""
    services.refresh_cards(event.account_ids)


@task()
def note_popular(event: CountersFolded) -> None:
    """Note which of the accounts have become popular by these counts."""
    popularity.note(event.account_ids)


@task(former="accounts.tasks.forget_follow")
def refresh_follow(event: Followed | Unfollowed) -> None:
    """Refresh the follower's relations, and both accounts' cards, which have their counts."""
    relations.refresh(event.follower_id)
    services.refresh_cards([event.follower_id, event.followed_id])


count_posted = Statement(counters.COUNT_POSTED, takes=OfAuthor)


@task()
def count_removed(event: OfAuthor) -> None:
    """Count one tweet less."""
    counters.count_tweets({event.author_id: -1})


@task()
def count_many_removed(event: OfAuthorsTweets) -> None:
    """Count so many tweets less."""
    counters.count_tweets({event.author_id: -len(event.tweet_ids)})


@task()
def count_many_restored(event: OfAuthorsTweets) -> None:
    """Count so many tweets more."""
    counters.count_tweets({event.author_id: len(event.tweet_ids)})


@task()
def note_restored(event: OfAuthor) -> None:
    """Have followers read their homes again: tweets are back that are not the newest."""
    rereads.note_author(event.author_id)


@task(atomic=True)
def count_imported(event: OfAuthors) -> None:
    """Count one tweet more for each time that an author is named."""
    counters.count_tweets(Counter(event.author_ids))


@task(atomic=True)
def end_fan_out(event: OfAccount) -> None:
    """End the fan-out of a popular author's tweets: from now on readers merge them."""
    popularity.end_fan_out(event.account_id)


@task()
def purge_account(event: OfAuthor) -> dict[str, int] | None:
    """Purge a deleted account, after its tweets and likes are purged."""
    return None if purging.purge_account(event.author_id) else {}


@task()
def drop_relations(event: GraphImported, *, after: int = 0) -> dict[str, int] | None:
    """Have all relations read again, after an import changed whom people follow."""
    account_ids = reads.all_ids(after=after, limit=PAGE)
    relations.drop(account_ids)
    return {"after": account_ids[-1]} if len(account_ids) == PAGE else None


@task()
def sweep_account(event: AccountPurged) -> None:
    """Delete what was added while the account was being purged."""
    purging.sweep_account(event.account_id)


@shared_task
def fold_counters() -> None:
    """Add pending changes of counts to the totals."""
    counters.fold_counters()


@periodic_in_steps
def delete_expired() -> bool:
    """Delete expired sessions and reservations."""
    return purging.delete_expired()
