"""The newest tweets of many authors, of whom few write much and many little."""

import random

import pytest
from django.db import connection

from tweets.models import Tweet
from tweets.posts import reads


@pytest.fixture
def written(make_account):
    """Return who wrote what: one author nearly everything, one nothing."""
    authors = [make_account(f"author{number}") for number in range(12)]
    chance = random.Random(7)
    writers = chance.choices(authors[:-1], weights=[200, 60, 20, 8, 4, 4, 2, 2, 1, 1, 1], k=300)
    tweets = [Tweet.objects.create(author_id=author, text="x").pk for author in writers]
    return authors, sorted(tweets)


@pytest.mark.parametrize("limit", [1, 7, 40, 299, 300, 800])
def test_the_newest_are_the_newest_however_unevenly_they_are_written(written, limit):
    authors, tweets = written
    middle = tweets[150]
    for bounds in ({}, {"before": middle}, {"after": middle}):
        right = [
            number
            for number in tweets
            if bounds.get("after", 0) < number < bounds.get("before", 2**53)
        ]
        newest = reads.newest(author_ids=authors, limit=limit, **bounds)
        assert [tweet.id for tweet in newest] == right[::-1][:limit]
        oldest = reads.newest(author_ids=authors, limit=limit, oldest_first=True, **bounds)
        assert [tweet.id for tweet in oldest] == right[:limit]


@pytest.mark.parametrize("oldest_first", [False, True])
def test_what_is_removed_between_two_scans_does_not_make_the_rest_look_like_all(
    make_account, oldest_first, monkeypatch
):
    """Fewer than were asked for would mean that there are no more."""
    monkeypatch.setattr(reads, "FIRST_SHARES", 1)  # so the first scan takes 7 of each author
    authors = [make_account(f"author{number}") for number in range(12)]
    writers = [authors[0]] * 7 + authors[1:-1] * 6 + [authors[-1]] * 7
    tweets = [Tweet.objects.create(author_id=author, text="x").pk for author in writers]
    shown = sorted(tweets, reverse=not oldest_first)
    scans = []

    def remove_after_the_first(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if "unnest" in sql:
            scans.append(sql)
            if len(scans) == 1:
                Tweet.objects.filter(id=shown[3])._raw_delete("default")
        return result

    with connection.execute_wrapper(remove_after_the_first):
        found = reads.newest(author_ids=authors, limit=40, oldest_first=oldest_first)
    assert len(scans) > 2
    del shown[3]
    assert [tweet.id for tweet in found] == shown[:40]


def test_an_original_that_goes_before_its_author_is_asked_for_does_not_make_the_rest_look_like_all(
    make_account, monkeypatch
):
    """The retweet goes with it. Fewer tweets than asked for would mean that there are no more."""
    ann, bob = make_account("ann"), make_account("bob")
    for _ in range(9):
        Tweet.objects.create(author_id=bob, text="x")
    original = Tweet.objects.create(author_id=ann, text="x")
    retweet = Tweet.objects.create(author_id=bob, original=original)
    authors_of = reads.authors_of

    def after_the_purge(tweet_ids):
        Tweet.objects.filter(id=retweet.pk)._raw_delete("default")
        Tweet.objects.filter(id=original.pk)._raw_delete("default")
        return authors_of(tweet_ids)

    monkeypatch.setattr(reads, "authors_of", after_the_purge)
    assert len(reads.newest(author_ids=[bob], limit=5)) == 5
