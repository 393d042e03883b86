"""The warm read: what it costs, that it is what Django answers, and when it steps aside."""

import json

import pytest
from django.db import OperationalError

from accounts.models import Account
from tests.asking import ask, from_django, request
from timelines import warm
from timelines.home import store
from tweets.entries import Ref, id_of
from tweets.models import Tweet
from tweets.posts import cache
from tweets.posts import reads as tweets
from tweets.reactions import marks
from twitter import wsgi
from twitter.base.data import redis, resp
from twitter.base.http.headers import _of_a_read
from twitter.base.http.renderers import to_json

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "query",
    ["", "limit=1", "limit=7", "limit=100", "max_id={}", "limit=5&max_id={}", "max_id=1"],
)
def test_a_warm_answer_is_byte_for_byte_what_django_answers(
    bob, query, round_trips, sql_statements
):
    oldest = json.loads(from_django(request(bob))[2])["meta"]["oldest_id"]
    environ = request(bob, query.format(oldest))
    round_trips.clear()
    sql_statements.clear()
    answer = ask(wsgi.application, environ)
    assert len(round_trips) <= 2
    assert sql_statements == []
    assert answer == from_django(environ)
    assert answer[2] == to_json(json.loads(answer[2]))


@pytest.mark.parametrize("query", ["", "limit=7", "max_id=1"])
@pytest.mark.parametrize("sent", ["{}", '"other", {}', "*", '"other"', "no tag"])
def test_a_warm_answer_to_who_has_the_page_is_what_django_answers(
    bob, query, sent, round_trips, sql_statements
):
    headers = dict(ask(wsgi.application, request(bob, query))[1])
    environ = request(bob, query, HTTP_IF_NONE_MATCH=sent.format(headers["ETag"]))
    round_trips.clear()
    sql_statements.clear()
    answer = ask(wsgi.application, environ)
    assert len(round_trips) <= 2
    assert sql_statements == []
    assert answer == from_django(environ)
    assert answer[0] == ("200 OK" if sent in ('"other"', "no tag") else "304 Not Modified")


def test_a_warm_read_takes_two_round_trips_and_no_sql(bob, round_trips, sql_statements):
    status, _, body = ask(wsgi.application, request(bob))
    assert status == "200 OK"
    assert json.loads(body)["meta"]["result_count"] == 20
    assert len(round_trips) == 2
    assert sql_statements == []


def test_a_warm_read_of_what_has_just_arrived_takes_two_round_trips_and_no_sql(
    bob, people, post, run_outbox, round_trips, sql_statements
):
    posted = [post("ann", "news") for _ in range(20)]
    run_outbox()
    tweets.filled(posted)  # another follower has read them
    round_trips.clear()
    sql_statements.clear()
    page = json.loads(ask(wsgi.application, request(bob))[2])
    assert [int(tweet["id"]) for tweet in page["data"]] == posted[::-1]
    assert len(round_trips) == 2
    assert sql_statements == []


@pytest.mark.parametrize(
    "changes",
    [
        {"REQUEST_METHOD": "POST"},
        {"REQUEST_METHOD": "HEAD"},
        {"PATH_INFO": "/timeline/update"},
        {"HTTP_AUTHORIZATION": ""},
        {"HTTP_AUTHORIZATION": "Basic Ym9iOmJvYg=="},
        {"HTTP_AUTHORIZATION": "Bearer forged"},
        {"HTTP_HOST": "evil.example"},
        {"HTTP_TRANSFER_ENCODING": "chunked"},
        {"QUERY_STRING": "limit=0"},
        {"QUERY_STRING": "limit=101"},
        {"QUERY_STRING": "limit=x"},
        {"QUERY_STRING": "limit="},
        {"QUERY_STRING": "max_id=-1"},
        {"QUERY_STRING": "max_id=9007199254740992"},
        {"QUERY_STRING": "since_id=5"},
        {"QUERY_STRING": "&"},
        {"QUERY_STRING": "limit=5&other=1"},
    ],
)
def test_whatever_is_out_of_the_ordinary_is_left_to_django(bob, changes):
    assert warm.answer(request(bob)) is not None
    environ = request(bob) | changes
    assert warm.answer(environ) is None
    assert ask(wsgi.application, environ) == from_django(request(bob) | changes)


def test_on_the_admins_host_there_is_no_timeline(bob, settings):
    settings.ADMIN_HOST = "127.0.0.1"
    _of_a_read.cache_clear()
    try:
        assert ask(wsgi.application, request(bob))[0] == "404 Not Found"
        assert ask(wsgi.application, request(bob, HTTP_HOST="localhost"))[0] == "200 OK"
    finally:
        _of_a_read.cache_clear()


def test_plain_http_is_redirected_where_that_is_required(bob, settings):
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_HSTS_SECONDS = 60
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    _of_a_read.cache_clear()
    try:
        assert warm.answer(request(bob)) is None
        behind_a_proxy = request(bob, HTTP_X_FORWARDED_PROTO="https")
        _, headers, _ = warm.answer(behind_a_proxy)
        assert "Strict-Transport-Security" in dict(headers)
    finally:
        _of_a_read.cache_clear()


