"""How long a request may take: a statement, all statements, a lock."""

import time

import pytest
from django.conf import settings
from django.db import OperationalError, connections

from tests.accounts.factories import AccountFactory
from twitter.base.data.postgresql.base import limit_statements

pytestmark = pytest.mark.django_db(transaction=True)

OPTIONS = settings.DATABASES["default"]["OPTIONS"]["options"]


@pytest.fixture
def web():
    """Return a function that makes a connection like those of a web process."""
    made = []

    def connect(*, seconds):
        own = connections["default"].copy()
        own.settings_dict["OPTIONS"] = {**own.settings_dict["OPTIONS"], "options": OPTIONS}
        limit_statements(own.settings_dict, seconds=seconds)
        made.append(own)
        return own

    yield connect
    for own in made:
        own.close()


def show(connection, name):
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return cursor.fetchone()[0]


def test_statements_of_a_request_have_a_limit_and_others_have_none(web):
    others = connections["default"]
    assert show(others, "statement_timeout") == "0"
    assert show(others, "lock_timeout") == "5s"
    assert others.connection.info.get_parameters()["connect_timeout"] == "5"
    assert show(web(seconds=3), "statement_timeout") == "3s"


def test_a_statement_that_takes_too_long_is_ended(web):
    with web(seconds=1).cursor() as cursor:
        begun = time.monotonic()
        with pytest.raises(OperationalError, match="statement timeout"):
            cursor.execute("SELECT pg_sleep(20)")
    assert time.monotonic() - begun < 10


def test_a_request_whose_statement_is_ended_is_answered_503(api):
    ada = AccountFactory()
    client = api(ada.id)
    assert client.get("/auth/me").status_code == 200
    other = connections["default"].copy()
    with connections["default"].cursor() as cursor:
        cursor.execute("SET statement_timeout = '300ms'")
    try:
        with other.cursor() as cursor:
            other.set_autocommit(False)
            cursor.execute("LOCK TABLE accounts_account IN ACCESS EXCLUSIVE MODE")
            answer = client.get("/auth/me")
    finally:
        other.rollback()
        other.close()
        connections["default"].close()
    assert answer.status_code == 503
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Retry-After"]
    assert client.get("/auth/me").status_code == 200


def test_a_request_that_has_taken_too_long_begins_no_further_statement(api, settings, caplog):
    ada = AccountFactory()
    client = api(ada.id)
    settings.REQUEST_SECONDS = -1
    answer = client.post("/tweet/create", {"text": "hello"})
    assert answer.status_code == 503
    assert answer["Retry-After"]
    assert "out of reach" not in caplog.text  # nothing is wrong with the network
    assert "longer than it may" in caplog.text
    settings.REQUEST_SECONDS = 20
    assert client.get("/auth/me").json()["data"]["public_metrics"]["tweet_count"] == 0
