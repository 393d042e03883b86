"""Purging what is deleted, in steps that each take a bounded time."""

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now

from tweets.declares import SUBJECTS
from tweets.events import AuthorPurged
from tweets.models import FirstAnswer, Tombstone, Tweet, TweetMetrics, TweetMetricsDelta
from tweets.posts import cache, reads
from tweets.posts.services import delete_locked
from twitter.base import declared
from twitter.base.admin import audit
from twitter.base.data import expiry
from twitter.outbox.events import publish

KEEP_ANSWERS = timedelta(days=1)
KEEP_TOMBSTONES = timedelta(days=7)


def purge_tweet(tweet_id: int) -> bool:
    """Purge a step's worth of a deleted tweet. Returns whether nothing is left of it."""
    return _purge_tweets([tweet_id])


def _purge_tweets(tweet_ids: Sequence[int]) -> bool:
    """Purge a step's worth of deleted tweets. Returns whether nothing is left of them.

    What is added meanwhile, by somebody who saw a tweet just before, is found by a later step. The
    tweets go last: foreign keys refuse that while a retweet or a like refers to them, and no
    bookmark is added to a deleted tweet (`reactions.bookmarks.add`).
    """
    with transaction.atomic():
        retweets = Tweet.objects.filter(original_id__in=tweet_ids).select_for_update()[
            : declared.STEP
        ]
        found = list(retweets)
        for retweet in found:
            delete_locked(retweet)
        others = [erase(tweet_ids) for subject in SUBJECTS for erase in subject.erase_of_tweets]
        if found or any(others):
            return False
        TweetMetricsDelta.objects.filter(tweet_id__in=tweet_ids).delete()
        TweetMetrics.objects.filter(tweet_id__in=tweet_ids).delete()
        Tweet.objects.filter(id__in=tweet_ids, state=Tweet.State.DELETED).delete()
    return True


def purge_author(author_id: int) -> bool:
    """Purge a step's worth of what a deleted account did. Returns whether nothing is left.

    The last step publishes AuthorPurged.
    """
    steps = (_purge_tweets_by, *(erase for subject in SUBJECTS for erase in subject.erase))
    if any(erase(author_id) for erase in steps):
        return False
    with transaction.atomic():
        publish(AuthorPurged(author_id=author_id))
    return True


def _purge_tweets_by(author_id: int) -> int:
    """Delete some of the author's tweets, and purge some that are deleted.

    No event tells of each: after the account was deleted, `timelines.tasks.leave_homes` took all of
    its tweets out of homes.
    """
    deleted = _delete_tweets_by(author_id)
    marked = Tweet.objects.filter(author_id=author_id, state=Tweet.State.DELETED)
    left = list(marked.order_by("-id").values_list("id", flat=True)[: declared.STEP])
    audit.anonymise(audit.about(Tweet, {*deleted, *left}), what="a tweet")
    _purge_tweets(left)
    return len(deleted) + len(left)


@transaction.atomic
def _delete_tweets_by(author_id: int) -> list[int]:
    """Delete some of the author's retweets, mark some tweets as deleted; return their ids."""
    own = Tweet.objects.filter(author_id=author_id)
    some = (
        own.exclude(state=Tweet.State.DELETED).order_by("-id").select_for_update()[: declared.STEP]
    )
    tweets = list(some)
    retweets = [tweet for tweet in tweets if tweet.original_id]
    TweetMetricsDelta.objects.bulk_create(
        TweetMetricsDelta(tweet_id=retweet.original_id, retweet_count=-1) for retweet in retweets
    )
    Tweet.objects.filter(id__in=[retweet.pk for retweet in retweets]).delete()
    tweet_ids = [tweet.pk for tweet in tweets]
    Tweet.objects.filter(id__in=tweet_ids).update(
        state=Tweet.State.DELETED, text="", removed_at=Now()
    )
    # Before the commit, so that it cannot be missed: the account is deleted in any case.
    cache.replace(dict.fromkeys(tweet_ids), read_at=reads.clock())
    return tweet_ids


def delete_expired() -> bool:
    """Delete a step's worth of first answers after a day and of tombstones after a week.

    Returns whether there may be more.
    """
    return expiry.delete_step(
        FirstAnswer.objects.filter(created_at__lt=Now() - KEEP_ANSWERS),
        Tombstone.objects.filter(removed_at__lt=Now() - KEEP_TOMBSTONES),
    )
