"""The look at whether a database connection still stands."""

import os
import signal
import time

import psycopg
import pytest
from django.db import OperationalError, connection, connections

from twitter.base.data.postgresql import base
from twitter.base.data.silence import Silence


@pytest.fixture
def other(db):
    """Return somebody else's connection to the same database."""
    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    with psycopg.connect(**parameters, autocommit=True) as other:
        yield other


@pytest.mark.django_db(transaction=True)
def test_an_idle_connection_is_usable_without_a_query(sql_statements, monkeypatch):
    connection.ensure_connection()
    asked = []
    monkeypatch.setattr(connection.connection, "execute", lambda *query: asked.append(query))
    assert connection.is_usable()
    assert asked == []
    assert sql_statements == []


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_postgres_has_ended_is_replaced(other):
    connection.ensure_connection()
    number = connection.connection.info.backend_pid
    assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [number]).fetchone() == (True,)
    deadline = time.monotonic() + 5
    while connection.is_usable() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not connection.is_usable()
    connection.health_check_done = False
    connection.close_if_health_check_failed()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone() != (number,)


@pytest.mark.django_db(transaction=True)
def test_what_postgres_says_of_itself_ends_no_connection(other):
    with connection.cursor() as cursor:
        cursor.execute("LISTEN news")
    number = connection.connection.info.backend_pid
    other.execute("NOTIFY news")
    time.sleep(0.1)
    assert connection.is_usable()
    assert connection.connection.info.backend_pid == number


@pytest.fixture
def silent(other, monkeypatch):
    """Yield a connection whose server process stands still; it goes on in the end."""
    monkeypatch.setattr(base, "_silence", Silence())
    own = connections["default"].copy()
    own.settings_dict["ANSWER_SECONDS"] = 0.5
    own.ensure_connection()
    number = own.connection.info.backend_pid
    os.kill(number, signal.SIGSTOP)
    yield own
    os.kill(number, signal.SIGCONT)
    own.close()


def seconds_of_a_query(own):
    begun = time.monotonic()
    with pytest.raises(OperationalError), own.cursor() as cursor:
        cursor.execute("SELECT 1")
    return time.monotonic() - begun


@pytest.mark.django_db(transaction=True)
def test_a_server_that_keeps_silent_is_waited_for_once_and_tried_again_in_a_moment(silent):
    assert 0.5 <= seconds_of_a_query(silent) < 5
    assert silent.connection.closed
    silent.close()
    assert base._silence.until
    base._silence.until = time.monotonic() + 60
    assert seconds_of_a_query(silent) < 0.5
    base._silence.until = time.monotonic()
    silent.ensure_connection()  # to another process of the server, which works
    assert not base._silence.until
    assert silent.is_usable()
