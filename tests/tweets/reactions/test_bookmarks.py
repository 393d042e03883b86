"""Bookmarks: kept for oneself, latest first, shown while the tweet may be seen."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from django.db import connection, transaction

from accounts.models import Account
from accounts.moderation import services as accounts_moderation
from tweets import purging
from tweets.models import Bookmark, Tweet
from tweets.posts import moderation
from tweets.posts import services as posts
from tweets.reactions import bookmarks, services
from tweets.reader import reader
from tweets.text import parse
from twitter.base import declared
from twitter.base.http.errors import NotFound, Unauthenticated

pytestmark = pytest.mark.usefixtures("commits")

PAGE = "/tweet/bookmarks"


@pytest.fixture
def ann(make_account):
    return make_account("ann")


@pytest.fixture
def bob(make_account):
    return make_account("bob")


@pytest.fixture
def tweets(ann):
    """Return the ids of five tweets of Ann's, oldest first."""
    answers = [posts.post(author_id=ann, text=parse(f"tweet {number}")) for number in range(5)]
    return [int(json.loads(answer)["data"]["id"]) for answer in answers]


def kept(api, reader_id, query=""):
    """Return the ids of a page of bookmarks, and the cursor of the next one."""
    answer = api(reader_id).get(f"{PAGE}{query}").json()
    ids = [int(tweet["id"]) for tweet in answer["data"]]
    assert answer["meta"]["result_count"] == len(ids)
    assert {int(number) for number in answer["viewer"]["bookmarked"]} >= set(ids)
    return ids, answer["meta"].get("next_cursor")


def test_the_latest_bookmark_comes_first_however_old_its_tweet_is(api, bob, tweets):
    order = [tweets[2], tweets[0], tweets[4]]
    for number in (*order, tweets[2]):  # once more: it keeps its place
        answer = api(bob).post("/tweet/bookmark", {"tweet_id": str(number)})
        assert answer.json() == {"data": {"bookmarked": True}}
    assert kept(api, bob) == (order[::-1], None)


def test_paging_goes_to_the_very_end_and_neither_repeats_nor_skips(api, bob, tweets):
    for number in tweets:
        bookmarks.add(account_id=bob, tweet_id=number)
    seen, cursor = [], None
    while True:
        ids, cursor = kept(api, bob, f"?limit=2{f'&cursor={cursor}' if cursor else ''}")
        seen += ids
        if cursor is None:
            break
        if len(seen) == 2:  # What is bookmarked meanwhile shifts nothing.
            bookmarks.remove(account_id=bob, tweet_id=tweets[4])
            bookmarks.add(account_id=bob, tweet_id=tweets[4])
    assert seen == tweets[::-1]


def test_the_link_header_leads_to_the_next_page(api, bob, tweets):
    for number in tweets:
        bookmarks.add(account_id=bob, tweet_id=number)
    answer = api(bob).get(f"{PAGE}?limit=2")
    cursor = answer.json()["meta"]["next_cursor"]
    assert answer["Link"] == f'<{PAGE}?limit=2&cursor={cursor}>; rel="next"'
    assert not api(bob).get(PAGE).has_header("Link")


@pytest.mark.parametrize("name", ["max_id", "since_id", "min_id"])
def test_what_goes_by_tweets_is_refused_by_name(api, bob, name):
    answer = api(bob).get(f"{PAGE}?{name}=7")
    assert answer.status_code == 400
    assert answer.json()["errors"].keys() == {name}


def test_a_retweets_original_is_bookmarked_and_either_takes_it_back(api, bob, tweets, make_account):
    cat = make_account("cat")
    original = tweets[0]
    retweet, _ = services.retweet(account_id=cat, tweet_id=original)
    for named in (retweet, original):
        bookmarks.add(account_id=bob, tweet_id=retweet)
        assert kept(api, bob) == ([original], None)
        bookmarks.remove(account_id=bob, tweet_id=named)
        assert kept(api, bob) == ([], None)


def test_a_hidden_originals_bookmark_is_taken_back_by_its_retweets_id(
    api, bob, tweets, make_account
):
    retweet, _ = services.retweet(account_id=make_account("cat"), tweet_id=tweets[0])
    bookmarks.add(account_id=bob, tweet_id=retweet)
    moderation.hide(tweet_ids=[tweets[0]], by_id=make_account("mod"), reason="x")
    answer = api(bob).delete("/tweet/bookmark", {"tweet_id": str(retweet)})
    assert answer.json() == {"data": {"bookmarked": False}}
    assert not Bookmark.objects.exists()


def test_it_shows_in_every_answer_with_the_tweet_to_oneself_only(api, ann, bob, tweets):
    bookmarks.add(account_id=bob, tweet_id=tweets[1])
    for path in (f"/tweet/id/{tweets[1]}", f"/timeline/user/{ann}"):
        for who, marked in ((bob, [str(tweets[1])]), (ann, [])):
            answer = api(who).get(path).json()
            assert answer["viewer"]["bookmarked"] == marked
            body = json.dumps([answer["data"], answer["includes"]])
            assert "bookmark" not in body
    assert kept(api, ann) == ([], None)


