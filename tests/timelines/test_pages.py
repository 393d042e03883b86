"""Pages of news and of authors, links between pages, and queries that break a rule."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from accounts.models import Account, Follow
from accounts.moderation import services as moderation_services
from tests.accounts.factories import PASSWORD
from tweets.models import Tombstone, Tweet
from tweets.posts.importing import OldTweet, import_batch
from twitter.base.data.ids import time_of

pytestmark = pytest.mark.usefixtures("commits")


def test_news_come_without_gaps_or_repeats(ids, people, follow, post, read):
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
    kept, deleted = post("ann"), post("ann")
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
    assert page["meta"]["has_more"] is False


def test_news_tell_of_removals_by_whom_one_follows_and_of_no_strangers(
    people, follow, post, read, api
):
    """Whatever strangers remove, it takes no place in the list."""
    follow("bob", "ann")
    start = post("ann")
    tweet = post("ann")
    since = read("bob", "update", since_id=start)["meta"]["next_since_id"]
    api(people["ann"]).delete(f"/tweet/delete/{tweet}")
    Tombstone.objects.bulk_create(
        Tombstone(tweet_id=number, author_id=people["dan"], removed_at=Now())
        for number in range(1, 1_200)
    )
    page = read("bob", "update", since_id=since, limit=1)
    assert page["deleted"] == [str(tweet)]


def test_news_keep_the_limit_for_removals_too_and_go_on_where_the_list_was_cut(
    people, follow, post, read, api
):
    follow("bob", "ann")
    start = post("ann")
    posted = [post("ann") for _ in range(7)]
    kept = post("ann")
    since = read("bob", "update", since_id=start)["meta"]["next_since_id"]
    for tweet in posted:
        assert api(people["ann"]).delete(f"/tweet/delete/{tweet}").status_code == 200
    later = post("ann")
    told, new, pages = [], [], 0
    while True:
        page = read("bob", "update", since_id=since, limit=3)
        pages += 1
        assert len(page["deleted"]) <= 3
        told += page["deleted"]
        new += [tweet["id"] for tweet in page["data"]]
        assert int(page["meta"]["next_since_id"]) > int(since)
        since = page["meta"]["next_since_id"]
        if not page["meta"]["has_more"]:
            break
    assert told == [str(tweet) for tweet in posted]
    assert new == [str(later)]
    assert str(kept) not in told
    assert pages < 6


def test_so_many_removals_at_one_moment_that_no_cursor_leads_through_them_are_reread(
    people, follow, post, read
):
    follow("bob", "ann")
    start = post("ann")
    since = read("bob", "update", since_id=start)["meta"]["next_since_id"]
    Account.objects.update(home_changed_at=None)
    now = Account.objects.values_list(Now(), flat=True)[0]
    Tombstone.objects.bulk_create(
        Tombstone(tweet_id=number, author_id=people["ann"], removed_at=now)
        for number in range(1, 6)
    )
    page = read("bob", "update", since_id=since, limit=3)
    assert page["deleted"] == []
    assert page["meta"]["reread"] is True
    assert page["meta"]["has_more"] is True
    page = read("bob", "update", since_id=page["meta"]["next_since_id"], limit=3)
    assert (page["deleted"], page["meta"]["has_more"]) == ([], False)


def test_a_cursor_from_the_future_is_brought_back_to_what_is_settled(
    people, ids, follow, post, read
):
    follow("bob", "ann")
    start = post("ann")
    in_an_hour = start + (3_600_000 << 12)
    since = read("bob", "update", since_id=in_an_hour)["meta"]["next_since_id"]
    assert start < int(since) < in_an_hour
    later = post("ann")
    assert ids(read("bob", "update", since_id=since)) == [later]


def test_an_old_cursor_says_that_the_home_is_to_be_read_again(people, follow, post, read):
    follow("bob", "ann")
    tweet = post("ann")
    Account.objects.update(home_changed_at=None)
    for days, reread in ((6, False), (8, True)):
        since = tweet - (days * 86_400_000 << 12)
        assert read("bob", "update", since_id=since)["meta"]["reread"] is reread


def test_the_cost_of_removals_is_that_of_the_readers_authors(people, follow, post, read):
    """Each index scan is of one author; what the whole site removed is not looked at."""
    follow("bob", "ann")
    follow("bob", "cat")
    Tombstone.objects.bulk_create(
        Tombstone(tweet_id=number, author_id=1_000_000 + number % 50) for number in range(1, 20_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tweets_tombstone")

    plans = []

    def explain(execute, sql, params, many, context):
        if "tweets_tombstone" in sql:
            execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params, many, context)
            [(plan,)] = context["cursor"].fetchall()
            plans.append(plan)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        read("bob", "update", since_id=1)
    [[plan]] = plans
    assert "Seq Scan" not in str(plan)
    assert "tombstone_by_author" in str(plan)
    assert "tombstone_by_age" not in str(plan)


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
        "viewer": {"liked": [], "retweeted": [], "bookmarked": []},
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


def test_news_of_which_nearly_all_show_already_cost_few_statements(
    ids, follow, post, read, make_account, people, sql_statements
):
    """A page of one tweet looks at twice as many each time, not at one after the other."""
    original = post("ann")
    retweeters = [make_account(f"fan{number}") for number in range(60)]
    Follow.objects.bulk_create(
        Follow(follower_id=people["bob"], followed_id=one) for one in [*retweeters, people["ann"]]
    )
    Tweet.objects.bulk_create(Tweet(author_id=one, original_id=original) for one in retweeters)
    later = post("ann")
    sql_statements.clear()
    assert ids(read("bob", "update", since_id=original, limit=1)) == [later]
    assert len(sql_statements) < 40


def test_a_followee_who_is_suspended_comes_back_or_deletes_the_account_has_the_home_read_again(
    people, ids, follow, post, read, run_outbox, moderator
):
    account = Account.objects.create_user("eve", password=PASSWORD).pk
    people["eve"] = account
    follow("bob", "eve")
    start = post("bob")
    post("eve")
    run_outbox()

    def ask(since):
        return read("bob", "update", since_id=since)["meta"]

    since = ask(start)["next_since_id"]
    assert ask(since)["reread"] is False
    moderation_services.suspend(account_id=account, by_id=moderator, reason="spam")
    assert ask(since)["reread"] is True
    since = ask(since)["next_since_id"]
    assert ask(since)["reread"] is False
    moderation_services.lift(account_id=account, by_id=moderator, reason="a mistake")
    assert ask(since)["reread"] is True
    since = ask(since)["next_since_id"]
    moderation_services.delete_as_admin(
        account_id=account, by_id=moderator, reason="a court's order"
    )
    assert ask(since)["reread"] is True
    run_outbox()
    assert not Account.objects.filter(id=account).exists()
    assert not Tombstone.objects.filter(author_id=account).exists()
    assert ask(since)["reread"] is True, "nothing is left of the follow"
    assert ids(read("bob")) == [start]


def test_news_name_retweets_of_somebody_who_was_suspended(
    people, follow, post, retweet, read, moderator
):
    follow("bob", "cat")
    start = post("bob")
    again = retweet("cat", post("ann"))
    since = read("bob", "update", since_id=start)["meta"]["next_since_id"]
    moderation_services.suspend(account_id=people["ann"], by_id=moderator, reason="spam")
    assert read("bob", "update", since_id=since)["deleted"] == [str(again)]
