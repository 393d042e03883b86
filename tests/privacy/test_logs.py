"""No e-mail address, password, token or address of a client gets into a log."""

import json
import logging
from io import StringIO

import pytest
from django.conf import settings
from django.db import connection
from rest_framework.test import APIClient

from tests.accounts.factories import PASSWORD
from twitter.base.observe.logging import JSONFormatter, without_details

pytestmark = pytest.mark.usefixtures("commits")

ADDRESS, EMAIL = "192.0.2.77", "secretive@example.org"


@pytest.fixture
def logged():
    """Return what is logged from now on, by everybody and as the service writes it."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream.getvalue
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def client():
    return APIClient(raise_request_exception=False, REMOTE_ADDR=ADDRESS)


@pytest.fixture
def a_rule_that_no_view_knows():
    """Let the database refuse a bio, with an error that quotes the whole row."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_account ADD CONSTRAINT odd CHECK (bio <> 'odd')")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_account DROP CONSTRAINT odd")


def sign_up(client, status=201, **changes):
    profile = {"username": "secretive", "email": EMAIL, "password": PASSWORD} | changes
    answer = client.post("/auth/create", profile)
    assert answer.status_code == status, answer.content


def log_in(client, status=200, **changes):
    login = {"username": EMAIL, "password": PASSWORD} | changes
    answer = client.post("/auth/token", login)
    assert answer.status_code == status, answer.content
    return answer.json().get("data")


# run_outbox comes first: it has Celery set logging up again.
def test_nothing_secret_is_logged(run_outbox, logged, client, a_rule_that_no_view_knows):
    sign_up(client)
    sign_up(client, 409)
    sign_up(client, 500, username="odd", email="odd.one@example.org", bio="odd")
    log_in(client, 401, password="a wrong password")
    tokens = log_in(client)
    refreshed = client.post("/auth/token/refresh", {"refresh_token": tokens["refresh_token"]})
    again = client.post("/auth/token/refresh", {"refresh_token": tokens["refresh_token"]})
    assert (refreshed.status_code, again.status_code) == (200, 200)
    tokens_again = log_in(client)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens_again['access_token']}")
    account_id = client.get("/auth/me").json()["data"]["id"]
    assert client.get("/auth/export").getvalue()
    address = f"/auth/delete/{account_id}"
    assert client.delete(f"{address}?password={PASSWORD}").status_code == 400
    assert client.delete(address, {"password": f"{PASSWORD}x"}).status_code == 400
    assert client.delete(address, {"password": PASSWORD}).status_code == 200
    run_outbox()
    text = logged()
    assert "Internal Server Error: /auth/create" in text
    assert "violates check constraint" in text
    assert "Failing row" not in text
    every = [*tokens.values(), *tokens_again.values()]
    every += [*refreshed.json()["data"].values(), *again.json()["data"].values()]
    secrets = [one for one in every if isinstance(one, str) and len(one) > 10]
    assert len(secrets) == 8
    for secret in (*secrets, EMAIL, "odd.one@", PASSWORD, "a wrong password", "argon2", ADDRESS):
        assert secret not in text, secret


@pytest.mark.django_db(transaction=True)
def test_a_traceback_keeps_all_but_what_postgres_quotes(logged):
    try:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE once (mail text UNIQUE)")
            cursor.execute("INSERT INTO once VALUES ('a@example.org'), ('a@example.org')")
    except Exception:
        logging.getLogger("tests").exception("it failed: %s", "with reason")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE once")
    [line] = [json.loads(line) for line in logged().splitlines() if "it failed" in line]
    assert "duplicate key value violates unique constraint" in line["exception"]
    assert "The above exception was the direct cause" in line["exception"]
    assert line["exception"].count("Traceback") == 2
    assert "a@example.org" not in line["exception"].replace(
        "cursor.execute(\"INSERT INTO once VALUES ('a@example.org'), ('a@example.org')\")", ""
    )


def test_details_end_where_the_next_part_begins():
    text = "E: no\nDETAIL:  Key (a)=(b\nc) exists.\nHINT:  Try c.\n\nThe above"
    assert without_details(text) == "E: no\nHINT:  Try c.\n\nThe above"
    assert without_details("E: no\nDETAIL:  secret\n") == "E: no"


def test_postgres_itself_logs_neither_statements_nor_details():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, setting FROM pg_settings WHERE name IN ('log_min_error_statement',"
            " 'log_error_verbosity', 'log_min_duration_statement', 'log_statement')"
        )
        assert dict(cursor.fetchall()) == {
            "log_error_verbosity": "terse",
            "log_min_duration_statement": "-1",
            "log_min_error_statement": "panic",
            "log_statement": "none",
        }


def test_the_formatter_is_the_one_that_the_service_uses():
    assert (
        settings.LOGGING["formatters"]["json"]["()"] == "twitter.base.observe.logging.JSONFormatter"
    )
    assert set(settings.LOGGING["handlers"]) == {"stdout"}
