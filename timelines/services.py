"""Writing home timelines: fan-out, and dropping what is no longer true.

Deliveries are checked after they were made, not locked: whoever removes a tweet or unfollows an
author first commits and then clears the homes. So a delivery that sees the removal takes its entry
back itself, and one that does not came before the clearing, which takes it along.
"""

from collections.abc import Iterator

from django.db import transaction

from accounts import facade as accounts
from accounts.facade import Reach
from timelines import selectors, store
from timelines.events import FollowersKnow
from tweets import facade as tweets
from twitter.outbox.events import publish

# Followers that one query fetches.
PAGE = 5_000
# Pages that one run of a task handles; the rest goes to the end of the queue, so that a popular
# author does not hold up the others.
PAGES = 10


def deliver_to_author(*, tweet_id: int, author_id: int, original_id: int) -> None:
    """Put a tweet into its author's own home.

    Whether the author is suspended is not asked: a suspension drops the author's home.
    """
    entry = store.pack(tweet_id=tweet_id, original_id=original_id)
    store.push(entry, [[author_id]])
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
    delivered = store.push(entry, _pages_of_followers(author_id, after))
    _take_back_from_leavers(entry, author_id=author_id, followers=delivered)
    if not tweets.is_visible(tweet_id):
        store.remove(entry, delivered)
    return _rest(delivered)


def _pages_of_followers(account_id: int, after: int) -> Iterator[list[int]]:
    """Return up to PAGES pages of follower ids > `after`; the last one of all may be short."""
    for _ in range(PAGES):
        page = accounts.follower_page(account_id=account_id, after=after, limit=PAGE)
        yield page
        if len(page) < PAGE:
            break
        after = page[-1]


def _rest(handled: list[int]) -> int | None:
    return handled[-1] if len(handled) == PAGES * PAGE else None


def _take_back_from_leavers(entry: int, *, author_id: int, followers: list[int]) -> None:
    """Remove what was delivered to those who have stopped following meanwhile."""
    if followers:
        still = accounts.followers_between(
            account_id=author_id, first=followers[0], last=followers[-1]
        )
        if leavers := set(followers).difference(still):
            store.remove(entry, leavers)


def remove_from_homes(*, tweet_id: int, author_id: int, original_id: int, after: int) -> int | None:
    """Take a removed tweet out of homes, the author's first, pages at a time as `fan_out` does."""
    if tweets.is_visible(tweet_id):  # A moderator has restored it meanwhile.
        return None
    entry = store.pack(tweet_id=tweet_id, original_id=original_id)
    if not after:
        store.remove(entry, [author_id])
    if accounts.reach_of(author_id) is not Reach.FAN_OUT:
        selectors.refresh_popular([author_id])
    handled: list[int] = []
    for followers in _pages_of_followers(author_id, after):
        store.remove(entry, followers)
        handled += followers
    return _rest(handled)


def drop_homes_of_followers(*, account_id: int, after: int) -> int | None:
    """Drop the homes of an author and of followers, pages at a time as `fan_out` does."""
    if not after:
        store.drop([account_id])
    handled: list[int] = []
    for followers in _pages_of_followers(account_id, after):
        store.drop(followers)
        handled += followers
    return _rest(handled)


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
