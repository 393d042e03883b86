"""The warm read: what it costs, that it is what Django answers, and when it steps aside."""

import json
from io import BytesIO

import pytest
from django.core.signals import request_finished, request_started
from django.db import OperationalError, close_old_connections

from accounts import cache as accounts_cache
from accounts.models import Account
from accounts.tokens import issue_access_token
from timelines import remembered, store, warm
from tweets import cache
from tweets import selectors as tweets
from tweets.models import Tweet
from tweets.tasks import fold_metrics
from twitter import wsgi
from twitter.lib import redis, resp
from twitter.lib.observing import observed
from twitter.lib.renderers import to_json

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = 'ünï¢ode \u2028 </script> 🎉 "quoted" \\ #a @b https://example.com/?a=1&b=2'


def request(account_id, query="", **changes):
    token = issue_access_token(account_id=account_id, session_id=1, generation=0)
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/timeline/timeline",
        "QUERY_STRING": query,
        "SCRIPT_NAME": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "HTTP_HOST": "127.0.0.1:8080",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "HTTP_X_REQUEST_ID": "0123456789abcdef",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        **changes,
    }


def ask(application, environ):
    """Return status, headers and body of an answer."""
    # As Django's test client does it, so that a request does not end the test's transaction.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    started = []
    chunks = application(environ, lambda status, headers: started.append((status, headers)))
    body = b"".join(chunks)
    [(status, headers)] = started
    # How many requests are left differs from one to the next.
    headers = sorted(header for header in headers if header[0] != "RateLimit")
    return status, headers, body


def from_django(environ):
    return ask(observed(wsgi._django), environ)


@pytest.fixture
def round_trips(monkeypatch):
    """Return a list that receives the commands of each round trip from now on."""
    trips = []
    send = resp._Connection.send

    def note(self, message):
        trips.append(message)
        send(self, message)

    monkeypatch.setattr(resp._Connection, "send", note)
    return trips


@pytest.fixture
def bob(people, follow, post, retweet, api, run_outbox):
    """Return somebody whose home has tweets, retweets and repeated ones, liked and not, warm."""
    for followed in ("ann", "cat"):
        follow("bob", followed)
    posted = [post("ann", f"{number} {TEXT}") for number in range(30)]
    strange = post("dan")
    for author in ("ann", "cat"):
        retweet(author, strange)
    retweet("cat", posted[0])
    retweet("bob", posted[-1])
    for liked in (posted[3], posted[-2], strange):
        assert api(people["bob"]).post("/tweet/like", {"tweet_id": liked}).status_code == 200
    fold_metrics()
    run_outbox()
    resp.exchange(resp.pack("DEL", cache._viewer_key(people["bob"])))  # the tombstone
    for query in ("", "limit=100"):
        from_django(request(people["bob"], query))
    return people["bob"]


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


def test_a_warm_read_takes_two_round_trips_and_no_sql(bob, round_trips, sql_statements):
    status, _, body = ask(wsgi.application, request(bob))
    assert status == "200 OK"
    assert json.loads(body)["meta"]["result_count"] == 20
    assert len(round_trips) == 2
    assert sql_statements == []


def test_reading_the_same_page_again_takes_one_round_trip(bob, round_trips, sql_statements):
    first = ask(wsgi.application, request(bob))
    round_trips.clear()
    assert ask(wsgi.application, request(bob)) == first
    assert len(round_trips) == 1
    assert sql_statements == []


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
        for _ in range(2):
            ask(wsgi.application, request(bob, query))
    change(api, people, posted)
    if is_delivered:
        run_outbox()
    for query in ("", "limit=5"):
        for _ in range(2):
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


def test_a_warm_read_of_what_has_just_arrived_takes_two_round_trips_and_no_sql(
    bob, people, post, run_outbox, round_trips, sql_statements
):
    posted = [post("ann", "news") for _ in range(20)]
    run_outbox()
    tweets.hydrate(posted)  # another follower has read them
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
    warm._fixed_headers.cache_clear()
    try:
        assert ask(wsgi.application, request(bob))[0] == "404 Not Found"
        assert ask(wsgi.application, request(bob, HTTP_HOST="localhost"))[0] == "200 OK"
    finally:
        warm._fixed_headers.cache_clear()


