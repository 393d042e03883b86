"""What the heaviest tweet weighs as JSON, and a page of a hundred of them."""

import pytest

from accounts.models import Account
from accounts.people.serializers import MAX_BIO, MAX_NAME
from tests.accounts.factories import AccountFactory, FollowFactory
from tests.weights import heaviest_text
from tweets import text
from tweets.models import Tweet
from tweets.posts.rendering import render

KIB = 1024
# docs/limits.md says these.
TWEET_BYTES = 12 * KIB
PAGE_BYTES = 1_024 * KIB

OTHERS = {
    "quotation marks": '"' * 280,
    "lines": "x" + "\u2028" * 138 + "x",
    "emoji": "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f" * 140,
    "links": '"'.join(["http://a.co/".ljust(371, "x")] * 11),
    "one link and mentions": "http://a.co/".ljust(2_048, "x") + '"@a' * 85,
    "mentions": '"'.join(["@a"] * 93),
    "hashtags": '"'.join(["#a"] * 93),
    "cashtags": " ".join(["$A"] * 93),
    "letters": "я" * 280,
}


def weight(tweet_text: str) -> int:
    return len(render(Tweet(id=2**53 - 1, author_id=2**53 - 1, text=tweet_text)).body)


def test_the_heaviest_tweet_is_at_most_12_kib():
    heaviest = text.parse(heaviest_text())
    assert len(heaviest.text.encode()) == text.MAX_BYTES
    weights = {name: weight(text.parse(other).text) for name, other in OTHERS.items()}
    assert max(weights.values()) < weight(heaviest.text), weights
    assert 0.9 * TWEET_BYTES < weight(heaviest.text) <= TWEET_BYTES


@pytest.mark.django_db
def test_the_heaviest_page_is_bounded(api):
    """A hundred retweets of the heaviest tweets, and all their two hundred authors."""
    reader = AccountFactory()
    for _ in range(100):
        author, retweeter = AccountFactory.create_batch(2)
        FollowFactory(follower=reader, followed=retweeter)
        original = Tweet.objects.create(author=author, text=text.parse(heaviest_text()).text)
        Tweet.objects.create(author=retweeter, original=original, text="")
    # An emoji has four bytes, a quotation mark two.
    Account.objects.update(name="\U0001f600" * MAX_NAME, bio="\U0001f600" * MAX_BIO)
    answer = api(reader.id).get("/timeline/timeline", {"limit": 100})
    page = answer.json()
    assert len(page["data"]) == len(page["includes"]["tweets"]) == page["meta"]["result_count"]
    assert 50 < len(page["data"]) < 100
    assert 0.9 * PAGE_BYTES < len(answer.content) <= PAGE_BYTES
    rest = api(reader.id).get(
        "/timeline/timeline", {"limit": 100, "max_id": page["meta"]["next_cursor"]}
    )
    assert len(page["data"]) + len(rest.json()["data"]) == 100