@pytest.mark.parametrize("gone", ["hidden", "suspended"])
def test_what_cannot_be_seen_is_left_out_and_comes_back_with_the_tweet(
    api, ann, bob, tweets, make_account, gone
):
    moderator = make_account("moderator")
    for number in tweets:
        bookmarks.add(account_id=bob, tweet_id=number)
    acts = {
        "hidden": (
            lambda: moderation.hide(tweet_ids=tweets[1:], by_id=moderator, reason="x"),
            lambda: moderation.restore(tweet_ids=tweets[1:], by_id=moderator, reason="x"),
            tweets[:1],
        ),
        "suspended": (
            lambda: accounts_moderation.suspend(account_id=ann, by_id=moderator, reason="x"),
            lambda: accounts_moderation.lift(account_id=ann, by_id=moderator, reason="x"),
            [],
        ),
    }
    go, come_back, left = acts[gone]
    go()
    assert kept(api, bob, "?limit=2") == (left, None)
    bookmarks.remove(account_id=bob, tweet_id=tweets[4])  # seen or not
    with pytest.raises(NotFound):
        bookmarks.add(account_id=bob, tweet_id=tweets[4])
    come_back()
    assert kept(api, bob) == (tweets[3::-1], None)


def test_a_page_costs_one_statement_when_its_tweets_are_cached(api, bob, tweets, sql_statements):
    for number in tweets:
        bookmarks.add(account_id=bob, tweet_id=number)
    kept(api, bob)
    sql_statements.clear()
    assert len(kept(api, bob)[0]) == 5
    assert len(sql_statements) == 1


def test_a_deleted_tweets_bookmarks_go_in_steps(api, ann, make_account, tweets, monkeypatch):
    monkeypatch.setattr(declared, "STEP", 2)
    people = [make_account(f"p{number}") for number in range(5)]
    for who in people:
        bookmarks.add(account_id=who, tweet_id=tweets[0])
        bookmarks.add(account_id=who, tweet_id=tweets[1])
    posts.delete(account_id=ann, tweet_id=tweets[0])
    assert kept(api, people[0]) == ([tweets[1]], None)
    steps = 0
    while not purging.purge_tweet(tweets[0]):
        steps += 1
    assert steps == 3
    assert not Tweet.objects.filter(id=tweets[0]).exists()
    assert set(Bookmark.objects.values_list("tweet_id", flat=True)) == {tweets[1]}


def test_who_is_deleted_has_no_bookmarks_left(bob, tweets):
    for number in tweets:
        bookmarks.add(account_id=bob, tweet_id=number)
    while not purging.purge_author(bob):
        pass
    assert not Bookmark.objects.exists()


def test_what_was_deleted_since_it_was_seen_is_not_bookmarked(ann, bob, tweets, monkeypatch):
    original_of = bookmarks.original_of

    def then_deleted(tweet_id, *, reader_id):
        found = original_of(tweet_id, reader_id=reader_id)
        posts.delete(account_id=ann, tweet_id=tweet_id)
        return found

    monkeypatch.setattr(bookmarks, "original_of", then_deleted)
    with pytest.raises(NotFound):
        bookmarks.add(account_id=bob, tweet_id=tweets[0])
    assert not Bookmark.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_deletion_waits_for_a_bookmark_that_is_being_made(ann, bob, tweets, monkeypatch):
    """No foreign key would tell: the bookmark would stay when the tweet is cleared away."""
    may_commit, order = Event(), []
    publish = bookmarks.publish

    def stand_still(*events):
        order.append("made")
        assert may_commit.wait(30)
        publish(*events)

    def delete():
        posts.delete(account_id=ann, tweet_id=tweets[0])
        order.append("deleted")
        connection.close()

    def add():
        bookmarks.add(account_id=bob, tweet_id=tweets[0])
        connection.close()

    monkeypatch.setattr(bookmarks, "publish", stand_still)
    with ThreadPoolExecutor() as threads:
        adding = threads.submit(add)
        wait_until(lambda: order)
        deleting = threads.submit(delete)
        wait_until(lambda: deleting.done() or someone_waits_for_a_lock())
        assert order == ["made"]
        may_commit.set()
        adding.result()
        deleting.result()
    assert Bookmark.objects.count() == 1
    while not purging.purge_tweet(tweets[0]):
        pass
    assert not Tweet.objects.filter(id=tweets[0]).exists()
    assert not Bookmark.objects.exists()


def someone_waits_for_a_lock():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone()[0]


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.django_db(transaction=True)
def test_two_at_once_bookmark_once(bob, tweets, in_parallel):
    in_parallel(*[lambda: bookmarks.add(account_id=bob, tweet_id=tweets[0])] * 4)
    assert Bookmark.objects.count() == 1
    assert reader(bob).marks_of(tweets).of(tweets)["bookmarked"] == {tweets[0]}


def test_an_account_that_went_a_moment_ago_bookmarks_nothing(bob, tweets):
    with transaction.atomic(), connection.cursor() as cursor:
        Account.objects.filter(id=bob).delete()
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(Unauthenticated):
            bookmarks.add(account_id=bob, tweet_id=tweets[0])
        transaction.set_rollback(True)
