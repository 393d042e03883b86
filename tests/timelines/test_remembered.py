"""What is read once more: in one round trip, and never as it was before."""

import json
from dataclasses import replace

import pytest

from accounts import cache as accounts_cache
from accounts.models import Account
from tests.asking import ask, from_django, request
from timelines import remembered, rendering, store
from tweets import cache
from tweets import selectors as tweets
from tweets.models import Tweet
from twitter import wsgi
from twitter.lib import redis, resp

pytestmark = pytest.mark.django_db(transaction=True)


def test_reading_the_same_page_again_takes_one_round_trip(bob, round_trips, sql_statements):
    first = ask(wsgi.application, request(bob))
    round_trips.clear()
    assert ask(wsgi.application, request(bob)) == first
    assert len(round_trips) == 1
    assert sql_statements == []


@pytest.fixture
def made(monkeypatch):
    """Return a list that receives the body of each answer that is made and not remembered."""
    bodies = []
    make = rendering.home_page

    def note(**parts):
        bodies.append(make(**parts))
        return bodies[-1]

    monkeypatch.setattr(rendering, "home_page", note)
    return bodies


def test_when_redis_says_what_it_said_before_the_answer_is_the_one_of_before(bob, made):
    environ = request(bob, "limit=5")
    first, *others = [ask(wsgi.application, environ) for _ in range(4)]
    assert others == [first] * 3
    assert len(made) == 2  # the second time, all that it is made of was asked for at once
    other_spelling = request(bob, "%6cimit=5")
    assert ask(wsgi.application, other_spelling) == from_django(other_spelling)


def test_a_long_answer_is_not_kept(bob, made):
    answers = [ask(wsgi.application, request(bob, "limit=25")) for _ in range(4)]
    assert answers == [answers[0]] * 4
    assert len(made) == 4
    assert [page.answer for page in remembered._pages.values() if len(page.ids) == 25] == [None]


def test_what_the_reader_did_counts_before_the_tweet_shows_it(bob, valkey):
    newest = json.loads(ask(wsgi.application, request(bob))[2])["data"][0]["id"]
    for _ in range(3):
        before = ask(wsgi.application, request(bob))
    seen = cache.viewer_in(valkey.get(cache._viewer_key(bob)))
    valkey.delete(cache._viewer_key(bob))
    cache.store_viewer(bob, replace(seen, liked=seen.liked | {int(newest)}))
    after = ask(wsgi.application, request(bob))
    assert after == from_django(request(bob)) != before
    assert newest in json.loads(after[2])["viewer"]["liked"]


def test_an_answer_that_took_postgres_is_made_anew(bob, valkey, monkeypatch):
    oldest = json.loads(ask(wsgi.application, request(bob))[2])["data"][-1]["id"]
    monkeypatch.setattr(cache, "store", lambda tweets: None)  # as if it was read too long ago
    valkey.delete(cache._key(oldest))
    for _ in range(3):
        before = ask(wsgi.application, request(bob))
    Tweet.objects.filter(id=oldest).update(text="mended")
    assert ask(wsgi.application, request(bob)) == from_django(request(bob)) != before


def retweet_again(api, people, posted):
    api(people["dan"]).post("/tweet/retweet", {"tweet_id": posted[-1]})


def delete_the_newest(api, people, posted):
    api(people["ann"]).delete(f"/tweet/delete/{posted[-1]}")


def undo_the_oldest_retweet(api, people, posted):
    api(people["ann"]).delete("/tweet/retweet", {"tweet_id": posted[0]})


def hide_without_a_word(api, people, posted):
    hidden = {"state": Tweet.State.HIDDEN, "removed_at": "2026-01-01T00:00Z"}
    Tweet.objects.filter(id=posted[-2]).update(**hidden)
    resp.exchange(resp.pack("DEL", cache._key(posted[-2])))


def post_more(api, people, posted):
    for text in ("one", "two"):
        api(people["ann"]).post("/tweet/create", {"text": text})


def post_oneself(api, people, posted):
    api(people["bob"]).post("/tweet/create", {"text": "mine"})


def like(api, people, posted):
    api(people["bob"]).post("/tweet/like", {"tweet_id": posted[-5]})


def be_liked(api, people, posted):
    api(people["dan"]).post("/tweet/like", {"tweet_id": posted[-1]})


def rename(api, people, posted):
    api(people["ann"]).patch("/auth/update", {"name": "Ann the Second"})


def suspend(api, people, posted):
    Account.objects.filter(id=people["cat"]).update(suspended_at="2026-01-01T00:00Z")
    accounts_cache.forget([people["cat"]])


def unfollow(api, people, posted):
    api(people["bob"]).delete("/auth/unfollow", {"user_id": str(people["cat"])})


def drop(api, people, posted):
    store.drop([people["bob"]])


def flush(api, people, posted):
    redis.client().flushdb()


def forget_tweets(api, people, posted):
    redis.client().delete(*redis.client().keys("tweet:*"))


@pytest.mark.parametrize(
    "change",
    [
        retweet_again,
        delete_the_newest,
        undo_the_oldest_retweet,
        hide_without_a_word,
        post_more,
        post_oneself,
        like,
        be_liked,
        rename,
        suspend,
        unfollow,
        drop,
        flush,
        forget_tweets,
    ],
)
@pytest.mark.parametrize("is_delivered", [False, True])
def test_a_page_that_was_read_before_is_never_the_page_of_before(
    bob, people, api, post, run_outbox, retweet, change, is_delivered
):
    posted = [post("ann", f"more {number}") for number in range(12)]
    for author in ("ann", "cat"):
        retweet(author, posted[0])
    run_outbox()
    for query in ("", "limit=5"):
        for _ in range(3):
            ask(wsgi.application, request(bob, query))
    change(api, people, posted)
    if is_delivered:
        run_outbox()
    for query in ("", "limit=5"):
        for _ in range(3):
            environ = request(bob, query)
            assert ask(wsgi.application, environ) == from_django(environ)


def test_what_has_arrived_since_the_last_page_is_all_that_is_fetched(
    bob, people, post, run_outbox, round_trips, sql_statements
):
    posted = post("ann", "news")
    run_outbox()
    tweets.hydrate([posted])  # another follower has read it
    round_trips.clear()
    sql_statements.clear()
    ask(wsgi.application, request(bob))
    posted = post("ann", "more news")
    run_outbox()
    tweets.hydrate([posted])
    round_trips.clear()
    sql_statements.clear()
    page = json.loads(ask(wsgi.application, request(bob))[2])
    assert int(page["data"][0]["id"]) == posted
    assert len(round_trips) == 2
    assert round_trips[1].count(b"tweet:") <= 2  # the key, and what the script makes keys from
    assert sql_statements == []


def test_pages_are_forgotten_before_there_are_too_many(bob, monkeypatch, round_trips):
    monkeypatch.setattr(remembered, "_MOST", 2)
    remembered._pages.clear()
    for query in ("limit=1", "limit=2", "limit=3"):
        ask(wsgi.application, request(bob, query))
    assert list(remembered._pages) == [(bob, 3)]
