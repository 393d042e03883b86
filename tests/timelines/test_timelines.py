"""Home timelines over the API: what one reads after others acted, warm, cold and in between."""

import json
from itertools import pairwise

import pytest
from django.db import connection

from accounts.models import Account
from timelines import selectors, store
from timelines.verification import difference
from tweets import services as tweets
from tweets.importing import OldTweet, import_batch
from tweets.models import Tweet
from twitter.lib.ids import id_at, time_of
from twitter.lib.renderers import to_json

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(make_account):
    return {name: make_account(name) for name in ("ann", "bob", "cat", "dan")}


@pytest.fixture
def follow(people, api):
    def do(follower: str, followed: str, *, undo: bool = False) -> None:
        client = api(people[follower])
        body = {"user_id": str(people[followed])}
        answer = client.delete("/auth/unfollow", body) if undo else client.post("/auth/follow", body)
        assert answer.status_code == 200, answer.content

    return do


@pytest.fixture
def post(people, api):
    def do(author: str, text: str = "hello") -> int:
        answer = api(people[author]).post("/tweet/create", {"text": text})
        assert answer.status_code == 201, answer.content
        return int(answer.json()["data"]["id"])

    return do


@pytest.fixture
def retweet(people, api):
    def do(author: str, tweet_id: int) -> int:
        answer = api(people[author]).post("/tweet/retweet", {"tweet_id": tweet_id})
        assert answer.status_code in (200, 201), answer.content
        return int(answer.json()["data"]["id"])

    return do


@pytest.fixture
def read(people, api):
    def do(reader: str, path: str = "timeline", **query) -> dict:
        answer = api(people[reader]).get(f"/timeline/{path}", query)
        assert answer.status_code == 200, answer.content
        return json.loads(answer.content)

    return do


def ids(page: dict) -> list[int]:
    return [int(tweet["id"]) for tweet in page["data"]]


def test_a_tweet_reaches_its_followers_and_nobody_else(follow, post, read, run_outbox):
    follow("bob", "ann")
    assert ids(read("bob")) == []
    assert ids(read("cat")) == []
    tweet = post("ann", "first")
    run_outbox()
    assert ids(read("bob")) == [tweet]
    assert ids(read("ann")) == [tweet]
    assert ids(read("cat")) == []


def test_the_author_sees_the_tweet_before_any_worker_ran(post, read):
    read("ann")
    tweet = post("ann")
    assert ids(read("ann")) == [tweet]


def test_following_and_unfollowing_show_in_the_next_read(follow, post, read):
    tweet = post("ann")
    assert ids(read("bob")) == []
    follow("bob", "ann")
    assert ids(read("bob")) == [tweet]
    follow("bob", "ann", undo=True)
    assert ids(read("bob")) == []


def test_a_delivery_that_was_under_way_at_the_unfollowing_is_taken_back(
    people, follow, post, read, run_outbox, monkeypatch
):
    follow("bob", "ann")
    run_outbox()
    push = store.push

    def push_after_unfollowing(entry, account_ids):
        monkeypatch.setattr(store, "push", push)
        follow("bob", "ann", undo=True)
        assert ids(read("bob")) == []
        push(entry, account_ids)

    post("ann")
    monkeypatch.setattr(store, "push", push_after_unfollowing)
    run_outbox()
    assert ids(read("bob")) == []
    assert difference(people["bob"]) is None


def test_a_tweet_deleted_while_it_is_delivered_is_taken_back(
    people, follow, post, read, api, run_outbox, monkeypatch
):
    follow("bob", "ann")
    read("bob")
    run_outbox()
    tweet = post("ann")
    push = store.push

    def push_after_deletion(entry, account_ids):
        monkeypatch.setattr(store, "push", push)
        assert api(people["ann"]).delete(f"/tweet/delete/{tweet}").status_code == 200
        push(entry, account_ids)

    monkeypatch.setattr(store, "push", push_after_deletion)
    run_outbox()
    assert difference(people["bob"]) is None
    assert ids(read("bob")) == []


