"""Likes of a tweet that many like at once: counted exactly, rendered seldom, and shown soon."""

import dataclasses
import json
import random
import time

import pytest
from django.db import connection, transaction

from tweets import cache, selectors, services
from tweets.models import Like, TweetMetrics, TweetMetricsDelta
from tweets.tasks import fold_metrics
from twitter.lib import stamped
from twitter.outbox.models import Delivery

pytestmark = pytest.mark.usefixtures("commits")


@pytest.fixture
def tweet(make_account, run_outbox) -> int:
    answer = services.post(author_id=make_account("ann"), text="hello")
    run_outbox()
    return int(json.loads(answer)["data"]["id"])


@pytest.fixture
def fans(make_account) -> list[int]:
    return [make_account(f"fan{number}") for number in range(16)]


@pytest.fixture
def renderings(monkeypatch):
    """Return a list that grows by the ids of each reading of tweets from PostgreSQL."""
    read: list[list[int]] = []
    load = selectors.load

    def note(ids):
        read.append(list(ids))
        return load(ids)

    monkeypatch.setattr(selectors, "load", note)
    return read


def shown(tweet_id: int) -> int:
    """Return the likes that readers are shown, from the cache alone."""
    return json.loads(cache.fetch([tweet_id]).tweets[tweet_id].body)["public_metrics"]["like_count"]


@pytest.mark.django_db(transaction=True)
def test_parallel_likes_and_unlikes_are_counted_exactly(tweet, fans, in_parallel):
    def like_and_unlike(account_id, ends_with_a_like):
        def run():
            for _ in range(random.randint(2, 5)):
                services.like(account_id=account_id, tweet_id=tweet)
                services.like(account_id=account_id, tweet_id=tweet)
                services.unlike(account_id=account_id, tweet_id=tweet)
            if ends_with_a_like:
                services.like(account_id=account_id, tweet_id=tweet)

        return run

    def fold():
        for _ in range(20):
            fold_metrics()
            time.sleep(0.01)

    in_parallel(
        *(like_and_unlike(account_id, number % 2) for number, account_id in enumerate(fans)), fold
    )
    fold_metrics()
    assert Like.objects.count() == 8
    assert not TweetMetricsDelta.objects.exists()
    assert TweetMetrics.objects.get().like_count == 8
    assert shown(tweet) == 8
    assert not Delivery.objects.exists()


def test_a_like_shows_at_once_and_leaves_nothing_to_deliver(tweet, fans):
    selectors.hydrate([tweet])
    services.like(account_id=fans[0], tweet_id=tweet)
    assert shown(tweet) == 1
    services.unlike(account_id=fans[0], tweet_id=tweet)
    assert shown(tweet) == 0
    assert not Delivery.objects.exists()


def test_a_tweet_that_everybody_likes_stays_cached_and_is_rendered_a_few_times_only(
    tweet, fans, renderings
):
    selectors.hydrate([tweet])
    renderings.clear()
    began = time.monotonic()
    for _ in range(5):
        for account_id in fans:
            services.like(account_id=account_id, tweet_id=tweet)
            assert cache.fetch([tweet])
            services.unlike(account_id=account_id, tweet_id=tweet)
    for account_id in fans:
        services.like(account_id=account_id, tweet_id=tweet)
    windows = int(time.monotonic() - began) + 2
    assert len(renderings) <= windows * cache.REFRESHES_A_SECOND
    renderings.clear()
    fold_metrics()
    assert renderings == [[tweet]]
    assert shown(tweet) == len(fans)


def test_without_redis_a_like_counts_and_the_folding_is_heard_later(
    tweet, fans, run_outbox, redis_gone, monkeypatch
):
    selectors.hydrate([tweet])
    redis_gone()
    services.like(account_id=fans[0], tweet_id=tweet)
    fold_metrics()
    monkeypatch.undo()
    assert shown(tweet) == 0
    assert set(Delivery.objects.values_list("task", flat=True)) == {
        "tweets.tasks.forget_viewer",
        "tweets.tasks.refresh_tweets",
    }
    run_outbox()
    assert shown(tweet) == 1


