"""Timelines longer than what is cached of them: pages to the very end, both ways.

By its name the last file: its tweets keep the worker busy for a while.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.e2e.client import Client, User

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
    """Return authors who have posted more than a home holds, and their follower."""
    reader, *authors = (join() for _ in range(1 + AUTHORS))

    def post(number: int) -> int:
        return authors[number % AUTHORS].tweet(f"tweet {number}")

    with ThreadPoolExecutor(4) as pool:
        ids = sorted(pool.map(post, range(TWEETS)), reverse=True)
    reader.follow(*authors)
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


def test_a_page_can_begin_anywhere(crowd: Crowd) -> None:
    ids = crowd.ids[-TWEETS:]  # those that were there before anybody read
    for index in (0, 19, CACHED - 50, CACHED, len(ids) - 3):
        page = crowd.reader.get("/timeline/timeline", limit=10, max_id=ids[index])
        assert page.ids == ids[index + 1 : index + 11]
    assert crowd.reader.home(max_id=ids[-1]) == []


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


def test_a_long_queue_does_not_look_like_an_outage(anybody: Client, crowd: Crowd) -> None:
    """The worker is busy delivering all those tweets; readers can be served nevertheless."""
    assert anybody.get("/timeline/healthz", ready=1).json["status"] == "ok"
