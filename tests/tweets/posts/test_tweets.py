"""Tweets over the API: posting, deleting, liking, retweeting, and what is counted."""

import json
from pathlib import Path

import pytest

from accounts.models import Account
from tweets import purging
from tweets.models import FirstAnswer, Like, Tombstone, Tweet, TweetMetrics, TweetMetricsDelta
from tweets.posts import moderation as posts_moderation
from tweets.posts import services as posts_services
from tweets.posts.rendering import SHAPE_VERSION, render
from tweets.reactions import services as reactions_services
from tweets.tasks import fold_metrics
from twitter.base import declared

pytestmark = pytest.mark.usefixtures("commits")

GOLDEN = Path(__file__).with_name("golden_tweet.json")


@pytest.fixture
def ann(make_account):
    return make_account("ann")


@pytest.fixture
def bob(make_account):
    return make_account("bob")


def post(client, text="hello", **headers) -> dict:
    answer = client.post("/tweet/create", {"text": text}, headers=headers)
    assert answer.status_code == 201, answer.content
    return answer.json()


def counts(client, tweet_id) -> tuple[int, int]:
    metrics = client.get(f"/tweet/id/{tweet_id}").json()["data"]["public_metrics"]
    return metrics["like_count"], metrics["retweet_count"]


def test_a_posted_tweet_is_answered_whole_and_read_alike(api, ann):
    answer = post(api(ann), "  Café #tag @bob https://example.com/a $ABC  ")
    tweet = answer["data"]
    assert tweet["text"] == "Café #tag @bob https://example.com/a $ABC"
    assert tweet["author_id"] == str(ann)
    assert tweet["conversation_id"] == tweet["id"]
    assert tweet["referenced_tweets"] == []
    assert [tag["tag"] for tag in tweet["entities"]["hashtags"]] == ["tag"]
    assert [user["username"] for user in answer["includes"]["users"]] == ["ann"]
    assert answer["viewer"] == {"liked": [], "retweeted": [], "bookmarked": []}
    assert api(ann).get(f"/tweet/id/{tweet['id']}").json()["data"] == tweet


def test_the_shape_of_a_tweet_is_the_golden_one():
    """When this fails on purpose, raise SHAPE_VERSION: cached bytes have the old shape."""
    tweet = Tweet(
        id=374_005_570_052_401,
        author_id=374_005_570_000_001,
        text="Hi @ann, see https://example.com #now $ABC 🎉",
        original_id=None,
    )
    tweet.like_count, tweet.retweet_count = 3, 2
    golden = json.loads(GOLDEN.read_text())
    assert golden["version"] == SHAPE_VERSION
    assert render(tweet).body.decode() == golden["body"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "blank"),
        ("   \n ", ""),
        ("x" * 281, "280"),
        ("界" * 141, "280"),
        ("nul\x00", ""),
        (None, "null"),
        (5, "string"),
        (["a"], "string"),
        ({"a": 1}, "string"),
    ],
)
def test_a_text_that_breaks_a_rule_is_refused_by_name(api, ann, text, word):
    answer = api(ann).post("/tweet/create", {"text": text})
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert word in " ".join(answer.json()["errors"]["text"])
    assert not Tweet.objects.exists()


def test_a_lone_surrogate_is_refused(api, ann):
    answer = api(ann).generic(
        "POST", "/tweet/create", b'{"text": "\\ud800"}', content_type="application/json"
    )
    assert answer.status_code == 400
    assert "text" in answer.json()["errors"]


def test_an_idempotency_key_makes_a_repeat_return_the_first_answer(api, ann, bob):
    key = {"Idempotency-Key": "k-1"}
    first = api(ann).post("/tweet/create", {"text": "once"}, headers=key)
    again = api(ann).post("/tweet/create", {"text": "once"}, headers=key)
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert Tweet.objects.count() == 1
    other = api(ann).post("/tweet/create", {"text": "other"}, headers=key)
    assert other.status_code == 422
    post(api(bob), "once", **key)
    assert Tweet.objects.count() == 2
    bad = api(ann).post("/tweet/create", {"text": "x"}, headers={"Idempotency-Key": "k" * 256})
    assert bad.status_code == 400
    assert "Idempotency-Key" in bad.json()["errors"]


