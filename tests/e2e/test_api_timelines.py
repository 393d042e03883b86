"""Home timelines through the real worker; news without gaps."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.client import User, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]


def test_news_miss_and_repeat_nothing_while_several_post(
    ada: User, bob: User, join: Callable[[], User]
) -> None:
    cyd = join()
    ada.follow(bob, cyd)
    start = datetime.now(UTC) - timedelta(seconds=1)
    since_id = ada.get("/timeline/update", since=start.isoformat()).json["meta"]["next_since_id"]
    assert ada.home() == []
    seen: list[int] = []

    def poll() -> None:
        nonlocal since_id
        page = ada.get("/timeline/update", limit=7, since_id=since_id)
        seen.extend(reversed(page.ids))
        since_id = page.json["meta"]["next_since_id"]

    def post(number: int) -> int:
        return (ada, bob, cyd)[number % 3].tweet(f"news {number}")

    with ThreadPoolExecutor(3) as pool:
        posted = [pool.submit(post, number) for number in range(60)]
        while not all(future.done() for future in posted):
            poll()
    ids = sorted(future.result() for future in posted)

    def all_seen() -> None:
        poll()
        assert len(seen) >= len(ids)

    eventually(all_seen)
    assert seen == ids
    poll()
    assert seen == ids

    def delivered() -> None:
        assert ada.home(limit=100) == ids[::-1]

    eventually(delivered)


def test_news_name_the_tweets_that_are_gone(ada: User, bob: User) -> None:
    ada.follow(bob)
    tweets = [bob.tweet(f"maybe {number}") for number in range(3)]
    since_id = tweets[-1]
    bob.delete(f"/tweet/delete/{tweets[1]}")
    news = ada.get("/timeline/update", since_id=since_id)
    assert news.ids == []
    assert news.json["deleted"] == [str(tweets[1])]
    assert ada.home() == [tweets[2], tweets[0]]


def test_news_have_the_home_read_again_when_a_followee_is_gone(ada: User, bob: User) -> None:
    ada.follow(bob)
    tweet = bob.tweet("soon gone with me")
    bob.delete(f"/auth/delete/{bob.id}", {"password": bob.password})

    def cleared_away() -> None:
        assert ada.metrics()["following_count"] == 0

    def told() -> bool:
        return ada.get("/timeline/update", since_id=tweet).json["meta"]["reread"]

    before = told()
    eventually(cleared_away)
    assert (before, told()) == (True, True)
    assert ada.home() == []


def test_a_tweet_shows_in_its_authors_next_read(ada: User) -> None:
    assert ada.home() == []
    for number in range(5):
        tweet = ada.tweet(f"number {number}")
        assert ada.home(limit=1) == [tweet]


def test_a_tweet_and_a_retweet_reach_followers_who_have_read_before(
    ada: User, bob: User, join: Callable[[], User]
) -> None:
    cyd = join()
    ada.follow(bob)
    assert ada.home() == []
    ids: list[int] = []

    def shows(ids: list[int]) -> None:
        assert ada.home() == ids

    # The first may find a home that the follow dropped; the last finds one for sure.
    for number in range(3):
        ids.insert(0, bob.tweet(f"to my followers, {number}"))
        eventually(lambda: shows(ids))
    original = cyd.tweet("nobody follows me")
    retweet = int(bob.post("/tweet/retweet", {"tweet_id": str(original)}, status=201).data["id"])
    eventually(lambda: shows([retweet, *ids]))
    page = ada.get("/timeline/timeline")
    assert [each["id"] for each in page.json["includes"]["tweets"]] == [str(original)]
    ada.post("/tweet/like", {"tweet_id": str(original)})
    assert ada.get("/timeline/timeline").json["viewer"]["liked"] == [str(original)]

    bob.delete("/tweet/retweet", tweet_id=original)
    assert ada.home() == ids
    bob.delete(f"/tweet/delete/{ids[0]}")
    assert ada.home() == ids[1:]