def test_what_was_read_before_a_like_does_not_replace_what_was_read_after(tweet, fans):
    before = selectors.fresh([tweet])
    services.like(account_id=fans[0], tweet_id=tweet)
    cache.replace(before)
    assert shown(tweet) == 1
    cache.store(before)
    assert shown(tweet) == 1


def test_a_removed_tweet_is_not_brought_back_by_a_like_under_way(tweet, fans):
    before = selectors.fresh([tweet])
    services.delete(
        account_id=next(iter(before.values())).author_id,
        tweet_id=tweet,
    )
    cache.replace(before)
    assert cache.fetch([tweet]).tweets == {}


def test_what_was_read_long_ago_fills_in_nothing(tweet, fans, valkey):
    """A reader stood still since before a change, for longer than its tombstone lived."""
    (fan, *_) = fans
    now, then = selectors.fresh([tweet])[tweet], (stamped.FILL_SECONDS + 1) * 1_000_000
    before = {tweet: now._replace(read_at=now.read_at - then)}
    viewer = selectors._stored_viewer(fan)
    valkey.flushdb()
    cache.store(before)
    cache.replace(before)
    cache.store_viewer(fan, dataclasses.replace(viewer, read_at=viewer.read_at - then))
    assert cache.fetch([tweet]).tweets == {}
    assert cache.fetch_viewer(fan) is None
    cache.store({tweet: now})
    cache.store_viewer(fan, viewer)
    assert cache.fetch([tweet]).tweets == {tweet: now}
    assert cache.fetch_viewer(fan) == viewer


@pytest.mark.parametrize("undo", [False, True])
def test_what_an_account_did_is_forgotten_at_once(tweet, fans, valkey, undo):
    (fan, *_) = fans
    key = cache._viewer_key(fan)
    acts = [(services.like, services.unlike), (services.retweet, services.undo_retweet)]
    for act in acts:
        act[0](account_id=fan, tweet_id=tweet)
        if undo:
            valkey.delete(key)
            act[1](account_id=fan, tweet_id=tweet)
        assert valkey.get(key) == b""
        assert 0 < valkey.pttl(key) <= stamped.TOMBSTONE_MS
        valkey.delete(key)
    services.like(account_id=fan, tweet_id=tweet)
    valkey.delete(key)
    services.like(account_id=fan, tweet_id=tweet)
    assert not valkey.exists(key), "a repeat changes nothing"


def test_moderating_a_retweet_is_told_to_its_authors_view(tweet, fans, valkey):
    (fan, moderator, *_) = fans
    retweet_id, _ = services.retweet(account_id=fan, tweet_id=tweet)
    key = cache._viewer_key(fan)
    for act in (services.hide, services.restore):
        valkey.delete(key)
        act(tweet_ids=[retweet_id], by_id=moderator, reason="test")
        assert valkey.get(key) == b""


@pytest.mark.django_db(transaction=True)
def test_likers_of_one_tweet_do_not_wait_for_each_other(tweet, fans, in_parallel):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tweets_like (account_id, tweet_id) VALUES (%s, %s)", [fans[0], tweet]
        )
        in_parallel(
            *(
                lambda account_id=account_id: services.like(account_id=account_id, tweet_id=tweet)
                for account_id in fans[1:]
            )
        )
        assert Like.objects.exclude(account_id=fans[0]).count() == 15
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_writing_takes_few_statements(tweet, fans, sql_statements):
    (fan, *_) = fans
    selectors.hydrate([tweet])

    def statements(act) -> list[str]:
        sql_statements.clear()
        act()
        return [sql.split()[0] for sql in sql_statements]

    services.post(author_id=fan, text="hello")  # the author's card is cached now
    # The tweet, its author's count, the outbox.
    post = statements(lambda: services.post(author_id=fan, text="hello"))
    assert post == ["INSERT", "INSERT", "INSERT"]
    # The like and its delta, the outbox, the settlement; the tweet for the cache.
    like = statements(lambda: services.like(account_id=fan, tweet_id=tweet))
    assert like == ["WITH", "INSERT", "WITH", "SELECT"]
    again = statements(lambda: services.like(account_id=fan, tweet_id=tweet))
    assert again == ["WITH"]
