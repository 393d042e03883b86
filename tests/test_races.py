"""What happens when two do things at the same moment, each on a connection of its own.

Each race is run some times, with a random start. Afterwards exactly one of the outcomes that the
rules allow must have come about, no answer may be a 5xx, and when the queues are quiet each count
is the number of rows.
"""

import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from accounts import purging as accounts_purging
from accounts.models import Account, AccountCounterDelta, AccountCounters, Follow, Session
from accounts.moderation import services as moderation_services
from accounts.people import services as people_services
from accounts.sessions import services
from timelines.home.verification import difference
from tweets.models import FirstAnswer, Like, Tweet, TweetMetrics
from tweets.posts import services as tweets

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("without_limits"),
]

ROUNDS = 5
PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _hashing_without_a_bound(settings: Any) -> None:
    """Hash passwords by MD5: a process hashes two at once by Argon2, and answers a third 503."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def join() -> Callable[[str], int]:
    """Return a function that stores an account with PASSWORD, and returns its id."""

    def do(name: str) -> int:
        email = f"{name}@example.org"
        return Account.objects.create_user(name, password=PASSWORD, email=email).pk

    return do


@pytest.fixture
def race(at_once: Any) -> Callable[..., list[int]]:
    """Return a function that sends requests at once; returns their status, in order."""

    def late(call: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            time.sleep(random.uniform(0, 0.004))
            return call()

        return run

    def run(*calls: Callable[[], Any]) -> list[int]:
        answers = at_once(*map(late, calls))
        for answer in answers:
            assert not isinstance(answer, Exception), repr(answer)
            assert answer.status_code < 500, answer.content
        return [answer.status_code for answer in answers]

    return run


@pytest.fixture
def settle(run_outbox: Callable[[], int]) -> Callable[[], None]:
    """Return a function that lets the queues come to rest, and compares all counts with rows."""

    def do() -> None:
        run_outbox()
        assert not AccountCounterDelta.objects.exists()
        for account in Account.objects.all():
            counters = AccountCounters.objects.filter(account=account).first() or AccountCounters()
            assert counters.followers_count == Follow.objects.filter(followed=account).count()
            assert counters.following_count == Follow.objects.filter(follower=account).count()
            visible = Tweet.objects.filter(author=account, state=Tweet.State.VISIBLE)
            assert counters.tweet_count == visible.count()
            assert difference(account.pk) is None
        for tweet in Tweet.objects.all():
            metrics = TweetMetrics.objects.filter(tweet=tweet).first() or TweetMetrics()
            assert metrics.like_count == Like.objects.filter(tweet=tweet).count()
            assert metrics.retweet_count == Tweet.objects.filter(original=tweet).count()

    return do


def sign_up(api: Any, username: str, email: str) -> Callable[[], Any]:
    body = {"username": username, "email": f"{email}@example.org", "password": PASSWORD}
    return lambda: api().post("/auth/create", body)


def post(api: Any, author: int, **headers: str) -> Callable[[], Any]:
    return lambda: api(author).post("/tweet/create", {"text": "hello"}, headers=headers)


def act(api: Any, account: int, path: str, tweet: int, *, undo: bool = False) -> Callable[[], Any]:
    """Like or retweet, or take that back."""
    return lambda: getattr(api(account), "delete" if undo else "post")(
        f"/tweet/{path}", {"tweet_id": tweet}
    )


def follow(api: Any, follower: int, followed: int, *, undo: bool = False) -> Callable[[], Any]:
    body = {"user_id": followed}
    if undo:
        return lambda: api(follower).delete("/auth/unfollow", body)
    return lambda: api(follower).post("/auth/follow", body)


def rename(api: Any, account: int, name: str) -> Callable[[], Any]:
    return lambda: api(account).patch(
        "/auth/update", {"username": name, "current_password": PASSWORD}
    )


def delete_tweet(api: Any, author: int, tweet: int) -> Callable[[], Any]:
    return lambda: api(author).delete(f"/tweet/delete/{tweet}")


def delete_account(api: Any, account: int) -> Callable[[], Any]:
    return lambda: api(account).delete(f"/auth/delete/{account}", {"password": PASSWORD})


def tweet_of(api: Any, author: int) -> int:
    return int(post(api, author)().json()["data"]["id"])


def nothing_is_left_of(account: int) -> None:
    """Foreign keys see to all that has one."""
    assert not Account.objects.filter(id=account).exists()
    assert not AccountCounters.objects.filter(account_id=account).exists()
    assert not AccountCounterDelta.objects.filter(account_id=account).exists()


# --- accounts ------------------------------------------------------------------------------------
@pytest.mark.parametrize("same", ["username", "email"])
def test_of_those_who_sign_up_under_one_name_one_gets_it(api, race, settle, same):
    for number in range(ROUNDS):
        names = [f"Ada{number}", f"ada{number}", f"ADA{number}"]
        other = [f"other{number}{letter}" for letter in "abc"]
        both = (names, other) if same == "username" else (other, names)
        assert sorted(race(*map(partial(sign_up, api), *both))) == [201, 409, 409]
    assert Account.objects.count() == ROUNDS
    settle()


def test_of_two_who_change_to_one_name_one_gets_it(api, race, join, settle):
    ann, bob = join("ann"), join("bob")
    for number in range(ROUNDS):
        statuses = race(*(rename(api, who, f"Same{number}") for who in (ann, bob)))
        assert sorted(statuses) == [200, 409]
        assert Account.objects.filter(username=f"Same{number}").count() == 1
    settle()


def test_of_two_new_passwords_at_once_one_counts(api, race, join):
    for number in range(ROUNDS):
        ann = join(f"ann{number}")
        new = ["a new password", "another password"]

        def change(password: str, ann: int = ann) -> Callable[[], Any]:
            body = {"password": password, "current_password": PASSWORD}
            return lambda: api(ann).patch("/auth/update", body)

        won, lost = sorted(race(*map(change, new)))
        assert won == 200
        assert lost in (400, 401, 409)
        account = Account.objects.get(id=ann)
        assert [account.check_password(password) for password in new].count(True) == 1


# --- the graph -----------------------------------------------------------------------------------
def test_the_same_follow_at_once_is_one(api, race, join, settle):
    ann = join("ann")
    for number in range(ROUNDS):
        followed = join(f"f{number}")
        assert race(*[follow(api, ann, followed)] * 3) == [200] * 3
        assert Follow.objects.filter(followed_id=followed).count() == 1
    settle()


def test_following_and_unfollowing_at_once(api, race, join, settle):
    ann, bob = join("ann"), join("bob")
    for _ in range(ROUNDS):
        back = follow(api, ann, bob, undo=True)
        assert race(follow(api, ann, bob), back, follow(api, ann, bob), back) == [200] * 4
        settle()


def test_nobody_gets_above_the_most_that_one_may_follow(api, race, join, settle, settings):
    settings.FOLLOWING_MAX = 2
    others = [join(f"other{number}") for number in range(5)]
    for number in range(ROUNDS):
        ann = join(f"ann{number}")
        statuses = race(*(follow(api, ann, other) for other in others))
        assert sorted(statuses) == [200, 200, 400, 400, 400]
        assert Follow.objects.filter(follower_id=ann).count() == 2
    settle()


def test_following_who_is_being_deleted(api, race, join, settle):
    ann = join("ann")
    for number in range(ROUNDS):
        gone = join(f"gone{number}")
        followed, deleted = race(follow(api, ann, gone), delete_account(api, gone))
        assert followed in (200, 404)
        assert deleted == 200
        settle()
        nothing_is_left_of(gone)
        assert not Follow.objects.exists()


def test_following_who_is_purged_meanwhile(api, join, settle, monkeypatch):
    """The account's row goes away between the look and the commit."""
    ann, gone = join("ann"), join("gone")
    visible = people_services.reads.visible

    def then_purged(ids):
        found = visible(ids)
        Account.objects.filter(id=gone).update(deleted_at="2026-01-01T00:00Z")
        assert accounts_purging.purge_account(gone)
        return found

    monkeypatch.setattr(people_services.reads, "visible", then_purged)
    assert follow(api, ann, gone)().status_code == 404
    monkeypatch.undo()
    settle()
    nothing_is_left_of(gone)


