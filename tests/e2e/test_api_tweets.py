"""Posting, reading and deleting tweets, likes and retweets."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.client import User, eventually, new_name

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]


def test_a_new_tweet_is_answered_whole_and_read_again(ada: User, bob: User) -> None:
    text = "Hello @ada_1, look: https://example.org/a?b=c #first 🐈 ﷽"
    claimed = {"text": text, "author_id": str(bob.id)}
    ada.post("/tweet/create", claimed, status=400).assert_problem(400, field="author_id")
    created = ada.post("/tweet/create", {"text": text}, status=201)

    tweet = created.data
    assert tweet["text"] == text
    assert tweet["author_id"] == str(ada.id)
    assert tweet["conversation_id"] == tweet["id"]
    assert tweet["referenced_tweets"] == []
    assert set(tweet["public_metrics"].values()) == {0}
    assert [tag["tag"] for tag in tweet["entities"]["hashtags"]] == ["first"]
    assert [user["id"] for user in created.json["includes"]["users"]] == [str(ada.id)]
    assert created.json["viewer"] == {"liked": [], "retweeted": [], "bookmarked": []}
    read = bob.get(f"/tweet/id/{tweet['id']}")
    assert read.data == tweet


def test_the_limit_is_280_weighted_characters(ada: User) -> None:
    for longest in ("a" * 280, "猫" * 140, "https://example.org/" + "x" * 300 + " " + "a" * 256):
        ada.post("/tweet/create", {"text": longest}, status=201)
        refused = ada.post("/tweet/create", {"text": longest + "a"}, status=None)
        if not longest.startswith("https"):
            refused.assert_problem(400, field="text")
    over = {"text": "https://example.org/x " + "a" * 257}
    ada.post("/tweet/create", over, status=400).assert_problem(400, field="text")


def test_an_idempotency_key_gives_the_first_answer_again(ada: User, bob: User) -> None:
    key = {"Idempotency-Key": new_name()}
    first = ada.post("/tweet/create", {"text": "once"}, status=201, headers=key)
    again = ada.post("/tweet/create", {"text": "once"}, status=201, headers=key)
    assert again.body == first.body
    ada.post("/tweet/create", {"text": "twice"}, status=422, headers=key).assert_problem(422)
    others = bob.post("/tweet/create", {"text": "twice"}, status=201, headers=key)
    assert others.data["author_id"] == str(bob.id)
    assert ada.get(f"/timeline/user/{ada.id}").ids == first_ids(first)


def first_ids(answer: object) -> list[int]:
    return [int(answer.data["id"])]  # type: ignore[attr-defined]


def test_requests_at_once_with_one_idempotency_key_make_one_tweet(ada: User) -> None:
    key = {"Idempotency-Key": new_name()}

    def post(_: int) -> str:
        answer = ada.post("/tweet/create", {"text": "all at once"}, status=201, headers=key)
        return answer.data["id"]

    with ThreadPoolExecutor(6) as pool:
        ids = set(pool.map(post, range(12)))
    assert len(ids) == 1
    assert ada.get(f"/timeline/user/{ada.id}").ids == [int(next(iter(ids)))]


def test_only_the_author_deletes_a_tweet(ada: User, bob: User) -> None:
    tweet = ada.tweet("mine")
    bob.delete(f"/tweet/delete/{tweet}", status=403).assert_problem(403)
    assert ada.delete(f"/tweet/delete/{tweet}").data == {"deleted": True}
    for reader in (ada, bob):
        reader.get(f"/tweet/id/{tweet}", status=404).assert_problem(404)
    ada.delete(f"/tweet/delete/{tweet}", status=404).assert_problem(404)
    assert ada.home() == []
    assert ada.get(f"/timeline/user/{ada.id}").ids == []


def test_tweet_counts_follow_posting_and_deleting(ada: User) -> None:
    def counted(number: int) -> None:
        assert ada.metrics()["tweet_count"] == number

    tweets = [ada.tweet(f"number {number}") for number in range(3)]
    eventually(lambda: counted(3))
    ada.delete(f"/tweet/delete/{tweets[0]}")
    eventually(lambda: counted(2))


def metric(reader: User, tweet: int, name: str, value: int) -> None:
    assert reader.get(f"/tweet/id/{tweet}").data["public_metrics"][name] == value


def test_likes_count_each_account_once(ada: User, bob: User) -> None:
    tweet = ada.tweet("like me")
    body = {"tweet_id": str(tweet)}

    for user in (ada, bob, bob):
        assert user.post("/tweet/like", body).data == {"liked": True}
    eventually(lambda: metric(ada, tweet, "like_count", 2))
    assert bob.get(f"/tweet/id/{tweet}").json["viewer"]["liked"] == [str(tweet)]

    assert bob.delete("/tweet/like", tweet_id=tweet).data == {"liked": False}
    assert bob.delete("/tweet/like", body).data == {"liked": False}
    eventually(lambda: metric(ada, tweet, "like_count", 1))
    assert bob.get(f"/tweet/id/{tweet}").json["viewer"]["liked"] == []


def test_likes_from_many_at_once_are_all_counted(ada: User, join: Callable[[], User]) -> None:
    tweet = ada.tweet("everybody, please")
    fans = [join() for _ in range(6)]

    def to_and_fro(fan: User) -> None:
        for _ in range(3):
            fan.post("/tweet/like", {"tweet_id": str(tweet)})
            fan.delete("/tweet/like", tweet_id=tweet)
        fan.post("/tweet/like", {"tweet_id": str(tweet)})

    with ThreadPoolExecutor(len(fans)) as pool:
        list(pool.map(to_and_fro, fans))
    eventually(lambda: metric(ada, tweet, "like_count", len(fans)))


def test_a_retweet_is_a_tweet_and_counts_once(ada: User, bob: User) -> None:
    tweet = ada.tweet("retweet me")
    body = {"tweet_id": str(tweet)}

    created = bob.post("/tweet/retweet", body, status=201)
    again = bob.post("/tweet/retweet", body, status=200)

    retweet = created.data
    assert again.data["id"] == retweet["id"] != str(tweet)
    assert retweet["author_id"] == str(bob.id)
    assert retweet["referenced_tweets"] == [{"type": "retweeted", "id": str(tweet)}]
    assert [each["id"] for each in created.json["includes"]["tweets"]] == [str(tweet)]
    assert {each["id"] for each in created.json["includes"]["users"]} == {str(ada.id), str(bob.id)}
    eventually(lambda: metric(ada, tweet, "retweet_count", 1))
    assert bob.get(f"/tweet/id/{tweet}").json["viewer"]["retweeted"] == [str(tweet)]

    for _ in range(2):
        assert bob.delete("/tweet/retweet", tweet_id=tweet).data == {"retweeted": False}
    eventually(lambda: metric(ada, tweet, "retweet_count", 0))
    ada.get(f"/tweet/id/{retweet['id']}", status=404)
    assert bob.get(f"/timeline/user/{bob.id}").ids == []


def test_retweeting_or_liking_a_retweet_is_of_the_original(
    ada: User, bob: User, join: Callable[[], User]
) -> None:
    cyd = join()
    tweet = ada.tweet("the original")
    retweet = bob.post("/tweet/retweet", {"tweet_id": str(tweet)}, status=201).data["id"]

    second = cyd.post("/tweet/retweet", {"tweet_id": retweet}, status=201)
    cyd.post("/tweet/like", {"tweet_id": retweet})

    assert second.data["referenced_tweets"] == [{"type": "retweeted", "id": str(tweet)}]
    eventually(lambda: metric(ada, tweet, "retweet_count", 2))
    eventually(lambda: metric(ada, tweet, "like_count", 1))


def test_deleting_an_original_removes_its_retweets(ada: User, bob: User) -> None:
    tweet = ada.tweet("short-lived")
    retweet = bob.post("/tweet/retweet", {"tweet_id": str(tweet)}, status=201).data["id"]
    since = str(tweet - 1)

    ada.delete(f"/tweet/delete/{tweet}")

    ada.get(f"/tweet/id/{retweet}", status=404)
    assert bob.home() == []
    assert bob.get(f"/timeline/user/{bob.id}").ids == []

    def counted_and_told() -> None:
        assert bob.metrics()["tweet_count"] == 0
        assert retweet in bob.get("/timeline/update", since_id=since).json["deleted"]

    eventually(counted_and_told)
