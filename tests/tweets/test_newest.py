"""The newest tweets of many authors, of whom few write much and many little."""

import random

import pytest

from tweets import selectors
from tweets.models import Tweet


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
        newest = selectors.newest(author_ids=authors, limit=limit, **bounds)
        assert [tweet.id for tweet in newest] == right[::-1][:limit]
        oldest = selectors.newest(author_ids=authors, limit=limit, oldest_first=True, **bounds)
        assert [tweet.id for tweet in oldest] == right[:limit]
