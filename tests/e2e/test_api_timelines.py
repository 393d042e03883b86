"""Home timelines through the real worker, past their cached end; news without gaps."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.client import User, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

CACHED = 800  # entries of a home; what is older comes from Postgres
AUTHORS, TWEETS = 3, 870


@dataclass
class Crowd:
    """Authors, somebody who follows them, and all their tweets, newest first."""

    reader: User
    authors: list[User]
    ids: list[int]


@pytest.fixture(scope="module")
def crowd(join: Callable[[], User]) -> Crowd:
    """Return authors whose tweets the worker has delivered into an existing home."""
    reader, *authors = (join() for _ in range(1 + AUTHORS))
    reader.follow(*authors)
    assert reader.home() == []  # builds the home, so that what comes is delivered to it

    def post(number: int) -> int:
        return authors[number % AUTHORS].tweet(f"tweet {number}")

    with ThreadPoolExecutor(4) as pool:
        ids = sorted(pool.map(post, range(TWEETS)), reverse=True)

    def delivered() -> None:
        seen: list[int] = []
        for page in reader.pages("/timeline/timeline?limit=100"):
            seen += page.ids
            if len(seen) >= CACHED:
                break
        assert seen == ids[: len(seen)]

    eventually(delivered, seconds=120)
    return Crowd(reader, authors, ids)


def test_home_pages_reach_the_very_end_while_tweets_arrive(crowd: Crowd) -> None:
    seen: list[int] = []
    late: list[int] = []
    for page in crowd.reader.pages("/timeline/timeline?limit=70"):
        seen += page.ids
        meta = page.json["meta"]
        assert meta["result_count"] == len(page.ids)
        assert (meta["newest_id"], meta["oldest_id"]) == (str(page.ids[0]), str(page.ids[-1]))
        assert ("next_cursor" in meta) == ("next" in page.links)
        late.append(crowd.authors[0].tweet(f"late {len(late)}"))
    assert seen == crowd.ids
    assert len(seen) > CACHED
    crowd.ids[:0] = sorted(late, reverse=True)

    def arrived() -> None:
        assert crowd.reader.home() == crowd.ids[:20]

    eventually(arrived)


def test_a_page_can_begin_anywhere(crowd: Crowd) -> None:
    for index in (0, 19, CACHED - 50, CACHED, len(crowd.ids) - 3):
        page = crowd.reader.get("/timeline/timeline", limit=10, max_id=crowd.ids[index])
        assert page.ids == crowd.ids[index + 1 : index + 11]
    assert crowd.reader.home(max_id=crowd.ids[-1]) == []


def test_an_authors_timeline_pages_both_ways(crowd: Crowd) -> None:
    author = crowd.authors[1]
    path = f"/timeline/user/{author.id}"
    down = [tweet_id for page in crowd.reader.pages(f"{path}?limit=100") for tweet_id in page.ids]
    assert len(down) == TWEETS // AUTHORS
    assert down == [tweet_id for tweet_id in crowd.ids if tweet_id in set(down)]

    up: list[int] = []
    page = crowd.reader.get(path, limit=100, since_id=down[-1])
    while page.ids:
        up = page.ids + up
        page = crowd.reader.get(page.links["prev"])
    assert up == down[:-1]


def test_news_since_an_id_come_without_gaps_from_far_back(crowd: Crowd) -> None:
    seen: list[int] = []
    page = crowd.reader.get("/timeline/update", limit=100, since_id=crowd.ids[-1])
    while page.ids:
        seen = page.ids + seen
        page = crowd.reader.get(page.links["prev"])
    assert seen == crowd.ids[:-1]


def test_news_miss_and_repeat_nothing_while_several_post(
    ada: User, bob: User, join: Callable[[], User]
) -> None:
    cyd = join()
    ada.follow(bob, cyd)
    start = datetime.now(UTC) - timedelta(seconds=1)
    since_id = ada.get("/timeline/update", since=start.isoformat()).json["meta"]["next_since_id"]
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


def test_news_name_the_tweets_that_are_gone(ada: User, bob: User) -> None:
    ada.follow(bob)
    tweets = [bob.tweet(f"maybe {number}") for number in range(3)]
    since_id = tweets[-1]
    bob.delete(f"/tweet/delete/{tweets[1]}")
    news = ada.get("/timeline/update", since_id=since_id)
    assert news.ids == []
    assert news.json["deleted"] == [str(tweets[1])]
    assert ada.home() == [tweets[2], tweets[0]]


def test_news_name_the_tweets_of_an_account_that_is_gone(ada: User, bob: User) -> None:
    ada.follow(bob)
    tweet = bob.tweet("soon gone with me")
    bob.delete(f"/auth/delete/{bob.id}", {"password": bob.password})

    def cleared_away() -> None:
        assert ada.metrics()["following_count"] == 0

    def told() -> list[str]:
        return ada.get("/timeline/update", since_id=tweet).json["deleted"]

    before = told()
    eventually(cleared_away)
    assert (before, told()) == ([str(tweet)], [str(tweet)])


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
    tweet = bob.tweet("to my followers")

    def shows(ids: list[int]) -> None:
        assert ada.home() == ids

    eventually(lambda: shows([tweet]))
    original = cyd.tweet("nobody follows me")
    retweet = int(bob.post("/tweet/retweet", {"tweet_id": str(original)}, status=201).data["id"])
    eventually(lambda: shows([retweet, tweet]))
    page = ada.get("/timeline/timeline")
    assert [each["id"] for each in page.json["includes"]["tweets"]] == [str(original)]
    ada.post("/tweet/like", {"tweet_id": str(original)})
    assert ada.get("/timeline/timeline").json["viewer"]["liked"] == [str(original)]

    bob.delete("/tweet/retweet", tweet_id=original)
    assert ada.home() == [tweet]
    bob.delete(f"/tweet/delete/{tweet}")
    assert ada.home() == []
