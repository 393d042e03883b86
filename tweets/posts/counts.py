"""Counts of tweets: shown soon after a change, folded later."""

from collections.abc import Collection
from functools import partial

from django.db import transaction

from tweets.events import MetricsFolded
from tweets.models import TweetMetrics, TweetMetricsDelta
from tweets.posts import cache, reads
from twitter.base.data import redis
from twitter.base.data.counters import fold
from twitter.outbox.events import publish


def show_counts_after_commit(tweet_id: int) -> None:
    """Have a tweet's cached counts replaced after the running transaction.

    For a tweet that is liked all the time, only the first changes of a second are shown in this
    way. Folding shows all changes: a change is folded once, after its commit, and the tweet is
    rendered after the commit of the folding, hence from a snapshot that holds the change.
    """
    transaction.on_commit(partial(_show_counts, tweet_id))


@redis.without_redis(lambda: None)
def _show_counts(tweet_id: int) -> None:
    if cache.may_refresh(tweet_id):
        refresh([tweet_id])


def refresh(ids: Collection[int]) -> None:
    """Refresh cached tweets after they changed. Raises redis.RedisError."""
    found = reads.fresh(ids)
    cache.replace(found.tweets, read_at=found.read_at)


def fold_metrics() -> None:
    """Add pending changes of counts to the totals."""
    with transaction.atomic():
        folded = fold(totals=TweetMetrics, deltas=TweetMetricsDelta, key="tweet_id")
        if folded:
            publish(MetricsFolded(tweet_ids=folded))