# --- tweets --------------------------------------------------------------------------------------
def test_the_same_like_at_once_is_one(api, race, join, settle):
    ann, bob = join("ann"), join("bob")
    for _ in range(ROUNDS):
        tweet = tweet_of(api, ann)
        assert race(*[act(api, bob, "like", tweet)] * 3) == [200] * 3
        assert Like.objects.filter(tweet_id=tweet).count() == 1
    settle()


def test_the_same_retweet_at_once_is_one(api, race, join, settle):
    ann, bob = join("ann"), join("bob")
    for _ in range(ROUNDS):
        tweet = tweet_of(api, ann)
        assert sorted(race(*[act(api, bob, "retweet", tweet)] * 3)) == [200, 200, 201]
        assert Tweet.objects.filter(original_id=tweet).count() == 1
    settle()


@pytest.mark.parametrize("path", ["like", "retweet"])
def test_doing_and_undoing_at_once(api, race, join, settle, path):
    ann, bob = join("ann"), join("bob")
    tweet = tweet_of(api, ann)
    for _ in range(ROUNDS):
        there, back = (act(api, bob, path, tweet, undo=undo) for undo in (False, True))
        # Of a retweet that is undone at once, there may be none left to show.
        assert set(race(there, back, there, back)) <= {200, 201, 404}
        settle()