def test_plain_http_is_redirected_where_that_is_required(bob, settings):
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_HSTS_SECONDS = 60
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    warm._fixed_headers.cache_clear()
    try:
        assert warm.answer(request(bob)) is None
        behind_a_proxy = request(bob, HTTP_X_FORWARDED_PROTO="https")
        headers, _ = warm.answer(behind_a_proxy)
        assert "Strict-Transport-Security" in dict(headers)
    finally:
        warm._fixed_headers.cache_clear()


def test_a_suspended_reader_is_out_at_once(bob, api):
    Account.objects.filter(id=bob).update(suspended_at="2026-01-01T00:00Z")
    resp.exchange(resp.pack("DEL", f"account:state:{bob}"))
    assert ask(wsgi.application, request(bob))[0].startswith("401 ")
    assert ask(wsgi.application, request(bob))[0].startswith("401 ")


def test_what_is_hidden_is_filled_up_from_what_is_older(bob, people, api, round_trips):
    page = json.loads(ask(wsgi.application, request(bob))[2])
    newest = next(
        int(tweet["id"]) for tweet in page["data"] if tweet["author_id"] == str(people["ann"])
    )
    Tweet.objects.filter(id=newest).update(state=Tweet.State.HIDDEN, removed_at="2026-01-01T00:00Z")
    resp.exchange(resp.pack("DEL", cache._key(newest)))
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
    oldest = min(store.peek(bob).entries)
    late = [store.id_of(oldest) - number for number in range(1, 151)]
    Tweet.objects.bulk_create(
        Tweet(id=number, author_id=people["ann"], text="late") for number in late
    )
    for number in late:
        list(store.push_pages(store.pack(tweet_id=number, original_id=0), [[bob]]))
    remembered._pages.clear()
    round_trips.clear()
    sql_statements.clear()
    assert warm.answer(request(bob)) is not None
    assert len(round_trips) == 3
    assert sql_statements == []
    assert ask(wsgi.application, request(bob)) == before
    for query in ("limit=100", f"max_id={store.id_of(oldest)}"):
        environ = request(bob, query)
        assert ask(wsgi.application, environ) == from_django(environ)


def test_a_read_lets_the_home_live_on(bob, valkey):
    valkey.expire(f"home:3:{bob}", 100)
    assert warm.answer(request(bob)) is not None
    assert valkey.ttl(f"home:3:{bob}") > 100


def test_without_redis_django_answers(bob, redis_gone):
    page = json.loads(ask(wsgi.application, request(bob))[2])
    redis_gone()
    assert warm.answer(request(bob)) is None
    assert json.loads(ask(wsgi.application, request(bob))[2]) == page


def test_a_tweet_older_than_what_is_cached_of_the_reader_is_looked_up(bob, monkeypatch, valkey):
    environ = request(bob, "limit=100")
    before = ask(wsgi.application, environ)
    monkeypatch.setattr(tweets, "VIEWER_SIZE", 1)
    valkey.delete(cache._viewer_key(bob))
    assert ask(wsgi.application, environ) == before
    assert warm.answer(environ) is None
    assert ask(wsgi.application, environ) == before


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


def test_a_home_that_is_being_built_is_left_to_django(bob):
    store.drop([bob])
    store.begin_build(bob)
    assert warm.answer(request(bob)) is None
    assert ask(wsgi.application, request(bob))[0] == "200 OK"


def test_without_postgres_django_tells_that_it_is_gone(bob, valkey, monkeypatch):
    valkey.delete(*valkey.keys("tweet:*"))

    def refuse(ids):
        raise OperationalError

    monkeypatch.setattr(tweets, "load", refuse)
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
