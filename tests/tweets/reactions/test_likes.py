"""Likes of a tweet that many like at once: counted exactly, rendered seldom, and shown soon."""

import json
import random
import time

import pytest
from django.db import connection, transaction

from accounts import facade as accounts
from tweets.models import Like, Tweet, TweetMetrics, TweetMetricsDelta
from tweets.posts import cache, reads
from tweets.posts import moderation as posts_moderation
from tweets.posts import services as posts_services
from tweets.reactions import marks
from tweets.reactions import services as reactions_services
from tweets.reader import reader
from tweets.tasks import fold_metrics
from tweets.text import parse
from twitter.base.data import parts, stamped
from twitter.outbox.models import Delivery

pytestmark = pytest.mark.usefixtures("commits")


@pytest.fixture
def tweet(make_account, run_outbox) -> int:
    answer = posts_services.post(author_id=make_account("ann"), text=parse("hello"))
    run_outbox()
    return int(json.loads(answer)["data"]["id"])


@pytest.fixture
def fans(make_account) -> list[int]:
    return [make_account(f"fan{number}") for number in range(16)]


@pytest.fixture
def renderings(monkeypatch):
    """Return a list that grows by the ids of each reading of tweets from PostgreSQL."""
    read: list[list[int]] = []
    fresh = reads.fresh

    def note(ids):
        read.append(list(ids))
        return fresh(ids)

    monkeypatch.setattr(reads, "fresh", note)
    return read


def shown(tweet_id: int) -> int:
    """Return the likes that readers are shown, from the cache alone."""
    return json.loads(cached(tweet_id))["public_metrics"]["like_count"]


def cached(tweet_id):
    """Return the tweet as it is cached: None if it is absent, False if nothing is known."""
    [found] = parts.fetch_values(cache.values([tweet_id]))
    return found.get(tweet_id, False)


@pytest.mark.django_db(transaction=True)
def test_parallel_likes_and_unlikes_are_counted_exactly(tweet, fans, in_parallel):
    def like_and_unlike(account_id, ends_with_a_like):
        def run():
            for _ in range(random.randint(2, 5)):
                reactions_services.like(account_id=account_id, tweet_id=tweet)
                reactions_services.like(account_id=account_id, tweet_id=tweet)
                reactions_services.unlike(account_id=account_id, tweet_id=tweet)
            if ends_with_a_like:
                reactions_services.like(account_id=account_id, tweet_id=tweet)

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
    reads.filled([tweet])
    reactions_services.like(account_id=fans[0], tweet_id=tweet)
    assert shown(tweet) == 1
    reactions_services.unlike(account_id=fans[0], tweet_id=tweet)
    assert shown(tweet) == 0
    assert not Delivery.objects.exists()


def test_a_tweet_that_everybody_likes_stays_cached_and_is_rendered_a_few_times_only(
    tweet, fans, renderings
):
    reads.filled([tweet])
    renderings.clear()
    began = time.monotonic()
    for _ in range(5):
        for account_id in fans:
            reactions_services.like(account_id=account_id, tweet_id=tweet)
            assert cached(tweet)
            reactions_services.unlike(account_id=account_id, tweet_id=tweet)
    for account_id in fans:
        reactions_services.like(account_id=account_id, tweet_id=tweet)
    windows = int(time.monotonic() - began) + 2
    assert len(renderings) <= windows * cache.REFRESHES_A_SECOND
    renderings.clear()
    fold_metrics()
    assert renderings == [[tweet]]
    assert shown(tweet) == len(fans)


def test_without_redis_a_like_counts_and_the_folding_is_heard_later(
    tweet, fans, run_outbox, redis_gone, monkeypatch
):
    reads.filled([tweet])
    redis_gone()
    reactions_services.like(account_id=fans[0], tweet_id=tweet)
    fold_metrics()
    monkeypatch.undo()
    assert shown(tweet) == 0
    assert set(Delivery.objects.values_list("task", flat=True)) == {
        "tweets.tasks.refresh_marks",
        "tweets.tasks.refresh_tweets",
    }
    run_outbox()
    assert shown(tweet) == 1


def test_what_was_read_before_a_like_does_not_replace_what_was_read_after(tweet, fans):
    before = reads.fresh([tweet])
    reactions_services.like(account_id=fans[0], tweet_id=tweet)
    cache.replace(before.tweets, read_at=before.read_at)
    assert shown(tweet) == 1
    cache.fill(before.tweets, read_at=before.read_at)
    assert shown(tweet) == 1


def test_a_removed_tweet_is_not_brought_back_by_a_like_under_way(tweet, fans):
    before = reads.fresh([tweet])
    posts_services.delete(account_id=before.tweets[tweet].author_id, tweet_id=tweet)
    cache.replace(before.tweets, read_at=before.read_at)
    cache.fill(before.tweets, read_at=before.read_at)
    assert cached(tweet) == b""