@pytest.mark.django_db(transaction=True)
def test_the_same_idempotency_key_twice_at_once_posts_once(api, ann, in_parallel):
    def send():
        return api(ann).post("/tweet/create", {"text": "x"}, headers={"Idempotency-Key": "k"})

    answers = in_parallel(*[send] * 8)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert Tweet.objects.count() == FirstAnswer.objects.count() == 1


def test_a_key_whose_request_failed_may_be_used_again(ann):
    def fail() -> bytes:
        raise ZeroDivisionError

    arguments = {"account_id": ann, "key": "k", "request_hash": b"h"}
    with pytest.raises(ZeroDivisionError):
        posts_services.once(**arguments, answer=fail)
    assert posts_services.once(**arguments, answer=lambda: b"body") == b"body"


def test_one_deletes_ones_own_tweets_only(api, ann, bob, run_outbox):
    tweet = post(api(ann))["data"]["id"]
    assert api(bob).delete(f"/tweet/delete/{tweet}").status_code == 403
    assert api(bob).delete("/tweet/delete/1").status_code == 404
    assert api(ann).delete(f"/tweet/delete/{tweet}").json() == {"data": {"deleted": True}}
    assert api(ann).delete(f"/tweet/delete/{tweet}").status_code == 404
    assert api(ann).get(f"/tweet/id/{tweet}").status_code == 404
    assert not Tweet.objects.exclude(text="").exists()
    run_outbox()
    assert not Tweet.objects.exists()


def test_liking_twice_counts_once_and_taking_back_twice_too(api, ann, bob, run_outbox):
    tweet = post(api(ann))["data"]["id"]
    for expected in (1, 1):
        answer = api(bob).post("/tweet/like", {"tweet_id": tweet})
        assert answer.json() == {"data": {"liked": True}}
        assert counts(api(ann), tweet) == (expected, 0)
    assert api(bob).get(f"/tweet/id/{tweet}").json()["viewer"]["liked"] == [tweet]
    assert api(ann).get(f"/tweet/id/{tweet}").json()["viewer"]["liked"] == []
    run_outbox()
    fold_metrics()
    assert counts(api(ann), tweet) == (1, 0)
    for _ in range(2):
        answer = api(bob).delete("/tweet/like", {"tweet_id": tweet})
        assert answer.json() == {"data": {"liked": False}}
    assert counts(api(ann), tweet) == (0, 0)
    assert not Like.objects.exists()


def test_a_delete_takes_its_input_from_the_query_as_well(api, ann):
    tweet = post(api(ann))["data"]["id"]
    api(ann).post("/tweet/like", {"tweet_id": tweet})
    assert api(ann).delete(f"/tweet/like?tweet_id={tweet}").status_code == 200
    assert counts(api(ann), tweet) == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_many_like_at_once_and_counts_are_exact(api, ann, make_account, in_parallel):
    tweet = post(api(ann))["data"]["id"]
    people = [make_account(f"p{number}") for number in range(8)]

    def like_twice_and_fold(account_id):
        def run():
            for _ in range(2):
                assert api(account_id).post("/tweet/like", {"tweet_id": tweet}).status_code == 200
            fold_metrics()

        return run

    in_parallel(*map(like_twice_and_fold, people))
    assert counts(api(ann), tweet) == (8, 0)
    fold_metrics()
    assert not TweetMetricsDelta.objects.exists()
    assert TweetMetrics.objects.get().like_count == 8


def test_a_retweet_is_a_tweet_that_refers_to_its_original(api, ann, bob, make_account):
    cat = make_account("cat")
    original = post(api(ann), "original")["data"]["id"]
    answer = api(bob).post("/tweet/retweet", {"tweet_id": original})
    assert answer.status_code == 201
    body = answer.json()
    assert body["data"]["referenced_tweets"] == [{"type": "retweeted", "id": original}]
    assert body["data"]["author_id"] == str(bob)
    assert body["data"]["text"] == ""
    assert [tweet["text"] for tweet in body["includes"]["tweets"]] == ["original"]
    assert {user["username"] for user in body["includes"]["users"]} == {"ann", "bob"}
    assert body["viewer"]["retweeted"] == [original]
    again = api(bob).post("/tweet/retweet", {"tweet_id": original})
    assert (again.status_code, again.json()["data"]["id"]) == (200, body["data"]["id"])
    third = api(cat).post("/tweet/retweet", {"tweet_id": body["data"]["id"]})
    assert third.json()["data"]["referenced_tweets"][0]["id"] == original
    assert counts(api(ann), original) == (0, 2)