@pytest.mark.parametrize("path", ["like", "retweet"])
def test_liking_or_retweeting_what_is_being_deleted(api, race, join, settle, path):
    ann, bob = join("ann"), join("bob")
    for _ in range(ROUNDS):
        tweet = tweet_of(api, ann)
        done, deleted = race(act(api, bob, path, tweet), delete_tweet(api, ann, tweet))
        assert done in (200, 201, 404)
        assert deleted == 200
        settle()
        assert not Tweet.objects.exists()
        assert not Like.objects.exists()


def test_a_tweet_is_deleted_once(api, race, join, settle):
    ann = join("ann")
    for _ in range(ROUNDS):
        tweet = tweet_of(api, ann)
        assert sorted(race(*[delete_tweet(api, ann, tweet)] * 3)) == [200, 404, 404]
    settle()
    assert not Tweet.objects.exists()


def test_one_idempotency_key_at_once_posts_once(api, race, join, settle):
    ann = join("ann")
    for number in range(ROUNDS):
        key = {"Idempotency-Key": f"key-{number}"}
        assert race(*[post(api, ann, **key)] * 3) == [201] * 3
    assert Tweet.objects.count() == FirstAnswer.objects.count() == ROUNDS
    settle()


# --- those who leave -----------------------------------------------------------------------------
@pytest.mark.parametrize("key", [False, True], ids=["", "with a key"])
def test_posting_while_the_account_is_deleted(api, race, join, settle, key):
    reader = join("reader")
    for number in range(ROUNDS):
        gone = join(f"gone{number}")
        follow(api, reader, gone)()
        headers = {"Idempotency-Key": "key"} if key else {}
        *posted, deleted = race(*[post(api, gone, **headers)] * 2, delete_account(api, gone))
        assert set(posted) <= {201, 401}
        assert deleted == 200
        settle()
        nothing_is_left_of(gone)
        assert not Tweet.objects.exists()
        assert not FirstAnswer.objects.exists()


def test_posting_while_the_account_is_suspended(api, race, join, settle):
    reader, moderator = join("reader"), join("moderator")
    for number in range(ROUNDS):
        gone = join(f"gone{number}")
        follow(api, reader, gone)()

        def suspend(gone: int = gone) -> Any:
            moderation_services.suspend(account_id=gone, by_id=moderator, reason="spam")
            return api(reader).get("/timeline/timeline")

        posted, read = race(post(api, gone), suspend)
        assert posted in (201, 401)
        assert read == 200
        settle()
        assert post(api, gone)().status_code == 401
        assert api(reader).get("/timeline/timeline").json()["data"] == []
        assert Tweet.objects.filter(author_id=gone).count() == (posted == 201)


WITH_KEY_OR_WITHOUT = pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "key"}], ids=str)


@WITH_KEY_OR_WITHOUT
@pytest.mark.parametrize("state", ["suspended_at", "deleted_at"])
def test_who_goes_while_posting_has_not_posted(api, join, monkeypatch, state, headers):
    """Between the look at what is cached of the account and the statement."""
    gone = join("gone")
    assert post(api, gone)().status_code == 201
    insert = tweets.insert_and_publish

    def gone_by_then(*arguments):
        Account.objects.filter(id=gone).update(**{state: "2026-01-01T00:00Z"})
        return insert(*arguments)

    monkeypatch.setattr(tweets, "insert_and_publish", gone_by_then)
    assert post(api, gone, **headers)().status_code == 401
    assert Tweet.objects.count() == 1
    assert not FirstAnswer.objects.exists()