def test_paging_goes_to_the_very_end_and_neither_repeats_nor_skips(
    people, follow, post, read, run_outbox, settings
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


def test_a_page_is_the_same_warm_cold_and_without_redis(
    people, follow, post, retweet, read, run_outbox, valkey, monkeypatch
):
    follow("bob", "ann")
    follow("bob", "cat")
    tweets_posted = [post("ann", f"{n} #tag https://example.com @cat") for n in range(5)]
    retweet("cat", tweets_posted[0])
    run_outbox()
    cold = read("bob")
    warm = read("bob")
    assert cold == warm
    assert store.read(people["bob"]) is not None
    with monkeypatch.context() as patch:
        patch.setattr("twitter.lib.redis.get_redis_connection", _no_redis)
        assert read("bob") == warm


def _no_redis(alias):
    import redis

    raise redis.ConnectionError


def test_the_hot_answer_is_byte_for_byte_what_the_renderer_writes(
    people, follow, post, read, api, run_outbox
):
    follow("bob", "ann")
    post("ann", "ünï¢ode \u2028 </script> 🎉 \"quoted\" \\ #a @b https://example.com/?a=1&b=2")
    run_outbox()
    client = api(people["bob"])
    first, second = (client.get("/timeline/timeline").content for _ in range(2))
    assert first == second == to_json(json.loads(second))


def test_a_thing_retweeted_by_several_followees_shows_once_and_another_takes_its_place(
    people, follow, post, retweet, read, api, run_outbox
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
    follow, post, retweet, read, run_outbox
):
    follow("bob", "ann")
    follow("bob", "cat")
    original = post("ann")
    retweet("cat", original)
    own = retweet("bob", original)
    run_outbox()
    assert ids(read("bob")) == [own, original]
    assert read("bob")["viewer"] == {"liked": [], "retweeted": [str(original)]}


def test_a_deleted_tweet_and_its_retweets_vanish_at_once_everywhere(
    people, follow, post, retweet, read, api, run_outbox
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
    people, follow, post, retweet, read, run_outbox
):
    from accounts import services as accounts

    follow("bob", "ann")
    follow("bob", "cat")
    tweet = post("ann")
    follow("dan", "cat")
    again = retweet("cat", tweet)
    run_outbox()
    assert ids(read("bob")) == [tweet]
    assert ids(read("dan")) == [again]
    moderator = Account.objects.create_superuser("mod", password="x").pk
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


def test_news_come_without_gaps_or_repeats(people, follow, post, read, run_outbox):
    follow("bob", "ann")
    follow("bob", "cat")
    start = post("ann")
    posted = [post(("ann", "cat")[n % 2]) for n in range(7)]
    seen, since = [], start
    for _ in range(4):
        page = read("bob", "update", since_id=since, limit=3)
        seen += reversed(ids(page))
        since = page["meta"]["next_since_id"]
    assert seen == posted
    later = post("cat")
    assert ids(read("bob", "update", since_id=since)) == [later]


def test_news_wait_for_a_smaller_id_that_commits_later(people, follow, post, read):
    follow("bob", "ann")
    start = post("ann")
    slow = connection.copy()
    try:
        slow.set_autocommit(False)
        with slow.cursor() as cursor:
            cursor.execute(
                "INSERT INTO tweets_tweet (author_id, text, state) VALUES (%s, 'slow', 0)"
                " RETURNING id",
                [people["ann"]],
            )
            early = cursor.fetchone()[0]
        late = post("ann")
        first = read("bob", "update", since_id=start)
        assert ids(first) == []
        slow.commit()
    finally:
        slow.close()
    second = read("bob", "update", since_id=first["meta"]["next_since_id"])
    assert ids(second) == [late, early]


def test_news_since_a_time(follow, post, read):
    follow("bob", "ann")
    old, new = post("ann"), post("ann")
    moment = time_of(new)
    if id_at(moment) <= old:
        pytest.skip("both in the same millisecond")
    assert ids(read("bob", "update", since=moment.isoformat())) == [new]


def test_news_tell_what_is_gone(people, follow, post, retweet, read, api, run_outbox):
    from accounts import services as accounts

    follow("bob", "ann")
    follow("bob", "cat")
    follow("bob", "dan")
    start = post("ann")
    kept, deleted, undone, by_dan = post("ann"), post("ann"), post("cat"), post("dan")
    again = retweet("cat", deleted)
    undone_retweet = retweet("dan", kept)
    run_outbox()
    since = read("bob", "update", since_id=start)["meta"]["next_since_id"]
    assert read("bob", "update", since_id=since)["deleted"] == []
    api(people["ann"]).delete(f"/tweet/delete/{deleted}")
    api(people["dan"]).delete("/tweet/retweet", {"tweet_id": kept})
    page = read("bob", "update", since_id=since)
    assert set(page["deleted"]) == {str(deleted), str(again), str(undone_retweet)}
    run_outbox()
    page = read("bob", "update", since_id=since)
    assert set(page["deleted"]) == {str(deleted), str(again), str(undone_retweet)}
    moderator = Account.objects.create_superuser("mod", password="x").pk
    accounts.suspend(account_id=people["cat"], by_id=moderator, reason="spam")
    assert str(undone) in read("bob", "update", since_id=since)["deleted"]
    assert str(by_dan) not in read("bob", "update", since_id=since)["deleted"]


def test_an_authors_page_goes_both_ways(people, post, read):
    posted = [post("ann") for _ in range(7)]
    path = f"user/{people['ann']}"
    page = read("bob", path, limit=3)
    assert ids(page) == posted[:3:-1]
    page = read("bob", path, limit=3, max_id=page["meta"]["next_cursor"])
    assert ids(page) == [posted[3], posted[2], posted[1]]
    up = read("bob", path, limit=3, since_id=posted[0])
    assert ids(up) == [posted[3], posted[2], posted[1]]
    assert ids(read("bob", path, limit=3, since_id=posted[3])) == posted[:3:-1]


def test_links_lead_to_the_neighbouring_pages(people, follow, post, api, run_outbox):
    follow("bob", "ann")
    posted = [post("ann") for _ in range(5)]
    run_outbox()
    client = api(people["bob"])
    seen = []
    address = "/timeline/timeline?limit=2"
    while address:
        answer = client.get(address)
        seen += ids(answer.json())
        links = dict(
            (link.split('rel="')[1].rstrip('"'), link.split(">")[0].lstrip("< "))
            for link in answer.headers["Link"].split(", ")
        )
        assert "/timeline/update?" in links["prev"]
        address = links.get("next")
    assert seen == posted[::-1]


def test_an_empty_page_has_no_edges(read):
    page = read("dan")
    assert page == {
        "data": [],
        "includes": {"users": [], "tweets": []},
        "viewer": {"liked": [], "retweeted": []},
        "meta": {"result_count": 0},
    }


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("timeline", {"limit": 0}, "limit"),
        ("timeline", {"limit": 101}, "limit"),
        ("timeline", {"limit": -1}, "limit"),
        ("timeline", {"limit": "many"}, "limit"),
        ("timeline", {"max_id": "x"}, "max_id"),
        ("timeline", {"max_id": 2**63}, "max_id"),
        ("timeline", {"max_id": -5}, "max_id"),
        ("timeline", {"max_id": "\x00"}, "max_id"),
        ("update", {}, "since_id"),
        ("update", {"since": "yesterday"}, "since"),
        ("update", {"since": "2026-01-01T00:00:00Z", "since_id": 5}, "since_id"),
    ],
)
def test_a_query_that_breaks_a_rule_names_the_field(people, api, path, query, field):
    answer = api(people["ann"]).get(f"/timeline/{path}", query)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert field in answer.json()["errors"]


