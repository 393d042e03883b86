"""Health: alive, and ready when each part is."""

import threading

import pytest
import redis

from twitter.base.http import health
from twitter.outbox.management.commands.relay import show_relay
from twitter.outbox.tasks import heartbeat

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def look(monkeypatch):
    """Let nothing be seen yet. To look again takes no wait, unless a test wants it."""
    monkeypatch.setattr(health, "look", health.Look())
    monkeypatch.setattr(health, "LOOK_SECONDS", 0)


PATHS = [
    f"/{app}/{name}" for app in ("auth", "tweet", "timeline") for name in ("healthz", "helthz")
]


@pytest.mark.parametrize("path", PATHS)
def test_each_service_says_that_it_is_alive(api, path):
    assert api().get(path).json() == {"status": "ok"}


def test_ready_names_each_part(api):
    answer = api().get("/auth/healthz?ready=1")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "out",
        "parts": {"postgres": "ok", "redis": "ok", "relay": "out", "worker": "out"},
    }
    heartbeat()
    assert api().get("/auth/healthz?ready=1").json()["parts"]["relay"] == "out"
    show_relay()
    answer = api().get("/auth/healthz?ready=1")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_redis_away_is_not_ready_but_alive(api, monkeypatch):
    def refuse(alias):
        raise redis.ConnectionError

    monkeypatch.setattr("twitter.base.data.redis.get_redis_connection", refuse)
    assert api().get("/auth/healthz").status_code == 200
    answer = api().get("/auth/healthz?ready=1")
    assert answer.status_code == 503
    assert answer.json()["parts"] == {
        "postgres": "ok",
        "redis": "out",
        "relay": "out",
        "worker": "out",
    }


def test_however_often_it_is_asked_it_does_not_look_each_time(api, monkeypatch, sql_statements):
    monkeypatch.setattr(health, "LOOK_SECONDS", 60)
    answers = [api().get("/auth/healthz?ready=1") for _ in range(20)]
    assert {answer.content for answer in answers} == {answers[0].content}
    assert len(sql_statements) == 1
    heartbeat()
    show_relay()
    assert api().get("/auth/healthz?ready=1").status_code == 503
    later = health.time.monotonic() + 60
    monkeypatch.setattr(health.time, "monotonic", lambda: later)
    assert api().get("/auth/healthz?ready=1").status_code == 200
    assert len(sql_statements) == 2


def test_nobody_waits_for_another_who_looks(monkeypatch):
    looking, done = threading.Event(), threading.Event()
    health.look.parts()

    def slow():
        looking.set()
        assert done.wait(10)
        return dict.fromkeys(health.PARTS, "ok")

    monkeypatch.setattr(health, "_states", slow)
    first = threading.Thread(target=health.look.parts)
    first.start()
    assert looking.wait(10)
    assert health.look.parts()["worker"] == "out"  # what was seen last
    done.set()
    first.join()
    assert health.look.parts()["worker"] == "ok"