@WITH_KEY_OR_WITHOUT
def test_who_is_purged_while_posting_has_not_posted(api, join, monkeypatch, at_once, headers):
    """Between the last look at the account and the commit."""
    gone = join("gone")
    cards = tweets.accounts.cards

    def then_purged(ids):
        found = cards(ids)
        assert at_once(lambda: Account.objects.filter(id=gone).delete()[0]) == [1]
        return found

    monkeypatch.setattr(tweets.accounts, "cards", then_purged)
    assert post(api, gone, **headers)().status_code == 401
    assert not Tweet.objects.exists()
    assert not FirstAnswer.objects.exists()


@pytest.mark.parametrize("path", ["like", "retweet"])
def test_liking_and_retweeting_while_both_accounts_are_deleted(api, race, join, settle, path):
    for number in range(ROUNDS):
        ann, bob = join(f"ann{number}"), join(f"bob{number}")
        tweet = tweet_of(api, ann)
        done, *deleted = race(
            act(api, bob, path, tweet), delete_account(api, ann), delete_account(api, bob)
        )
        assert done in (200, 201, 401, 404)
        assert deleted == [200, 200]
        settle()
        for gone in (ann, bob):
            nothing_is_left_of(gone)
        assert not Tweet.objects.exists()


def test_an_account_is_deleted_once(api, race, join, settle):
    for number in range(ROUNDS):
        gone = join(f"gone{number}")
        statuses = race(*[delete_account(api, gone)] * 3)
        assert statuses.count(200) == 1
        assert set(statuses) == {200, 401}
        settle()
        nothing_is_left_of(gone)


# --- log-ins -------------------------------------------------------------------------------------
def log_in(name: str) -> services.TokenPair:
    return services.log_in(login=name, password=PASSWORD, address="192.0.2.1")


def is_out(api: Any, access_token: str) -> bool:
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access_token}")
    return client.get("/auth/me").status_code == 401


@pytest.mark.parametrize("other", ["refresh", "revoke"])
def test_a_refresh_token_that_two_use_at_once_serves_both_or_none(api, race, join, other):
    join("ann")
    answers = []
    for _ in range(ROUNDS):
        pair = log_in("ann")
        body = {"refresh_token": pair.refresh_token}

        def use(path: str, body: dict[str, str] = body) -> Any:
            answers.append(api().post(f"/auth/token/{path}", body))
            return answers[-1]

        answers.clear()
        statuses = race(lambda use=use: use("refresh"), lambda use=use: use(other))
        if other == "refresh":
            assert statuses == [200, 200]
            assert len({answer.json()["data"]["refresh_token"] for answer in answers}) == 1
            for answer in answers:
                assert not is_out(api, answer.json()["data"]["access_token"])
            continue
        assert statuses in ([200, 200], [401, 200])
        won = [answer.json()["data"] for answer in answers if b"access_token" in answer.content]
        tokens = [pair.access_token, *(data["access_token"] for data in won)]
        assert all(is_out(api, token) for token in tokens)
        for token in (pair.refresh_token, *(data["refresh_token"] for data in won)):
            refused = api().post("/auth/token/refresh", {"refresh_token": token})
            assert refused.status_code == 401
    assert Session.objects.filter(revoked_at=None).exists() == (other == "refresh")


def test_logging_in_while_the_account_is_suspended(api, race, join):
    moderator = join("moderator")
    for number in range(ROUNDS):
        gone = join(f"gone{number}")
        body = {"username": f"gone{number}", "password": PASSWORD}

        def suspend(gone: int = gone) -> Any:
            moderation_services.suspend(account_id=gone, by_id=moderator, reason="spam")
            return api(moderator).get("/auth/me")

        entered = []

        def enter(body: dict[str, str] = body, entered: list[Any] = entered) -> Any:
            entered.append(api().post("/auth/token", body))
            return entered[0]

        status, _ = race(enter, suspend)
        assert status in (200, 401, 403)  # 401: suspended between the look and the session
        if status == 403:
            assert entered[0].json()["type"] == "/problems/suspended"
        assert not Session.objects.filter(account_id=gone).exists()
        if status == 200:
            assert is_out(api, entered[0].json()["data"]["access_token"])
