"""Writing home timelines: fan-out, and dropping what is no longer true.

A delivery takes no lock; it is checked after it was made. Whatever removes a tweet or ends a follow
commits first, and then clears the homes. So a delivery that sees the removal takes its own entry
back. A delivery that does not see it came before the clearing, which removes the entry.
"""

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from django.db import transaction

from accounts import facade as accounts
from accounts.facade import Reach
from timelines.events import FollowersKnow, LeftHomes
from timelines.home import build, store
from timelines.home.store import Page
from tweets import facade as tweets
from tweets.facade import Ref
from twitter.base.data.parts import Part
from twitter.base.observe import metrics, tracing
from twitter.outbox.events import publish

# Followers that one query fetches.
PAGE = 10_000
# Pages that one run of a task handles; the rest goes to the end of the queue, so that a popular
# author does not hold up the others.
PAGES = 10
# Followers of an author whose tweets are delivered together with others: so a message of 100 tweets
# has no more deliveries than one run of a long fan-out.
FEW = 1_000


def part_for_author(ref: Ref) -> Part[None]:
    """Return the part that puts a tweet that was just posted into its author's own home.

    If it is removed already, it is taken out again. One that was removed before, and restored by a
    moderator since, stays: `fan_out` may have been here already, and does not come again.
    """
    entry = _complete(ref).entry
    push = store.push_part(entry, ref.author_id)

    def parse(replies: Sequence[Any]) -> None:
        if push.parse(replies) and not tweets.is_visible(ref.id):
            store.remove(entry, [ref.author_id])

    return Part(push.commands, parse)


def _complete(ref: Ref) -> Ref:
    """Return a complete ref: events of the release before do not name the original's author."""
    if not ref.original_id or ref.original_author_id:
        return ref
    authors = tweets.authors_of({ref.original_id})
    return Ref(*ref[:3], original_author_id=authors.get(ref.original_id, 0))


def fan_out_together(refs: Collection[Ref]) -> list[Ref]:
    """Put tweets into the homes of their authors and followers; return those for which it is done.

    Left out are those of popular authors and of authors with more than FEW followers, which are for
    `fan_out`. Delivering again changes nothing. One statement and one write serve all of them, and
    three statements look at all again once the last is written. That is later than after each one's
    own writing, so what the module says holds for each.
    """
    followers = accounts.followers_of_each({ref.author_id for ref in refs}, most=FEW)
    audiences = {author: sorted([*ids, author]) for author, ids in followers.items()}
    entries = {ref: _complete(ref).entry for ref in refs if ref.author_id in audiences}
    if not entries:
        return []
    pages = (Page(entry, audiences[ref.author_id]) for ref, entry in entries.items())
    for page in store.push_pages(pages):
        metrics.delivered(len(page.account_ids))
    leavers = accounts.leavers(followers)
    visible = tweets.visible([ref.id for ref in entries])
    for ref, entry in entries.items():
        audience = audiences[ref.author_id]
        store.remove(entry, leavers.get(ref.author_id, ()) if ref.id in visible else audience)
    return list(entries)


def fan_out(ref: Ref, *, after: int) -> int | None:
    """Put a tweet into the homes of its author and of some pages of followers, after `after`.

    Returns where the next run begins, or None at the end. Delivering again changes nothing. For a
    popular author, only the entries that readers merge are refreshed.
    """
    tracing.note(tweet_id=ref.id, after=after)
    reach = accounts.reach_of(ref.author_id)
    if reach is not Reach.FAN_OUT:
        build.refresh_popular([ref.author_id])
    audience = _Audience(ref.author_id, after)
    _deliver([[ref.author_id]] if reach is Reach.MERGE else audience, _complete(ref))
    return None if reach is Reach.MERGE else audience.rest


def _deliver(audience: Iterable[Sequence[int]], ref: Ref) -> None:
    """Put a tweet into homes, and take it back from those where it does not belong any more."""
    begun: deque[int] = deque()
    pages = (Page(ref.entry, account_ids) for account_ids in _timed(audience, begun))
    for _, page in store.push_pages(pages):
        metrics.delivered(len(page))
        with tracing.span("deliver page", since=begun.popleft(), followers=len(page)):
            leavers = _leavers(author_id=ref.author_id, page=page)
            store.remove(ref.entry, leavers if tweets.is_visible(ref.id) else page)


def _timed(pages: Iterable[Sequence[int]], begun: deque[int]) -> Iterator[Sequence[int]]:
    """Note when each page begins its way through the pipe, where several are at once."""
    for page in pages:
        begun.append(time.time_ns())
        yield page


