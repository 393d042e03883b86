"""Writing home timelines: fan-out, and dropping what is no longer true.

Deliveries are checked after they were made, not locked: whoever removes a tweet or unfollows an
author first commits and then clears the homes. So a delivery that sees the removal takes its entry
back itself, and one that does not came before the clearing, which takes it along.
"""

from collections.abc import Iterator, Sequence

from django.db import transaction

from accounts import facade as accounts
from accounts.facade import Reach
from timelines import selectors, store
from timelines.events import FollowersKnow
from tweets import facade as tweets
from twitter.outbox.events import publish

# Followers that one query fetches.
PAGE = 10_000
# Pages that one run of a task handles; the rest goes to the end of the queue, so that a popular
# author does not hold up the others.
PAGES = 10


def deliver_to_author(*, tweet_id: int, author_id: int, original_id: int) -> None:
    """Put a tweet into its author's own home.

    Whether the author is suspended is not asked: a suspension drops the author's home.
    """
    entry = store.pack(tweet_id=tweet_id, original_id=original_id)
    store.push(entry, [author_id])
    if tweets.author_of(tweet_id) is None:
        store.remove(entry, [author_id])


def fan_out(*, tweet_id: int, author_id: int, original_id: int, after: int) -> int | None:
    """Put a tweet into the homes of some pages of followers, by id after `after`.

    Returns where the next run begins, or None at the end. Delivering again changes nothing. Of a
    popular author, only what readers merge is brought up to date.
    """
    reach = accounts.reach_of(author_id)
    if reach is not Reach.FAN_OUT:
        selectors.refresh_popular([author_id])
    if reach is Reach.MERGE:
        return None
    entry = store.pack(tweet_id=tweet_id, original_id=original_id)
    followers = _Followers(author_id, after)
    for page in store.push_pages(entry, followers):
        leavers = _leavers(author_id=author_id, followers=page)
        store.remove(entry, leavers if tweets.is_visible(tweet_id) else page)
    return followers.rest


class _Followers:
    """The pages of followers that one run of a task handles, by id after `after`.

    Once through, `rest` is where the next run begins, or None when there is nobody left.
    """

    def __init__(self, account_id: int, after: int) -> None:
        self._account_id = account_id
        self.rest: int | None = after

    def __iter__(self) -> Iterator[list[int]]:
        for _ in range(PAGES):
            if self.rest is None:
                return
            page = accounts.follower_page(account_id=self._account_id, after=self.rest, limit=PAGE)
            self.rest = page[-1] if len(page) == PAGE else None
            if page:
                yield page


def _leavers(*, author_id: int, followers: Sequence[int]) -> set[int]:
    """Return who of a page has stopped following since it was read."""
    still = accounts.followers_between(account_id=author_id, first=followers[0], last=followers[-1])
    return set() if still == followers else set(followers).difference(still)


def remove_from_homes(*, tweet_id: int, author_id: int, original_id: int, after: int) -> int | None:
    """Take a removed tweet out of homes, the author's first, pages at a time as `fan_out` does."""
    if tweets.is_visible(tweet_id):  # A moderator has restored it meanwhile.
        return None
    entry = store.pack(tweet_id=tweet_id, original_id=original_id)
    if not after:
        store.remove(entry, [author_id])
    if accounts.reach_of(author_id) is not Reach.FAN_OUT:
        selectors.refresh_popular([author_id])
    followers = _Followers(author_id, after)
    for page in followers:
        store.remove(entry, page)
    return followers.rest


def drop_homes_of_followers(*, account_id: int, after: int) -> int | None:
    """Drop the homes of an author and of followers, pages at a time as `fan_out` does."""
    if not after:
        store.drop([account_id])
    followers = _Followers(account_id, after)
    for page in followers:
        store.drop(page)
    return followers.rest


def announce_popular(*, account_id: int, after: int) -> int | None:
    """Have the followers' homes built anew, pages at a time, and in the end tell that all were.

    A build that began before the author became popular is dropped with the home.
    """
    rest = drop_homes_of_followers(account_id=account_id, after=after)
    if rest is None:
        with transaction.atomic():
            publish(FollowersKnow(account_id=account_id))
    return rest


def drop_all_homes(*, after: int) -> int | None:
    """Drop everybody's home, a page of accounts at a time."""
    if not after:
        selectors.refresh_popular(accounts.popular_ids())
    account_ids = accounts.all_ids(after=after, limit=PAGE)
    store.drop(account_ids)
    return account_ids[-1] if len(account_ids) == PAGE else None