def test_liking_a_retweet_likes_its_original(api, ann, bob):
    original = post(api(ann))["data"]["id"]
    again = api(bob).post("/tweet/retweet", {"tweet_id": original}).json()["data"]["id"]
    api(bob).post("/tweet/like", {"tweet_id": again})
    assert counts(api(ann), original) == (1, 1)
    assert api(bob).get(f"/tweet/id/{again}").json()["viewer"]["liked"] == [original]


def test_undoing_a_retweet_twice_is_harmless_and_it_can_be_done_again(api, ann, bob):
    original = post(api(ann))["data"]["id"]
    first = api(bob).post("/tweet/retweet", {"tweet_id": original}).json()["data"]["id"]
    for _ in range(2):
        answer = api(bob).delete("/tweet/retweet", {"tweet_id": original})
        assert answer.json() == {"data": {"retweeted": False}}
    assert counts(api(ann), original) == (0, 0)
    assert api(bob).get(f"/tweet/id/{first}").status_code == 404
    second = api(bob).post("/tweet/retweet", {"tweet_id": original})
    assert second.status_code == 201
    assert second.json()["data"]["id"] != first


def test_a_retweet_is_undone_by_deleting_it_too(api, ann, bob):
    original = post(api(ann))["data"]["id"]
    again = api(bob).post("/tweet/retweet", {"tweet_id": original}).json()["data"]["id"]
    assert api(ann).delete(f"/tweet/delete/{again}").status_code == 403
    assert api(bob).delete(f"/tweet/delete/{again}").status_code == 200
    assert counts(api(ann), original) == (0, 0)


def test_deleting_an_original_removes_its_retweets_and_likes_in_steps(
    api, ann, make_account, run_outbox, monkeypatch
):
    monkeypatch.setattr(declared, "STEP", 2)
    original = post(api(ann))["data"]["id"]
    kept = post(api(ann))["data"]["id"]
    people = [make_account(f"p{number}") for number in range(5)]
    for person in people:
        api(person).post("/tweet/retweet", {"tweet_id": original})
        api(person).post("/tweet/like", {"tweet_id": original})
        api(person).post("/tweet/like", {"tweet_id": kept})
    api(ann).delete(f"/tweet/delete/{original}")
    run_outbox()
    assert list(Tweet.objects.values_list("id", flat=True)) == [int(kept)]
    assert Like.objects.count() == 5
    assert Tombstone.objects.count() == 6
    numbers = {
        user["public_metrics"]["tweet_count"]
        for user in (api(ann).get(f"/auth/id/{person}").json()["data"] for person in people)
    }
    assert numbers == {0}


@pytest.mark.django_db(transaction=True)
def test_retweeting_and_deleting_the_original_at_once_leaves_nothing_half_done(
    api, ann, bob, run_outbox, in_parallel
):
    for _ in range(5):
        original = post(api(ann))["data"]["id"]
        retweeted, deleted = in_parallel(
            lambda tweet=original: api(bob).post("/tweet/retweet", {"tweet_id": tweet}),
            lambda tweet=original: api(ann).delete(f"/tweet/delete/{tweet}"),
        )
        assert retweeted.status_code in (201, 404)
        assert deleted.status_code == 200
        run_outbox()
        assert not Tweet.objects.exists()


@pytest.mark.parametrize("method", ["post", "delete"])
@pytest.mark.parametrize("path", ["like", "retweet"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"tweet_id": "x"}, 400),
        ({"tweet_id": -1}, 400),
        ({"tweet_id": True}, 400),
        ({"tweet_id": None}, 400),
        ({"tweet_id": 2**63}, 400),
        ({"tweet_id": [1]}, 400),
        ({"tweet_id": 1}, 404),
        (["tweet_id"], 400),
    ],
)
def test_a_bad_tweet_id_is_a_problem(api, ann, method, path, body, status):
    answer = getattr(api(ann), method)(f"/tweet/{path}", body)
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_a_hidden_tweet_does_not_exist_until_it_is_restored(api, ann, bob, run_outbox):
    moderator = Account.objects.create_superuser("mod", password="x").pk
    tweet = int(post(api(ann))["data"]["id"])
    api(bob).post("/tweet/retweet", {"tweet_id": tweet})
    posts_moderation.hide(tweet_ids=[tweet], by_id=moderator, reason="rude")
    posts_moderation.hide(tweet_ids=[tweet], by_id=moderator, reason="rude")
    for client in (api(ann), api(bob)):
        assert client.get(f"/tweet/id/{tweet}").status_code == 404
        assert client.post("/tweet/like", {"tweet_id": tweet}).status_code == 404
    run_outbox()
    assert api(ann).get("/auth/me").json()["data"]["public_metrics"]["tweet_count"] == 0
    posts_moderation.restore(tweet_ids=[tweet], by_id=moderator, reason="appeal")
    run_outbox()
    assert api(bob).get(f"/tweet/id/{tweet}").status_code == 200
    assert api(ann).get("/auth/me").json()["data"]["public_metrics"]["tweet_count"] == 1
    posts_moderation.moderate_delete(tweet_ids=[tweet], by_id=moderator, reason="spam")
    assert posts_moderation.hide(tweet_ids=[tweet, 1], by_id=moderator, reason="rude") == {tweet, 1}


