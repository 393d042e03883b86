"""Moderation of tweets in the admin, with the reason in the audit log."""

import pytest
from django.contrib.admin import site
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client

from accounts.models import Account
from tweets.models import Tweet
from tweets.posts import services
from tweets.posts.admin import TweetAdmin
from tweets.text import parse

pytestmark = pytest.mark.usefixtures("commits")

LIST = "/admin/tweets/tweet/"


@pytest.fixture
def moderator():
    return Account.objects.create_superuser("mod", password="x")


@pytest.fixture
def admin(moderator):
    client = Client()
    client.force_login(moderator)
    return client


@pytest.fixture
def tweet(make_account):
    services.post(author_id=make_account("ann"), text=parse("Something rude, and Übles"))
    return Tweet.objects.get()


def act(admin, action, tweet, reason=None):
    data = {"action": action, "_selected_action": [tweet.pk]}
    if reason is not None:
        data["reason"] = reason
    return admin.post(LIST, data, follow=True)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("rude", 1),
        ("RUDE something", 1),
        ('"something rude"', 1),
        ("übles", 1),
        ("polite", 0),
        ("-rude", 0),
        ("@ann", 1),
        ("@nobody", 0),
        ("@", 0),
        ("'); DROP", 0),
        ("", 1),
    ],
)
def test_tweets_are_found_by_words_and_by_author(admin, tweet, query, found):
    answer = admin.get(LIST, {"q": query})
    assert answer.status_code == 200
    assert answer.context["cl"].result_count == found


def test_the_search_can_use_the_index(tweet):
    page = TweetAdmin(Tweet, site)
    found, _ = page.get_search_results(None, Tweet.objects.all(), "rude")
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        plan = found.explain()
        cursor.execute("RESET enable_seqscan")
    assert "tweet_text_search" in plan


def test_hiding_asks_for_a_reason_and_is_in_the_audit_log(admin, moderator, tweet, api):
    asked = act(admin, "hide", tweet)
    assert b"reason" in asked.content
    assert Tweet.objects.get().state == Tweet.State.VISIBLE
    act(admin, "hide", tweet, reason="rude")
    assert Tweet.objects.get().state == Tweet.State.HIDDEN
    assert api(tweet.author_id).get(f"/tweet/id/{tweet.pk}").status_code == 404
    hidden = admin.get(LIST, {"state": "hidden"})
    assert hidden.context["cl"].result_count == 1
    act(admin, "restore", tweet, reason="a quotation")
    assert api(tweet.author_id).get(f"/tweet/id/{tweet.pk}").status_code == 200
    log = LogEntry.objects.order_by("id").values_list("user_id", "object_id", "change_message")
    assert list(log) == [
        (moderator.pk, str(tweet.pk), "Hidden: rude"),
        (moderator.pk, str(tweet.pk), "Restored: a quotation"),
    ]


def test_deleting_deletes(admin, tweet, run_outbox):
    act(admin, "delete_tweets", tweet, reason="spam")
    run_outbox()
    assert not Tweet.objects.exists()
    assert LogEntry.objects.get().change_message == "Deleted: spam"


def test_without_the_permission_there_is_no_action(tweet):
    client = Client()
    helper = Account.objects.create_user("helper", password="x", is_staff=True)
    client.force_login(helper)
    assert client.get(LIST).status_code == 403
    assert act(client, "hide", tweet, reason="x").status_code == 403
    assert Tweet.objects.get().state == Tweet.State.VISIBLE


def test_a_tweets_page_can_be_looked_at(admin, tweet):
    assert admin.get(f"{LIST}{tweet.pk}/change/").status_code == 200