def test_a_suspended_reader_is_out_at_once(bob):
    Account.objects.filter(id=bob).update(suspended_at="2026-01-01T00:00Z")
    resp.exchange(resp.pack("DEL", f"state:{{{bob}}}"))
    assert ask(wsgi.application, request(bob))[0].startswith("401 ")
    assert ask(wsgi.application, request(bob))[0].startswith("401 ")


def test_what_is_hidden_is_filled_up_from_what_is_older(bob, people):
    page = json.loads(ask(wsgi.application, request(bob))[2])
    newest = next(
        int(tweet["id"]) for tweet in page["data"] if tweet["author_id"] == str(people["ann"])
    )
    Tweet.objects.filter(id=newest).update(state=Tweet.State.HIDDEN, removed_at="2026-01-01T00:00Z")
    resp.exchange(resp.pack("DEL", cache.TWEETS.key(newest)))
    environ = request(bob)
    answer = ask(wsgi.application, environ)
    assert answer == from_django(environ)
    shown = [tweet["id"] for tweet in json.loads(answer[2])["data"]]
    assert len(shown) == 20
    assert str(newest) not in shown


def test_a_window_of_what_came_late_is_not_enough_and_the_whole_home_is_read(
    bob, people, round_trips, sql_statements
):
    """Late tweets come before the newer ones in the list, and are older than all of these."""
    before = ask(wsgi.application, request(bob))
    oldest = id_of(min(store.peek(bob).entries))
    late = [oldest - number for number in range(1, 151)]
    Tweet.objects.bulk_create(
        Tweet(id=number, author_id=people["ann"], text="late") for number in late
    )
    for number in late:
        list(store.push_pages([store.Page(Ref(number, people["ann"]).entry, [bob])]))
    round_trips.clear()
    sql_statements.clear()
    assert warm.answer(request(bob)) is not None
    assert len(round_trips) == 3
    assert sql_statements == []
    assert ask(wsgi.application, request(bob)) == before
    for query in ("limit=100", f"max_id={oldest}"):
        environ = request(bob, query)
        assert ask(wsgi.application, environ) == from_django(environ)


def test_a_read_lets_the_home_live_on(bob, valkey):
    valkey.expire(f"home:4:{{{bob}}}", 100)
    assert warm.answer(request(bob)) is not None
    assert valkey.ttl(f"home:4:{{{bob}}}") > 100


def test_without_redis_django_answers(bob, redis_gone):
    page = json.loads(ask(wsgi.application, request(bob))[2])
    redis_gone()
    assert warm.answer(request(bob)) is None
    assert json.loads(ask(wsgi.application, request(bob))[2]) == page


def test_a_tweet_older_than_what_is_cached_of_the_reader_is_looked_up_once(
    bob, monkeypatch, valkey, sql_statements
):
    environ = request(bob, "limit=100")
    before = ask(wsgi.application, environ)
    monkeypatch.setattr(marks, "NEWEST", 1)
    valkey.delete(marks.VALUES.key(bob))
    assert ask(wsgi.application, environ) == before
    sql_statements.clear()
    assert warm.answer(environ) is not None
    assert ask(wsgi.application, environ) == before
    assert sql_statements == []


def test_a_home_that_is_not_there_is_built_and_read_as_django_would(bob, sql_statements):
    before = ask(wsgi.application, request(bob))
    for _ in range(2):
        store.drop([bob])
        sql_statements.clear()
        assert warm.answer(request(bob)) is not None
        assert sql_statements, "a page of before was taken for a page of no home"
        assert store.peek(bob) is not None
        assert ask(wsgi.application, request(bob)) == before
    assert before == from_django(request(bob))


def test_a_home_that_another_is_building_is_read_from_postgres(bob, sql_statements):
    before = ask(wsgi.application, request(bob))
    store.drop([bob])
    store.begin_build(bob)
    sql_statements.clear()
    assert ask(wsgi.application, request(bob)) == before
    assert sql_statements
    assert store.peek(bob) is None


def test_without_postgres_django_tells_that_it_is_gone(bob, valkey, monkeypatch):
    valkey.delete(*valkey.keys("tweet:*"))

    def refuse(ids):
        raise OperationalError

    monkeypatch.setattr(tweets, "fresh", refuse)
    status, headers, _ = ask(wsgi.application, request(bob))
    assert status.startswith("503 ")
    assert "Retry-After" in dict(headers)


def begin_counting(settings, **reads):
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"reads": reads}
    redis.client().delete(*redis.client().keys("limit:*"))


def test_a_warm_read_counts_and_tells_how_many_are_left(bob, settings, round_trips):
    begin_counting(settings, user=(10, 60), address=(100, 60))
    left = []
    for _ in range(3):
        round_trips.clear()
        headers = {}
        wsgi.application(request(bob), lambda status, told, into=headers: into.update(told))
        assert len(round_trips) <= 2
        assert headers["RateLimit-Policy"] == '"reads-per-user";q=10;w=60'
        left.append(headers["RateLimit"].split(";")[1])
    assert left == ["r=9", "r=8", "r=7"]


def test_who_reads_too_often_is_refused_and_the_refusal_counts_once(bob, settings):
    begin_counting(settings, user=(2, 60))
    statuses = [ask(wsgi.application, request(bob))[0] for _ in range(4)]
    assert statuses == ["200 OK"] * 2 + ["429 Too Many Requests"] * 2
    [key] = redis.client().keys("limit:reads-per-user:*")
    assert redis.client().get(key) == b"4"
