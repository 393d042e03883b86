"""Popular authors: not fanned out, but merged when readers read, who see no difference."""

import struct

import pytest
from django.db import transaction
from redis.exceptions import ConnectionError as RedisConnectionError

from accounts.facade import Reach, reach_of
from accounts.graph import popularity
from accounts.models import Account, PopularAuthor
from accounts.moderation import services
from accounts.people.counters import fold_counters
from tests.asking import ask, from_django, request
from timelines import tasks
from timelines.events import FollowersKnow
from timelines.home import build as build_
from timelines.home import popular, store
from timelines.home.verification import difference
from tweets.entries import Ref, id_of
from tweets.posts import reads as tweets
from twitter import wsgi
from twitter.base.data.stamped import Stamped
from twitter.outbox.models import Delivery

pytestmark = pytest.mark.usefixtures("commits")


@pytest.fixture
def become_popular(run_outbox, settings):
    """Return a function after which authors with more than `limit` followers are popular."""

    def do(limit: int = 1) -> None:
        settings.FANOUT_MAX_FOLLOWERS = limit
        fold_counters()
        with transaction.atomic():
            popularity.note(list(Account.objects.values_list("id", flat=True)))
        run_outbox()

    return do


@pytest.fixture
def star(people, follow):
    """Ann has three followers, the others none."""
    for follower in ("bob", "cat", "dan"):
        follow(follower, "ann")
    return people["ann"]


def in_own_home(account_id):
    return {id_of(entry) for entry in store.peek(account_id).entries}


def test_an_author_becomes_popular_once_and_for_all(
    star, people, follow, become_popular, run_outbox, settings, make_account
):
    people["eve"] = make_account("eve")
    become_popular(limit=3)
    assert reach_of(star) is Reach.FAN_OUT
    settings.FANOUT_MAX_FOLLOWERS = 3
    follow("eve", "ann")
    run_outbox()
    run_outbox()
    assert reach_of(star) is Reach.MERGE
    follow("ann", "bob")
    assert reach_of(people["bob"]) is Reach.FAN_OUT
    for follower in ("bob", "cat", "dan", "eve"):
        follow(follower, "ann", undo=True)
    become_popular(limit=2)
    assert reach_of(star) is Reach.MERGE


def test_a_popular_authors_tweets_are_merged_and_not_fanned_out(
    star, people, follow, post, read, ids, run_outbox, become_popular
):
    follow("bob", "dan")
    before, other = post("ann"), post("dan")
    run_outbox()
    assert ids(read("bob")) == [other, before]
    become_popular()
    after = post("ann")
    another = post("dan")
    run_outbox()
    assert ids(read("bob")) == [another, after, other, before]
    assert ids(read("bob")) == [another, after, other, before]
    assert not in_own_home(people["bob"]) & {before, after}
    assert in_own_home(people["bob"]) >= {other, another}
    assert ids(read("ann")) == [after, before]  # the author's own home has them by itself
    for name in ("ann", "bob", "cat", "dan"):
        assert difference(people[name]) is None


def test_until_all_followers_know_tweets_get_there_in_both_ways(
    star, people, post, read, ids, run_outbox
):
    PopularAuthor.objects.create(account_id=star)
    read("cat")  # this home merges
    store.drop([people["bob"]])
    PopularAuthor.objects.all().delete()
    read("bob")  # and this one does not yet
    PopularAuthor.objects.create(account_id=star)
    tweet = post("ann")
    run_outbox()
    assert reach_of(star) is Reach.BOTH
    for name in ("bob", "cat"):
        assert ids(read(name)) == [tweet]
        assert difference(people[name]) is None


def test_what_a_popular_author_takes_back_is_gone(
    star, people, api, post, retweet, read, ids, run_outbox, become_popular
):
    become_popular()
    kept, gone = post("ann"), post("ann")
    retweeted = retweet("ann", post("dan"))
    run_outbox()
    assert ids(read("cat")) == [retweeted, gone, kept]
    assert api(star).delete(f"/tweet/delete/{gone}").status_code == 200
    assert ids(read("cat")) == [retweeted, kept]
    assert api(star).delete(f"/tweet/delete/{retweeted}").status_code == 200
    run_outbox()
    assert ids(read("cat")) == [kept]
    for name in ("ann", "bob", "cat", "dan"):
        assert difference(people[name]) is None


def test_a_reader_who_unfollows_and_follows_a_popular_author(
    star, follow, post, read, ids, run_outbox, become_popular
):
    become_popular()
    tweet = post("ann")
    run_outbox()
    assert ids(read("bob")) == [tweet]
    follow("bob", "ann", undo=True)
    assert ids(read("bob")) == []
    follow("bob", "ann")
    assert ids(read("bob")) == [tweet]


@pytest.mark.parametrize("lost", ["home:4:{{{reader}}}", "popular:{{{reader}}}", "newest:{author}"])
def test_what_is_lost_from_redis_is_made_again(
    lost, star, people, post, read, ids, run_outbox, become_popular, valkey
):
    become_popular()
    tweet = post("ann")
    run_outbox()
    assert ids(read("bob")) == [tweet]
    assert valkey.delete(lost.format(reader=people["bob"], author=star))
    assert ids(read("bob")) == [tweet]
    assert ids(read("bob")) == [tweet]
    assert build_.merged(store.read(people["bob"])).entries
    assert difference(people["bob"]) is None