def test_what_was_read_long_ago_fills_in_nothing(tweet, fans, valkey):
    """A reader stood still since before a change, and what replaced the value was lost."""
    (fan, *_) = fans
    now, then = reads.fresh([tweet]), (stamped.FILL_SECONDS + 1) * 1_000_000
    of_fan = marks._stored(fan, ())
    valkey.flushdb()
    cache.fill(now.tweets, read_at=now.read_at - then)
    cache.replace(now.tweets, read_at=now.read_at - then)
    old = of_fan._replace(read_at=of_fan.read_at - then)
    marks.VALUES.fill({fan: marks._packed(old)})
    assert cached(tweet) is False
    assert marks.fetch(fan) is None
    cache.fill(now.tweets, read_at=now.read_at)
    marks.VALUES.fill({fan: marks._packed(of_fan)})
    assert cached(tweet) == now.tweets[tweet].body
    assert marks.fetch(fan) == of_fan


def test_what_an_account_did_is_replaced_at_once_and_its_next_read_makes_no_sql(
    tweet, fans, sql_statements
):
    (fan, *_) = fans
    for act, liked, retweeted in (
        (reactions_services.like, {tweet}, set()),
        (reactions_services.retweet, {tweet}, {tweet}),
        (reactions_services.unlike, set(), {tweet}),
        (reactions_services.undo_retweet, set(), set()),
    ):
        act(account_id=fan, tweet_id=tweet)
        sql_statements.clear()
        found = marks.fetch(fan)
        assert found.marked == {"liked": liked, "retweeted": retweeted, "bookmarked": set()}
        assert sql_statements == []


def test_a_repeated_like_changes_nothing(tweet, fans, valkey):
    (fan, *_) = fans
    reactions_services.like(account_id=fan, tweet_id=tweet)
    valkey.delete(marks.VALUES.key(fan))
    reactions_services.like(account_id=fan, tweet_id=tweet)
    assert marks.fetch(fan) is None, "nothing was replaced"
    assert Like.objects.filter(account_id=fan).count() == 1


def test_moderating_a_retweet_is_told_to_its_authors_marks(tweet, fans):
    (fan, moderator, *_) = fans
    retweet_id, _ = reactions_services.retweet(account_id=fan, tweet_id=tweet)
    for act, retweeted in ((posts_moderation.hide, set()), (posts_moderation.restore, {tweet})):
        act(tweet_ids=[retweet_id], by_id=moderator, reason="test")
        assert marks.fetch(fan).marked["retweeted"] == retweeted


def test_what_is_asked_below_the_floor_is_kept_and_absence_too(
    tweet, fans, monkeypatch, sql_statements
):
    """Later likes keep the answers, and bring them up to date."""
    monkeypatch.setattr(marks, "NEWEST", 1)
    (fan, *_) = fans
    author = Tweet.objects.get(id=tweet).author_id
    other, newer = (Tweet.objects.create(author_id=author, text="x").pk for _ in range(2))
    for number in (newer, tweet):
        reactions_services.like(account_id=fan, tweet_id=number)
    for statements in (1, 0):
        sql_statements.clear()
        found = reader(fan).marks_of([tweet, other, newer])
        assert len(sql_statements) == statements
        assert found.marked["liked"] == {tweet, newer}
    reactions_services.like(account_id=fan, tweet_id=other)
    reactions_services.unlike(account_id=fan, tweet_id=tweet)
    sql_statements.clear()
    assert reader(fan).marks_of([tweet, other, newer]).marked["liked"] == {other, newer}
    assert sql_statements == []


def test_what_was_known_stays_known_when_the_floor_rises_while_a_page_is_made(
    tweet, fans, monkeypatch
):
    monkeypatch.setattr(marks, "NEWEST", 2)
    (fan, *_) = fans
    author = Tweet.objects.get(id=tweet).author_id
    liked = [Tweet.objects.create(author_id=author, text="x").pk for _ in range(4)]
    for number in liked[:2]:
        reactions_services.like(account_id=fan, tweet_id=number)
    known = marks.fetch(fan)
    for number in liked[2:]:
        reactions_services.like(account_id=fan, tweet_id=number)
    page = [liked[1], tweet]
    assert marks.knowing(fan, known, tweet_ids=page).of(page)["liked"] == {liked[1]}


@pytest.mark.django_db(transaction=True)
def test_likers_of_one_tweet_do_not_wait_for_each_other(tweet, fans, in_parallel):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tweets_like (account_id, tweet_id) VALUES (%s, %s)", [fans[0], tweet]
        )
        in_parallel(
            *(
                lambda account_id=account_id: reactions_services.like(
                    account_id=account_id, tweet_id=tweet
                )
                for account_id in fans[1:]
            )
        )
        assert Like.objects.exclude(account_id=fans[0]).count() == 15
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_writing_takes_few_statements(tweet, fans, sql_statements):
    (fan, *_) = fans
    reads.filled([tweet])
    reader(fan).marks_of([])
    accounts.filled_relations(fan)

    def statements(act) -> list[str]:
        sql_statements.clear()
        act()
        return [sql.split()[0] for sql in sql_statements]

    posts_services.post(author_id=fan, text=parse("hello"))  # the author's card is cached now
    # The tweet, its author's count, the outbox, all in one.
    post = statements(lambda: posts_services.post(author_id=fan, text=parse("hello")))
    assert post == ["WITH"]
    # The like and its delta, the outbox, the settlement; the marks and the tweet for the cache.
    like = statements(lambda: reactions_services.like(account_id=fan, tweet_id=tweet))
    assert like == ["WITH", "INSERT", "WITH", "WITH", "SELECT"]
    again = statements(lambda: reactions_services.like(account_id=fan, tweet_id=tweet))
    assert again == ["WITH"]
