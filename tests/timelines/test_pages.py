"""Pages of news and of authors, links between pages, and queries that break a rule."""

from datetime import timedelta

import pytest
from django.db import connection

from accounts import services as accounts
from accounts.models import Account
from tweets.importing import OldTweet, import_batch
from tweets.models import Tombstone
from twitter.lib.ids import time_of

pytestmark = pytest.mark.usefixtures("commits")


def test_news_come_without_gaps_or_repeats(ids, people, follow, post, read, run_outbox):
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


@pytest.mark.django_db(transaction=True)
def test_news_wait_for_a_smaller_id_that_commits_later(ids, people, follow, post, read):
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


def test_news_since_a_time(people, ids, follow, post, read):
    follow("bob", "ann")
    now = time_of(post("cat"))
    times = [now - timedelta(seconds=seconds) for seconds in (3, 2, 1)]
    _, second, third = import_batch([OldTweet(people["ann"], "old", when) for when in times])
    since = times[1].isoformat()
    assert set(ids(read("bob", "update", since=since))) == {second, third}


def test_news_tell_what_is_gone(people, follow, post, retweet, read, api, run_outbox):
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


def test_an_authors_page_goes_both_ways(ids, people, post, read):
    posted = [post("ann") for _ in range(7)]
    path = f"user/{people['ann']}"
    page = read("bob", path, limit=3)
    assert ids(page) == posted[:3:-1]
    page = read("bob", path, limit=3, max_id=page["meta"]["next_cursor"])
    assert ids(page) == [posted[3], posted[2], posted[1]]
    up = read("bob", path, limit=3, since_id=posted[0])
    assert ids(up) == [posted[3], posted[2], posted[1]]
    assert ids(read("bob", path, limit=3, since_id=posted[3])) == posted[:3:-1]


def test_links_lead_to_the_neighbouring_pages(ids, people, follow, post, api, run_outbox):
    follow("bob", "ann")
    posted = [post("ann") for _ in range(5)]
    run_outbox()
    client = api(people["bob"])
    seen = []
    address = "/timeline/timeline?limit=2"
    while address:
        answer = client.get(address)
        seen += ids(answer.json())
        links = {
            link.split('rel="')[1].rstrip('"'): link.split(">")[0].lstrip("< ")
            for link in answer.headers["Link"].split(", ")
        }
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


def test_news_leave_out_what_shows_already(ids, follow, post, retweet, read):
    follow("bob", "ann")
    follow("bob", "cat")
    original = post("ann")
    since = read("bob", "update", since_id=original - 1)["meta"]["next_since_id"]
    retweet("cat", original)
    later = post("cat")
    assert ids(read("bob", "update", since_id=since)) == [later]


def test_news_name_the_tweets_of_a_followee_who_deleted_the_account(
    people, ids, follow, post, read, api, run_outbox
):
    account = Account.objects.create_user("eve", password="correct horse battery").pk
    people["eve"] = account
    follow("bob", "eve")
    start = post("bob")
    tweet = post("eve")
    run_outbox()
    since = read("bob", "update", since_id=start)["meta"]["next_since_id"]
    answer = api(account).delete(f"/auth/delete/{account}", {"password": "correct horse battery"})
    assert answer.status_code == 200
    assert str(tweet) in read("bob", "update", since_id=since)["deleted"]
    run_outbox()
    assert not Account.objects.filter(id=account).exists()
    assert str(tweet) in read("bob", "update", since_id=since)["deleted"]
    assert not Tombstone.objects.filter(author_id=account).exists()


def test_news_name_retweets_of_somebody_who_was_suspended(ids, people, follow, post, retweet, read):
    follow("bob", "cat")
    start = post("bob")
    again = retweet("cat", post("ann"))
    since = read("bob", "update", since_id=start)["meta"]["next_since_id"]
    moderator = Account.objects.create_superuser("mod", password="x").pk
    accounts.suspend(account_id=people["ann"], by_id=moderator, reason="spam")
    assert read("bob", "update", since_id=since)["deleted"] == [str(again)]