def test_paging_through_what_a_popular_author_wrote_is_gapless(
    star, follow, post, read, ids, run_outbox, become_popular, monkeypatch
):
    monkeypatch.setattr(popular, "SIZE", 90)
    follow("bob", "dan")
    posted = [post(("ann", "ann", "dan")[number % 3]) for number in range(150)]
    run_outbox()
    become_popular()
    seen: list[int] = []
    page = read("bob", limit=40)
    while True:
        seen += ids(page)
        if "next_cursor" not in page["meta"]:
            break
        page = read("bob", limit=40, max_id=page["meta"]["next_cursor"])
    assert seen == posted[::-1]


def test_what_an_earlier_release_stored_of_a_popular_author_is_not_read(star, valkey):
    """When PostgreSQL was read, ids, and the floor, 8 bytes each: entries have other sizes now."""
    valkey.set(f"newest:{star}", struct.pack("<5q", tweets.clock(), 7, 6, 5, 0))
    assert popular.fetch([star]) == {}


def test_an_older_reading_does_not_replace_a_newer_one(star):
    newer, older = (popular.Newest([Ref(number, star).entry], store.END) for number in (2, 1))
    now = tweets.clock()
    for newest, later in ((older, 5), (newer, 7), (older, 6)):
        popular.replace({star: newest}, read_at=now + later)
    reader_id = 5
    build = store.begin_build(reader_id)
    store.complete_build(
        account_id=reader_id, build=build, entries=[], floor=store.END, to_merge=[star]
    )
    assert build_.merged(store.peek(reader_id)).entries == newer.entries


def test_a_merged_home_is_read_in_three_round_trips(
    star, people, post, read, run_outbox, become_popular, round_trips
):
    become_popular()
    post("ann")
    run_outbox()
    read("bob")
    round_trips.clear()
    answer = ask(wsgi.application, request(people["bob"]))
    assert len(round_trips) == 3
    assert answer == from_django(request(people["bob"]))


def test_what_a_popular_author_adds_shows_on_a_page_that_was_read_before(
    star, people, post, read, run_outbox, become_popular
):
    become_popular()
    for number in range(5):
        post("ann", f"{number}")
    run_outbox()
    environ = request(people["bob"], "limit=3")
    read("bob")
    pages = []
    for _ in range(3):
        for _ in range(3):
            pages.append(ask(wsgi.application, environ))
            assert pages[-1] == from_django(environ)
        post("ann")
        run_outbox()
    assert len(set(map(str, pages))) == 3


def test_the_check_of_a_home_stores_what_a_popular_author_wrote_if_that_has_expired(
    star, people, post, read, run_outbox, become_popular, valkey
):
    become_popular()
    post("ann")
    run_outbox()
    read("bob")
    assert valkey.delete(f"newest:{star}")
    assert difference(people["bob"]) is None
    assert valkey.exists(f"newest:{star}")


def test_a_popular_authors_tweet_waits_in_the_outbox_while_redis_is_away(
    star, people, post, read, ids, run_outbox, become_popular, monkeypatch
):
    become_popular()
    first = post("ann")
    run_outbox()
    assert ids(read("bob")) == [first]
    tweet = post("ann")
    with monkeypatch.context() as patch:
        patch.setattr(Stamped, "replace", _no_redis)
        with pytest.raises(AssertionError, match="ConnectionError"):
            run_outbox()
    Delivery.objects.update(last_error="")
    run_outbox()
    assert ids(read("bob")) == [tweet, first]


def _no_redis(*args, **options):
    raise RedisConnectionError


def test_a_suspended_popular_author_is_nobodys_to_merge(
    star, people, post, read, ids, run_outbox, become_popular
):
    become_popular()
    post("ann")
    run_outbox()
    services.suspend(account_id=star, by_id=people["dan"], reason="test")
    run_outbox()
    assert ids(read("bob")) == []
    assert difference(people["bob"]) is None
    services.lift(account_id=star, by_id=people["dan"], reason="test")
    run_outbox()
    assert len(ids(read("bob"))) == 1
    assert difference(people["bob"]) is None


def test_what_was_delivered_before_all_knew_is_removed_after(
    star, people, api, post, read, ids, run_outbox
):
    PopularAuthor.objects.create(account_id=star)
    read("bob")
    tweet = post("ann")
    run_outbox()
    assert tweet in in_own_home(people["bob"])
    PopularAuthor.objects.update(followers_know=True)
    assert api(star).delete(f"/tweet/delete/{tweet}").status_code == 200
    run_outbox()
    assert ids(read("bob")) == []
    tasks.drop_homes_once_more.run(FollowersKnow(account_id=star))  # a while after all knew
    assert ids(read("bob")) == []
    assert tweet not in in_own_home(people["bob"])
    assert difference(people["bob"]) is None


def test_paging_deep_does_not_build_a_complete_home_again_and_again(
    star, follow, post, read, run_outbox, become_popular, monkeypatch
):
    monkeypatch.setattr(popular, "SIZE", 90)
    for _ in range(100):
        post("ann")
    run_outbox()
    become_popular()
    read("bob", limit=100)
    built = []
    begin = store.begin_build
    monkeypatch.setattr(store, "begin_build", lambda number: built.append(number) or begin(number))
    oldest = read("bob", limit=85)["meta"]["oldest_id"]
    for _ in range(3):
        assert read("bob", max_id=oldest)["meta"]["result_count"] == 15
    assert built == []
