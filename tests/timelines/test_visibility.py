"""Tweets that the reader may not see, or saw already, are left out, and pages are filled up."""

from datetime import timedelta
from itertools import pairwise

import pytest

from accounts.moderation import services as accounts
from timelines.home import services, store
from timelines.home.verification import difference
from tweets.entries import Ref
from tweets.models import Tweet
from tweets.posts import moderation as posts_moderation
from tweets.posts.importing import OldTweet, import_batch
from twitter.base.data.ids import time_of

pytestmark = pytest.mark.usefixtures("commits")


def test_a_thing_retweeted_by_several_followees_shows_once_and_another_takes_its_place(
    ids, people, follow, post, retweet, read, api, run_outbox
):
    follow("bob", "ann")
    follow("bob", "cat")
    original = post("dan", "to be retweeted")
    first = retweet("ann", original)
    second = retweet("cat", original)
    run_outbox()
    for _ in range(2):
        page = read("bob")
        assert ids(page) == [first]
        assert [int(tweet["id"]) for tweet in page["includes"]["tweets"]] == [original]
        users = {user["username"] for user in page["includes"]["users"]}
        assert users == {"ann", "dan"}
    undo = api(people["ann"]).delete("/tweet/retweet", {"tweet_id": original})
    assert undo.status_code == 200
    run_outbox()
    assert ids(read("bob")) == [second]


def test_a_retweet_is_left_out_below_its_original_but_never_ones_own(
    ids, follow, post, retweet, read, run_outbox
):
    follow("bob", "ann")
    follow("bob", "cat")
    original = post("ann")
    retweet("cat", original)
    own = retweet("bob", original)
    run_outbox()
    assert ids(read("bob")) == [own, original]
    assert read("bob")["viewer"] == {"liked": [], "retweeted": [str(original)], "bookmarked": []}


def test_a_deleted_tweet_and_its_retweets_vanish_at_once_everywhere(
    ids, people, follow, post, retweet, read, api, run_outbox
):
    follow("bob", "ann")
    follow("dan", "cat")
    keep, gone = post("ann"), post("ann")
    again = retweet("cat", gone)
    run_outbox()
    assert ids(read("bob")) == [gone, keep]
    assert ids(read("dan")) == [again]
    assert api(people["ann"]).delete(f"/tweet/delete/{gone}").status_code == 200
    assert ids(read("bob")) == [keep]
    assert ids(read("dan")) == []
    run_outbox()
    assert difference(people["bob"]) is None
    assert difference(people["dan"]) is None
    assert not Tweet.objects.filter(id__in=[gone, again]).exists()
    assert set(ids(read("dan", "user/" + str(people["cat"])))) == set()


def test_a_suspended_authors_tweets_vanish_for_others_and_come_back(
    ids, people, follow, post, retweet, read, run_outbox, moderator
):
    follow("bob", "ann")
    follow("bob", "cat")
    tweet = post("ann")
    follow("dan", "cat")
    again = retweet("cat", tweet)
    run_outbox()
    assert ids(read("bob")) == [tweet]
    assert ids(read("dan")) == [again]
    accounts.suspend(account_id=people["ann"], by_id=moderator, reason="spam")
    assert ids(read("bob")) == []
    assert ids(read("dan")) == []
    run_outbox()
    assert ids(read("bob")) == []
    assert difference(people["bob"]) is None
    accounts.lift(account_id=people["ann"], by_id=moderator, reason="sorry")
    run_outbox()
    assert ids(read("bob")) == [tweet]
    assert difference(people["bob"]) is None


def test_a_home_full_of_tweets_that_may_not_be_seen_is_filled_from_further_down(
    ids, people, follow, read, post, moderator
):
    follow("bob", "ann")
    now = time_of(post("cat"))
    old = import_batch([OldTweet(people["ann"], f"{n}", now) for n in range(300)])
    for hidden in sorted(old)[150:]:
        posts_moderation.hide(tweet_ids=[hidden], by_id=moderator, reason="spam")
    page = read("bob", limit=100)
    assert ids(page) == sorted(old)[149:49:-1]
    assert all(newer > older for newer, older in pairwise(ids(page)))


def test_however_often_a_thing_is_retweeted_it_shows_once_at_the_top(
    people, ids, follow, post, retweet, read, run_outbox
):
    for followed in ("ann", "cat", "dan"):
        follow("bob", followed)
    now = time_of(post("bob"))
    original = import_batch([OldTweet(people["bob"], "old", now - timedelta(days=1))])[0]
    retweets = []
    for name in ("ann", "cat", "dan"):
        retweets.append(retweet(name, original))
        import_batch([OldTweet(people["ann"], "between", time_of(retweets[-1])) for _ in range(60)])
    run_outbox()
    for _ in range(2):
        seen = ids(read("bob", limit=100))[:80]
        assert len(set(seen) & set(retweets)) == 1
    assert retweets[-1] in seen


def test_paging_never_leaves_a_retweet_out_because_newer_ones_arrive(
    people, ids, follow, post, retweet, read, run_outbox
):
    for followed in ("ann", "cat"):
        follow("bob", followed)
    original = post("dan")
    first = retweet("ann", original)
    tweets_between = [post("ann") for _ in range(5)]
    run_outbox()
    page = read("bob", limit=3)
    retweet("cat", original)
    run_outbox()
    seen = ids(page)
    while "next_cursor" in page["meta"]:
        page = read("bob", limit=3, max_id=page["meta"]["next_cursor"])
        seen += ids(page)
    assert seen == [*tweets_between[::-1], first]


def test_a_tweet_restored_while_it_is_removed_stays(
    ids, people, follow, post, read, run_outbox, monkeypatch, moderator
):
    """The new delivery is through before the removal gets to a follower's home."""
    follow("bob", "ann")
    tweet = post("ann")
    run_outbox()
    assert ids(read("bob")) == [tweet]
    posts_moderation.hide(tweet_ids=[tweet], by_id=moderator, reason="spam")
    remove = store.remove

    def remove_after_the_new_delivery(entry, account_ids):
        monkeypatch.setattr(store, "remove", remove)
        posts_moderation.restore(tweet_ids=[tweet], by_id=moderator, reason="no spam")
        assert services.fan_out(Ref(tweet, people["ann"]), after=0) is None
        remove(entry, account_ids)

    monkeypatch.setattr(store, "remove", remove_after_the_new_delivery)
    run_outbox()
    assert difference(people["bob"]) is None
    assert ids(read("bob")) == [tweet]
