"""Home timelines over the API: what one reads after others acted, warm, cold, in between."""

from datetime import timedelta

import pytest

from timelines.home import build, services, store
from timelines.home.verification import difference
from tweets.entries import Ref
from tweets.posts.importing import OldTweet, import_batch
from twitter.base.data.ids import time_of
from twitter.outbox.models import Delivery

pytestmark = pytest.mark.usefixtures("commits")


def test_a_tweet_reaches_its_followers_and_nobody_else(ids, follow, post, read, run_outbox):
    follow("bob", "ann")
    assert ids(read("bob")) == []
    assert ids(read("cat")) == []
    tweet = post("ann", "first")
    run_outbox()
    assert ids(read("bob")) == [tweet]
    assert ids(read("ann")) == [tweet]
    assert ids(read("cat")) == []


def test_the_author_sees_the_tweet_before_any_worker_ran(ids, post, read):
    read("ann")
    tweet = post("ann")
    assert ids(read("ann")) == [tweet]


def test_following_and_unfollowing_show_in_the_next_read(ids, follow, post, read):
    tweet = post("ann")
    assert ids(read("bob")) == []
    follow("bob", "ann")
    assert ids(read("bob")) == [tweet]
    follow("bob", "ann", undo=True)
    assert ids(read("bob")) == []


@pytest.fixture(params=["together", "by itself"])
def way(request, monkeypatch):
    """Have fan-outs delivered together, and then each by itself."""
    if request.param == "by itself":
        monkeypatch.setattr(services, "FEW", 0)


@pytest.mark.usefixtures("way")
def test_a_delivery_that_was_under_way_at_the_unfollowing_is_taken_back(
    ids, people, follow, post, read, run_outbox, monkeypatch
):
    follow("bob", "ann")
    run_outbox()
    push = store.push_pages

    def push_after_unfollowing(pages):
        monkeypatch.setattr(store, "push_pages", push)
        follow("bob", "ann", undo=True)
        assert ids(read("bob")) == []
        return push(pages)

    post("ann")
    monkeypatch.setattr(store, "push_pages", push_after_unfollowing)
    run_outbox()
    assert ids(read("bob")) == []
    assert difference(people["bob"]) is None


@pytest.mark.usefixtures("way")
def test_a_delivery_that_was_killed_before_it_looked_again_is_mended(
    ids, people, follow, post, read, run_outbox, monkeypatch
):
    follow("bob", "ann")
    run_outbox()
    post("ann")
    monkeypatch.setattr(services, "_leavers", kill)
    monkeypatch.setattr(services.accounts, "leavers", kill)
    push = store.push_pages

    def push_after_unfollowing(pages):
        pages = list(pages)  # with Bob
        follow("bob", "ann", undo=True)
        assert ids(read("bob")) == []
        return push(pages)

    monkeypatch.setattr(store, "push_pages", push_after_unfollowing)
    with pytest.raises(KeyboardInterrupt):
        run_outbox()
    assert difference(people["bob"]) is not None
    monkeypatch.undo()
    waiting = Delivery.objects.get(task="timelines.tasks.drop_home")
    assert waiting.due_at - waiting.created_at > timedelta(seconds=120)
    run_outbox()
    assert difference(people["bob"]) is None
    assert ids(read("bob")) == []


def kill(*followers, **facts):
    raise KeyboardInterrupt


@pytest.mark.usefixtures("way")
def test_a_tweet_deleted_while_it_is_delivered_is_taken_back(
    ids, people, follow, post, read, api, run_outbox, monkeypatch
):
    follow("bob", "ann")
    read("bob")
    run_outbox()
    tweet = post("ann")
    push = store.push_pages

    def push_after_deletion(pages):
        monkeypatch.setattr(store, "push_pages", push)
        assert api(people["ann"]).delete(f"/tweet/delete/{tweet}").status_code == 200
        return push(pages)

    monkeypatch.setattr(store, "push_pages", push_after_deletion)
    run_outbox()
    assert difference(people["bob"]) is None
    assert ids(read("bob")) == []


def test_paging_goes_to_the_very_end_and_neither_repeats_nor_skips(
    ids, people, follow, post, read, run_outbox, settings
):
    settings.HOME_SIZE = 100
    for followed in ("ann", "cat", "dan"):
        follow("bob", followed)
    now = time_of(post("ann"))
    old = import_batch(
        [
            OldTweet(author_id=people[("ann", "cat", "dan")[n % 3]], text=f"{n}", posted_at=now)
            for n in range(260)
        ]
    )
    run_outbox()
    seen: list[int] = []
    page = read("bob", limit=30)
    newer = []
    while True:
        seen += ids(page)
        assert page["meta"]["result_count"] == len(page["data"])
        if "next_cursor" not in page["meta"]:
            break
        newer.append(post("cat", "while reading"))
        run_outbox()
        page = read("bob", limit=30, max_id=page["meta"]["next_cursor"])
    assert len(newer) > 5
    assert seen == sorted(seen, reverse=True)
    assert set(old) <= set(seen)
    assert len(seen) == 261
    assert difference(people["bob"]) is None


def test_a_page_is_the_same_cold_and_without_redis(
    people, follow, post, retweet, read, run_outbox, redis_gone
):
    follow("bob", "ann")
    follow("bob", "cat")
    tweets_posted = [post("ann", f"{n} #tag https://example.com @cat") for n in range(5)]
    retweet("cat", tweets_posted[0])
    run_outbox()
    cold = read("bob")
    assert read("bob") == cold
    assert store.read(people["bob"]) is not None
    redis_gone()
    assert store.read(people["bob"]) is None
    assert read("bob") == cold


def test_verification_finds_what_is_missing_and_what_is_too_much(
    people, follow, post, read, run_outbox
):
    follow("bob", "ann")
    tweet = post("ann")
    run_outbox()
    read("bob")
    entry = build.newest_entries(author_ids=[people["ann"]], limit=1)[0]
    store.remove(entry, [people["bob"]])
    assert difference(people["bob"]).missing == [tweet]
    list(store.push_pages([store.Page(entry, [people["bob"]])]))
    assert difference(people["bob"]) is None
    other = post("cat")
    list(store.push_pages([store.Page(Ref(other, people["cat"]).entry, [people["bob"]])]))
    assert difference(people["bob"]).surplus == [other]