def test_what_a_deleted_account_still_did_meanwhile_is_purged_as_well(
    api, bob, run_outbox, monkeypatch
):
    ann = Account.objects.create_user("ann", password="correct horse battery").pk
    tweet = int(post(api(bob))["data"]["id"])
    answer = api(ann).delete(f"/auth/delete/{ann}", {"password": "correct horse battery"})
    assert answer.status_code == 200
    purge = purging.purge_author

    def purge_and_like(author_id):
        done = purge(author_id)
        if done:
            monkeypatch.setattr(purging, "purge_author", purge)
            reactions_services.like(account_id=ann, tweet_id=tweet)
        return done

    monkeypatch.setattr(purging, "purge_author", purge_and_like)
    run_outbox()
    assert not Account.objects.filter(id=ann).exists()
    assert counts(api(bob), tweet) == (0, 0)


def test_a_deleted_account_leaves_no_tweet_no_like_and_no_count(api, bob, run_outbox):
    ann = Account.objects.create_user("ann", password="correct horse battery").pk
    by_ann, by_bob = post(api(ann))["data"]["id"], post(api(bob))["data"]["id"]
    for tweet in (by_ann, by_bob):
        for person in (ann, bob):
            api(person).post("/tweet/like", {"tweet_id": tweet})
            api(person).post("/tweet/retweet", {"tweet_id": tweet})
    client = api(ann)
    answer = client.delete(f"/auth/delete/{ann}", {"password": "correct horse battery"})
    assert answer.status_code == 200, answer.content
    assert client.get("/auth/me").status_code == 401
    assert api(bob).get(f"/tweet/id/{by_ann}").status_code == 404
    run_outbox()
    fold_metrics()
    assert counts(api(bob), by_bob) == (1, 1)
    assert not Account.objects.filter(id=ann).exists()
    assert not Tweet.objects.filter(author_id=ann).exists()
    assert not Like.objects.filter(account_id=ann).exists()
    assert Tweet.objects.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", ["like", "retweet"])
def test_acting_on_a_tweet_that_was_just_purged_is_404(api, ann, bob, run_outbox, act, valkey):
    tweet = post(api(ann))["data"]["id"]
    api(bob).get(f"/tweet/id/{tweet}")
    stale = {key: valkey.get(key) for key in valkey.keys("tweet:*")}
    api(ann).delete(f"/tweet/delete/{tweet}")
    run_outbox()
    valkey.mset(stale)  # as if the reader had stalled for longer than a tombstone lasts
    assert api(bob).post(f"/tweet/{act}", {"tweet_id": tweet}).status_code == 404


def test_a_text_that_is_too_heavy_is_refused_by_name_and_an_old_one_stays_readable(api, ann, bob):
    text = " ".join(["http://a.co/" + "x" * 2_000] * 3)
    answer = api(ann).post("/tweet/create", {"text": text})
    assert answer.status_code == 400
    reason = "The text has 6038 bytes in UTF-8; the limit is 4096."
    assert answer.json()["errors"] == {"text": [reason]}
    old = Tweet.objects.create(author_id=ann, text=text)
    answer = api(bob).get(f"/tweet/id/{old.pk}")
    assert answer.status_code == 200
    assert answer.json()["data"]["text"] == text
    assert api(bob).post("/tweet/like", {"tweet_id": str(old.pk)}).status_code == 200
    assert api(ann).delete(f"/tweet/delete/{old.pk}").status_code == 200
