"""The search for what is left of an account finds it wherever it is, and nothing else."""

import json
import struct

import pytest
import redis
from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import AccountCounterDelta, AccountCounters
from tests.accounts.factories import AccountFactory
from tests.privacy.conftest import verify
from tweets.models import FirstAnswer, Tombstone
from twitter.base.http import limits
from twitter.outbox.models import Delivery
from twitter.privacy import leftovers

pytestmark = pytest.mark.django_db

GONE = 374_005_570_000_001


def _log_entry(**fields) -> None:
    LogEntry.objects.create(
        **{"user_id": AccountFactory().pk, "object_repr": "", "action_flag": CHANGE} | fields
    )


def _delivery(**fields) -> None:
    Delivery.objects.create(**{"event": "x", "task": "x", "payload": {}} | fields)


def _admin_session(**data) -> None:
    session = SessionStore()
    session.update(data)
    session.create()


def _answer(body: bytes) -> None:
    FirstAnswer.objects.create(account_id=AccountFactory().pk, key="some", request_hash=body)


PLANTED_IN_POSTGRES = {
    "accounts_accountcounters.account_id": lambda: AccountCounters.objects.create(account_id=GONE),
    "accounts_accountcounterdelta.account_id": lambda: AccountCounterDelta.objects.create(
        account_id=GONE
    ),
    "accounts_account.username": lambda: AccountFactory(username="Lost_One"),
    "accounts_account.email": lambda: AccountFactory(email="Lost@Example.org"),
    "tweets_tombstone.author_id": lambda: Tombstone.objects.create(tweet_id=1, author_id=GONE),
    "tweets_tombstone.tweet_id": lambda: Tombstone.objects.create(tweet_id=GONE, author_id=0),
    "outbox_delivery.payload": lambda: _delivery(payload={"ids": [1, GONE]}),
    "outbox_delivery.last_error": lambda: _delivery(last_error="no mail to lost@example.org!"),
    "outbox_delivery.event": lambda: _delivery(event=f"of.{GONE}"),
    "django_admin_log.object_id": lambda: _log_entry(object_id=str(GONE)),
    "django_admin_log.object_repr": lambda: _log_entry(object_repr="@lost_one"),
    "django_admin_log.change_message": lambda: _log_entry(change_message="Hidden: by LOST_ONE"),
    "django_session.session_data": lambda: _admin_session(**{SESSION_KEY: str(GONE)}),
    "tweets_firstanswer.request_hash": lambda: _answer(struct.pack("<q", GONE)),
}


@pytest.mark.parametrize("place", PLANTED_IN_POSTGRES)
def test_what_is_left_in_postgres_is_found(place):
    assert verify(GONE, "lost_one", "lost@example.org") == ""
    PLANTED_IN_POSTGRES[place]()
    assert f"PostgreSQL, {place}: 1 rows" in verify(GONE, "lost_one", "lost@example.org")


def test_what_only_looks_like_it_is_not_found():
    AccountFactory(username="lost_one2", email="not.lost@example.org", name="lost_one")
    _delivery(payload={"id": GONE * 10 + 1, "other": int(f"9{GONE}")})
    _admin_session(number=f"{GONE}0")
    assert verify(GONE, "lost_one", "lost@example.org") == ""


def test_a_table_that_nobody_knows_is_searched_too():
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE stray (number bigint, things jsonb, many bigint[], raw bytea)")
        try:
            cursor.execute(
                "INSERT INTO stray VALUES (%s, %s, ARRAY[1, %s], %s)",
                [GONE, json.dumps({"of": [str(GONE)]}), GONE, str(GONE).encode() + b"\0\xff"],
            )
            found = verify(GONE)
        finally:
            cursor.execute("DROP TABLE stray")
    for column in ("number", "things", "many", "raw"):
        assert f"stray.{column}: 1 rows" in found


def test_every_column_is_searched_but_for_those_that_are_named():
    searched = {column[:2] for column in leftovers.columns()}
    assert not searched & leftovers.OTHERS_WORDS
    kinds = {"bigint", "bytea", "character varying", "jsonb", "text"}
    assert {column.type for column in leftovers.columns()} == kinds
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND data_type IN ('bigint', 'text', 'jsonb')"
        )
        assert set(cursor.fetchall()) - leftovers.OTHERS_WORDS <= searched


PLANTED_IN_REDIS = {
    "newest:{id}: the key": ("set", "newest:{id}", b"x"),
    "limit:exports-per-user:{digest}: the key": ("set", "limit:exports-per-user:{digest}", b"1"),
    "limit:log-ins-per-account:{word}: the key": ("set", "limit:log-ins-per-account:{word}", b"1"),
    "x: in the string": ("set", "x", b'{{"author_id":"{id}"}}'),
    "y: in the string": ("set", "y", b"Lost_One"),
    "popular:1: in the list": ("rpush", "popular:1", *[b"5"] * 2_500, b"{id}"),
    "s: in the set": ("sadd", "s", b"a", b"{id}"),
    "h: in the hash": ("hset", "h", b"account", b"{id}"),
}


@pytest.mark.parametrize("place", PLANTED_IN_REDIS)
def test_what_is_left_in_redis_is_found(place, valkey):
    names = {"id": GONE, "digest": limits.digest(GONE), "word": limits.digest("lost_one")}
    command, key, *values = PLANTED_IN_REDIS[place]
    filled = [value.decode().format(**names).encode() for value in values]
    valkey.execute_command(command, key.format(**names), *filled)
    valkey.set(f"home:4:{{{GONE}0}}", b"another's")
    assert verify(GONE, "lost_one") == f"Left:\nRedis, cache, {place.format(**names)}"


def test_packed_ids_scores_and_the_broker_are_searched(valkey):
    valkey.set("viewer:3:1", struct.pack("<4q", 0, 1, GONE, 5))
    valkey.zadd("scored", {"x": GONE})
    broker = redis.Redis.from_url(settings.CELERY_BROKER_URL)
    broker.rpush("tests-queue", json.dumps({"kwargsrepr": f"{{'account_id': {GONE}}}"}))
    try:
        found = verify(GONE)
    finally:
        broker.delete("tests-queue")
    assert set(found.splitlines()[1:]) == {
        "Redis, cache, viewer:3:1: in the string",
        "Redis, cache, scored: in the zset",
        "Redis, broker, tests-queue: in the list",
    }


def test_what_others_wrote_may_name_anybody(valkey):
    AccountFactory(name="Lost_One", bio="lost_one was here")
    valkey.set("tweet:3:77", struct.pack("<3q", 1, 2, 0) + b'{"text":"@lost_one"}')
    assert verify(GONE, "lost_one") == ""
    valkey.set("tweet:3:77", struct.pack("<3q", 1, GONE, 0) + b"{}")
    assert "tweet:3:77: in the string" in verify(GONE, "lost_one")


def test_what_it_cannot_search_it_does_not_pass_over(valkey):
    valkey.xadd("stream", {"a": "b"})
    with pytest.raises(ValueError, match="stream"):
        verify(GONE)


def test_a_wrong_id_is_refused():
    with pytest.raises(CommandError, match="account_id"):
        call_command("verify_deletion", "ada")