def test_verification_finds_what_is_missing_and_what_is_too_much(people, follow, post, read, run_outbox):
    follow("bob", "ann")
    tweet = post("ann")
    run_outbox()
    read("bob")
    entry = selectors.newest_entries(author_ids=[people["ann"]], limit=1)[0]
    store.remove(entry, [people["bob"]])
    assert difference(people["bob"]).missing == [tweet]
    store.push(entry, [people["bob"]])
    assert difference(people["bob"]) is None
    other = post("cat")
    store.push(store.Entry.of(tweet_id=other, original_id=0), [people["bob"]])
    assert difference(people["bob"]).surplus == [other]


def test_a_home_full_of_tweets_that_may_not_be_seen_is_filled_from_further_down(
    people, follow, read, post, settings
):
    follow("bob", "ann")
    now = time_of(post("cat"))
    old = import_batch([OldTweet(people["ann"], f"{n}", now) for n in range(300)])
    moderator = Account.objects.create_superuser("mod", password="x").pk
    for hidden in sorted(old)[150:]:
        tweets.hide(tweet_id=hidden, by_id=moderator, reason="spam")
    page = read("bob", limit=100)
    assert ids(page) == sorted(old)[149:49:-1]
    assert all(newer > older for newer, older in pairwise(ids(page)))
