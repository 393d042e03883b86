"""What a post costs, and that its answer is the same with and without DRF."""

import json
import re
from contextlib import suppress
from io import BytesIO
from tempfile import TemporaryFile

import pytest
from django.db import OperationalError, connection
from psycopg import pq

from accounts import facade as accounts
from accounts.models import Account
from tests.asking import ask, request
from tweets import text
from tweets.models import Tweet
from tweets.posts import api as posts_api
from tweets.posts import services
from tweets.posts.serializers import PostTweetSerializer
from twitter import wsgi
from twitter.base.http.requests import checked

pytestmark = pytest.mark.django_db(transaction=True)


def posting(account_id, body, **changes):
    """Return the WSGI request of a post."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    post = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/tweet/create",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(sent)),
        "wsgi.input": BytesIO(sent),
    }
    return request(account_id, **(post | changes))


def send(account_id, body, **changes):
    return ask(wsgi.application, posting(account_id, body, **changes))


@pytest.fixture
def ann(make_account, without_limits):
    """Return an account of which all is cached that a post asks for, and which has a home."""
    ann = make_account("ann")
    assert ask(wsgi.application, request(ann))[0] == "200 OK"
    assert send(ann, {"text": "the first one"})[0] == "201 Created"
    return ann


@pytest.fixture
def to_postgres():
    """Return a function that returns what a call sends to PostgreSQL: each message with a command.

    libpq writes them down, so BEGIN and COMMIT are among them.
    """

    def run(call):
        connection.ensure_connection()
        pgconn = connection.connection.pgconn
        with TemporaryFile("w+") as trace:
            pgconn.trace(trace.fileno())
            pgconn.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS | pq.Trace.REGRESS_MODE)
            try:
                call()
            finally:
                pgconn.untrace()
            trace.seek(0)
            return re.findall(r'^F\t\d+\t(?:Query|Parse)\t *"\s*(\w+)', trace.read(), re.MULTILINE)

    return run


def test_a_post_is_one_statement_and_two_round_trips(ann, to_postgres, round_trips):
    sent = to_postgres(lambda: send(ann, {"text": "hello"}))
    assert sent == ["WITH"]
    assert len(round_trips) == 2
    before, after = round_trips
    assert before.count(b"\r\nGET\r\n") == 2  # the account's state, and the card
    assert b"LPUSHX" in after
    assert b"PUBLISH" in after


def test_with_a_key_it_is_a_transaction(ann, to_postgres, round_trips):
    key = {"HTTP_IDEMPOTENCY_KEY": "k"}
    sent = to_postgres(lambda: send(ann, {"text": "hello"}, **key))
    assert sent == ["BEGIN", "INSERT", "WITH", "UPDATE", "COMMIT"]
    assert len(round_trips) == 2


def test_a_post_counts_in_the_rate_limits_in_the_same_round_trip(ann, settings, round_trips):
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"writes": {"user": (2, 60)}}
    statuses = [send(ann, {"text": "hello"})[0] for _ in range(2)]
    assert len(round_trips) == 4
    round_trips.clear()
    status, headers, _ = send(ann, {"text": "hello"})
    assert [*statuses, status] == ["201 Created"] * 2 + ["429 Too Many Requests"]
    assert "Retry-After" in dict(headers)
    assert len(round_trips) == 1
    assert Tweet.objects.count() == 3


def test_entities_are_found_once(ann, monkeypatch):
    found = []
    entities = text.entities
    monkeypatch.setattr(text, "entities", lambda of: found.append(of) or entities(of))
    status, _, body = send(ann, {"text": "#one of @two"})
    assert status == "201 Created"
    assert found == ["#one of @two"]
    assert json.loads(body)["data"]["entities"]["hashtags"][0]["tag"] == "one"


BODIES = {
    "posted": {"text": "  Café #tag @bob https://example.com/a $ABC  "},
    "empty": {"text": ""},
    "unseen": {"text": " \n"},
    "long": {"text": "x" * 281},
    "bytes": {"text": "https://example.com/" + "x" * 5_000},
    "control": {"text": "nul\x00"},
    "surrogate": b'{"text": "\\ud800"}',
    "no text": {},
    "null": {"text": None},
    "number": {"text": 5},
    "unknown": {"text": "hello", "in_reply_to_tweet_id": "5"},
    "unknown and long": {"text": "x" * 281, "media": []},
    "twice": b'{"text": "one", "text": "two"}',
    "list": [1],
    "string": "hello",
    "no body": b"",
    "no JSON": b'{"text": ',
    "no UTF-8": b'{"text": "\xff"}',
    "NaN": b'{"text": NaN}',
    "deep": b'{"text": ' + b"[" * 40 + b"]" * 40 + b"}",
}
CHANGES = {
    "form": {"CONTENT_TYPE": "application/x-www-form-urlencoded"},
    "no type": {"CONTENT_TYPE": ""},
    "other charset": {"CONTENT_TYPE": "Application/JSON; charset=latin-1"},
    "key": {"HTTP_IDEMPOTENCY_KEY": "k"},
    "empty key": {"HTTP_IDEMPOTENCY_KEY": ""},
    "long key": {"HTTP_IDEMPOTENCY_KEY": "k" * 256},
    "odd key": {"HTTP_IDEMPOTENCY_KEY": "a b"},
    "forged": {"HTTP_AUTHORIZATION": "Bearer forged"},
    "no token": {"HTTP_AUTHORIZATION": ""},
    "other host": {"HTTP_HOST": "evil.example"},
    "too long": {"CONTENT_LENGTH": "10000000"},
    "HEAD": {"REQUEST_METHOD": "HEAD"},
    "PUT": {"REQUEST_METHOD": "PUT"},
}
ODD = {
    **{name: (body, {}) for name, body in BODIES.items()},
    **{name: ({"text": "hello"}, changes) for name, changes in CHANGES.items()},
}


def without_ids(answer):
    """Return an answer without what differs from one post to the next."""
    status, headers, body = answer
    if not status.startswith("201"):
        return answer
    body = re.sub(rb'("id"|"conversation_id"):"\d+"', rb"\1", body, count=2)
    return status, headers, re.sub(rb'"created_at":"[^"]+"', b"", body)


@pytest.mark.parametrize("name", ODD)
def test_an_answer_is_the_same_with_and_without_drf(ann, monkeypatch, name):
    body, changes = ODD[name]
    answer = send(ann, body, **changes)
    monkeypatch.setattr(posts_api, "author_of", lambda request: None)
    # A key is another's, or it would be a repeat.
    again = {**changes, "HTTP_IDEMPOTENCY_KEY": "l"} if name == "key" else changes
    assert without_ids(answer) == without_ids(send(ann, body, **again))
    assert ("201" in answer[0]) is (name in {"posted", "twice", "other charset", "key"})


def test_an_ordinary_post_goes_past_drf(ann, monkeypatch):
    monkeypatch.setattr(posts_api.CreateView, "initialize_request", None)
    assert send(ann, {"text": "hello"})[0] == "201 Created"


@pytest.mark.parametrize("end", ["suspended_at", "deleted_at"])
def test_who_is_gone_is_refused_alike(ann, monkeypatch, end):
    """Though everything that is cached says otherwise."""
    Account.objects.filter(id=ann).update(**{end: "2026-01-01T00:00Z"})
    answer = send(ann, {"text": "hello"})
    assert answer[0] == "401 Unauthorized"
    assert dict(answer[1])["WWW-Authenticate"] == 'Bearer realm="api"'
    monkeypatch.setattr(posts_api, "author_of", lambda request: None)
    assert answer == send(ann, {"text": "hello"})
    assert Tweet.objects.count() == 1


def test_who_is_purged_while_the_statement_runs_is_refused(ann, make_account, monkeypatch):
    """After it has seen the account, and before it checks the foreign keys: the tweet's first."""
    gone = make_account("gone")
    assert ask(wsgi.application, request(gone))[0] == "200 OK"
    assert accounts.cards([gone])
    Account.objects.filter(id=gone).delete()
    blind = services._INSERT.replace(accounts.VISIBLE_ID, "SELECT %s AS id")
    monkeypatch.setattr(services, "_INSERT", blind)
    assert send(gone, {"text": "hello"})[0] == "401 Unauthorized"
    assert Tweet.objects.count() == 1


@pytest.mark.parametrize("error", [OperationalError, ZeroDivisionError])
def test_what_fails_in_postgres_is_told_alike(ann, monkeypatch, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(services, "insert_and_publish", fail)
    answer = send(ann, {"text": "hello"})
    assert answer[0][:3] == ("503" if error is OperationalError else "500")
    monkeypatch.setattr(posts_api, "author_of", lambda request: None)
    assert answer == send(ann, {"text": "hello"})


def test_without_redis_a_post_is_stored_and_answered(ann, redis_gone, run_outbox):
    before = without_ids(send(ann, {"text": "hello"}))
    redis_gone()
    status, headers, body = without_ids(send(ann, {"text": "hello"}))
    assert (status, body) == (before[0], before[2].replace(b'"tweet_count":0', b'"tweet_count":2'))
    assert headers == before[1]
    assert Tweet.objects.count() == 3


@pytest.mark.parametrize("body", [body for body in BODIES.values() if isinstance(body, dict)])
def test_the_short_way_to_a_text_is_the_serializers(body):
    def outcome(read):
        with suppress(Exception):
            return read()
        return None

    short = outcome(lambda: PostTweetSerializer.text_in(body))
    assert short == outcome(lambda: checked(PostTweetSerializer, body)["text"])
