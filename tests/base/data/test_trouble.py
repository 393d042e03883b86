"""What PostgreSQL cannot do is told by its name: in the log, to clients, and in readiness."""

import logging

import psycopg
import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from twitter.base.data.postgresql import trouble
from twitter.base.http import health

pytestmark = pytest.mark.django_db

NOT_NOW = "The service cannot do this right now; try again in a moment."
NO_WRITES = "The service cannot store anything right now; reading works. Try again later."


@pytest.fixture(autouse=True)
def nothing_seen(monkeypatch):
    monkeypatch.setattr(health, "look", health.Look())
    monkeypatch.setattr(trouble, "refusals", trouble.Refusals())
    monkeypatch.setattr(health, "refusals", trouble.refusals)


@pytest.fixture
def ann(make_account):
    return make_account("ann")


def every_tweet_raises(sqlstate):
    """Let PostgreSQL itself answer each new tweet with an error."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE 'it quotes people' USING ERRCODE = '{sqlstate}'; END $$;"
            " CREATE TRIGGER fails BEFORE INSERT ON tweets_tweet EXECUTE FUNCTION fails()"
        )


def post(client):
    """Post, and undo what it did to the test's transaction: a post has none of its own to undo."""
    before = transaction.savepoint()
    answer = client.post("/tweet/create", {"text": "hello"})
    transaction.savepoint_rollback(before)
    return answer


def postgres_is(api):
    return api().get("/auth/healthz?ready=1").json()["parts"]["postgres"]


@pytest.mark.parametrize(
    ("sqlstate", "said", "told"),
    [
        ("53100", "its disk is full (OperationalError)", NO_WRITES),
        ("53200", "it has no memory left (OperationalError)", NOT_NOW),
        ("53300", "all its connections are taken (OperationalError)", NOT_NOW),
        ("57P03", "it is starting or shutting down (OperationalError)", NOT_NOW),
        ("58030", "it cannot read or write its disk (OperationalError)", NOT_NOW),
        ("57014", "a statement took longer than it may (OperationalError)", NOT_NOW),
        ("08006", "it is out of reach (OperationalError)", NOT_NOW),
    ],
)
def test_what_is_the_matter_is_in_the_log_and_the_answer(api, ann, caplog, sqlstate, said, told):
    every_tweet_raises(sqlstate)
    with caplog.at_level(logging.WARNING):
        answer = post(api(ann))
    assert (answer.status_code, answer.json()["detail"]) == (503, told)
    assert answer["Retry-After"]
    assert f"PostgreSQL: {said}" in caplog.messages
    assert "quotes" not in caplog.text


def test_a_full_disk_is_not_ready_for_writing_and_reading_goes_on(api, ann, monkeypatch):
    assert postgres_is(api) == "ok"
    every_tweet_raises("53100")
    post(api(ann))
    monkeypatch.setattr(health, "look", health.Look())
    answer = api().get("/auth/healthz?ready=1")
    assert answer.status_code == 503
    assert answer.json()["parts"]["postgres"] == "read-only"
    assert api(ann).get("/auth/me").status_code == 200
    monkeypatch.setattr(health, "look", health.Look())
    later = trouble.time.monotonic() + trouble.REFUSED_SECONDS
    monkeypatch.setattr(trouble.time, "monotonic", lambda: later)
    assert postgres_is(api) == "ok"


def test_a_database_that_is_read_only_says_so(api, ann, caplog):
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
    assert postgres_is(api) == "read-only"
    answer = post(api(ann))
    assert (answer.status_code, answer.json()["detail"]) == (503, NO_WRITES)
    assert any("it takes no writes here" in message for message in caplog.messages)


def test_who_may_only_read_is_ready_though_nothing_can_be_written(api):
    trouble.refusals.note()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE ROLE only_reads; GRANT SELECT ON ALL TABLES IN SCHEMA public TO only_reads"
        )
        cursor.execute("SET LOCAL ROLE only_reads; SET TRANSACTION READ ONLY")
    assert postgres_is(api) == "ok"


def test_a_connection_that_is_refused_for_want_of_places_says_so():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
    parameters = connection.get_connection_params()
    role = "full_up"
    with psycopg.connect(**_plain(parameters), autocommit=True) as other:
        other.execute(f"DROP ROLE IF EXISTS {role}")
        other.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x' CONNECTION LIMIT 0")
        try:
            with pytest.raises(psycopg.OperationalError) as refused:
                psycopg.connect(**_plain(parameters) | {"user": role, "password": "x"})
        finally:
            other.execute(f"DROP ROLE {role}")
    error = OperationalError(*refused.value.args)
    error.__cause__ = refused.value
    assert trouble.words(error) == "all its connections are taken"


def _plain(parameters):
    return {name: parameters[name] for name in ("dbname", "user", "password", "host", "port")}


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("FATAL:  sorry, too many clients already", "all its connections are taken"),
        (
            "FATAL:  remaining connection slots are reserved for roles with SUPERUSER",
            "all its connections are taken",
        ),
        ("FATAL:  the database system is starting up", "it is starting or shutting down"),
        ("FATAL:  the database system is in recovery mode", "it is starting or shutting down"),
        ("connection refused", "it is out of reach"),
    ],
)
def test_a_refusal_without_a_state_is_read_by_its_message(message, said):
    assert trouble.words(OperationalError(message)) == said


def test_a_bug_stays_one(api, ann):
    every_tweet_raises("22012")  # division by zero
    assert post(api(ann)).status_code == 500
    assert trouble.words(IntegrityError()) == ""
    assert trouble.words(None) == ""
