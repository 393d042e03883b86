"""Writing home timelines: fan-out, and dropping what is no longer true.

Deliveries are checked after they were made, not locked: whoever removes a tweet or unfollows an
author first commits and then clears the homes. So a delivery that sees the removal takes its entry
back itself, and one that does not came before the clearing, which takes it along.
"""

from accounts import facade as accounts
from timelines import store
from timelines.store import Entry
from tweets import facade as tweets

# Followers that one run of a task handles; the rest goes back to the end of the queue, so that a
# popular author does not hold up the others.
CHUNK = 5_000


def deliver_to_author(*, tweet_id: int, author_id: int, original_id: int) -> None:
    """Put a tweet into its author's own home."""
    entry = Entry.of(tweet_id=tweet_id, original_id=original_id)
    store.push(entry, [author_id])
    if not tweets.is_visible(tweet_id):
        store.remove(entry, [author_id])


def fan_out(*, tweet_id: int, author_id: int, original_id: int, after: int) -> int | None:
    """Put a tweet into the homes of its author and of a chunk of followers, by id after `after`.

    Returns where the next chunk begins, or None at the end. Delivering again changes nothing.
    """
    if not tweets.is_visible(tweet_id):
        return None
    followers = accounts.follower_page(account_id=author_id, after=after, limit=CHUNK)
    entry = Entry.of(tweet_id=tweet_id, original_id=original_id)
    _deliver(
        entry, author_id=author_id, account_ids=followers if after else [author_id, *followers]
    )
    return followers[-1] if len(followers) == CHUNK else None


def _deliver(entry: Entry, *, author_id: int, account_ids: list[int]) -> None:
    store.push(entry, account_ids)
    still = accounts.followers_among(account_id=author_id, ids=account_ids) | {author_id}
    store.remove(entry, [account_id for account_id in account_ids if account_id not in still])
    if not tweets.is_visible(entry.id):
        store.remove(entry, account_ids)


def remove_from_homes(*, tweet_id: int, author_id: int, original_id: int, after: int) -> int | None:
    """Take a removed tweet out of homes, a chunk of followers at a time, as `fan_out` does."""
    followers = accounts.follower_page(account_id=author_id, after=after, limit=CHUNK)
    entry = Entry.of(tweet_id=tweet_id, original_id=original_id)
    if not tweets.is_visible(tweet_id):  # A moderator may have restored it meanwhile.
        store.remove(entry, followers if after else [author_id, *followers])
    return followers[-1] if len(followers) == CHUNK else None


def drop_homes_of_followers(*, account_id: int, after: int) -> int | None:
    """Drop the homes of an author's followers, a chunk at a time, as `fan_out` does."""
    followers = accounts.follower_page(account_id=account_id, after=after, limit=CHUNK)
    store.drop(followers if after else [account_id, *followers])
    return followers[-1] if len(followers) == CHUNK else None


def drop_all_homes(*, after: int) -> int | None:
    """Drop everybody's home, a chunk of accounts at a time."""
    account_ids = accounts.all_ids(after=after, limit=CHUNK)
    store.drop(account_ids)
    return account_ids[-1] if len(account_ids) == CHUNK else None