class _Audience:
    """Whose homes hold an author's tweets: the author and the followers, in pages, by id.

    It begins after `after` and goes as far as one run of a task does. In the end, `rest` is where
    the next run begins, or None when no follower is left.
    """

    def __init__(self, author_id: int, after: int) -> None:
        self._author_id = author_id
        self.rest: int | None = after

    def __iter__(self) -> Iterator[list[int]]:
        for _ in range(PAGES):
            if self.rest is None:
                return
            is_first = self.rest == 0
            # One more than a page tells whether there is another, without a run that finds none.
            with tracing.span("read followers"):
                page = accounts.follower_page(
                    account_id=self._author_id, after=self.rest, limit=PAGE + 1
                )
            self.rest = page[PAGE - 1] if len(page) > PAGE else None
            del page[PAGE:]
            if is_first:
                page = sorted([*page, self._author_id])
            if page:
                yield page


def _leavers(*, author_id: int, page: Sequence[int]) -> set[int]:
    """Return those of a page of the audience who have left it since the page was read."""
    place = bisect_left(page, author_id)
    has_author = page[place : place + 1] == [author_id]
    followers = [*page[:place], *page[place + 1 :]] if has_author else page
    if not followers:
        return set()
    still = accounts.followers_between(account_id=author_id, first=followers[0], last=followers[-1])
    return set() if still == followers else set(followers).difference(still)


def remove_from_homes(ref: Ref, *, after: int) -> int | None:
    """Take a removed tweet out of the audience's homes, pages at a time as `fan_out` does.

    If the author's tweets are merged, it is taken out of what readers merge, and out of the
    author's own home.
    """
    if tweets.is_visible(ref.id):  # A moderator has restored it meanwhile.
        return None
    ref = _complete(ref)
    if not after:
        store.mark_removed([ref.id])
    reach = accounts.reach_of(ref.author_id)
    if reach is not Reach.FAN_OUT:
        build.refresh_popular([ref.author_id])
    audience = _Audience(ref.author_id, after)
    for page in [[ref.author_id]] if reach is Reach.MERGE else audience:
        store.remove(ref.entry, store.existing(page))
        if tweets.is_visible(ref.id):  # Or just now, and the new delivery has been here before.
            _deliver([page], ref)
            return None
    return None if reach is Reach.MERGE else audience.rest


def drop_homes_of_followers(*, account_id: int, after: int) -> int | None:
    """Have homes lose, or get back, all that an author wrote; pages at a time as `fan_out` does.

    Homes into which the tweets were fanned out are dropped. If the author's tweets are merged, the
    entries that readers merge are refreshed: none while the author is suspended or deleted.
    """
    reach = accounts.reach_of(account_id)
    if reach is not Reach.FAN_OUT and not after:
        build.refresh_popular([account_id])
    if reach is Reach.MERGE:
        store.drop([account_id])  # the author's own, which holds them by itself
        return None
    return drop_homes(account_id=account_id, after=after)


def leave_homes(*, account_id: int, after: int) -> int | None:
    """Take all that a deleted author wrote out of homes, pages at a time; then publish LeftHomes.

    It does what `drop_homes_of_followers` does. If the author's tweets are merged, it also takes
    the author off the followers' lists of whom to merge. Follows are purged only afterwards: they
    tell whose homes these are.
    """
    rest = drop_homes_of_followers(account_id=account_id, after=after)
    if accounts.reach_of(account_id) is Reach.MERGE:
        audience = _Audience(account_id, after)
        for page in audience:
            store.stop_merging(account_id, page)
        rest = audience.rest
    if rest is None:
        with transaction.atomic():
            publish(LeftHomes(account_id=account_id))
    return rest


def drop_homes(*, account_id: int, after: int) -> int | None:
    """Drop the homes of an author and of followers, pages at a time as `fan_out` does."""
    audience = _Audience(account_id, after)
    for page in audience:
        store.drop(page)
    return audience.rest


def announce_popular(*, account_id: int, after: int) -> int | None:
    """Have the followers' homes built again, pages at a time, and in the end tell that all were.

    A build that began before the author became popular is dropped with the home.
    """
    rest = drop_homes(account_id=account_id, after=after)
    if rest is None:
        with transaction.atomic():
            publish(FollowersKnow(account_id=account_id))
    return rest


def homes(*, after: int = 0) -> Iterator[int]:
    """Yield the accounts > `after` that have a home, by id."""
    while account_ids := accounts.all_ids(after=after, limit=PAGE):
        yield from store.existing(account_ids)
        after = account_ids[-1]


def drop_all_homes(*, after: int) -> int | None:
    """Drop everybody's home, a page of accounts at a time."""
    if not after:
        build.refresh_popular(accounts.popular_ids())
    account_ids = accounts.all_ids(after=after, limit=PAGE)
    store.drop(account_ids)
    return account_ids[-1] if len(account_ids) == PAGE else None
