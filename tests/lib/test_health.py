"""Health: alive, and ready when each part is."""

import pytest
import redis

from twitter.outbox.tasks import heartbeat

pytestmark = pytest.mark.django_db

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
        "parts": {"postgres": "ok", "redis": "ok", "worker": "out"},
    }
    heartbeat()
    answer = api().get("/auth/healthz?ready=1")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_redis_away_is_not_ready_but_alive(api, monkeypatch):
    def refuse(alias):
        raise redis.ConnectionError

    monkeypatch.setattr("twitter.lib.redis.get_redis_connection", refuse)
    assert api().get("/auth/healthz").status_code == 200
    answer = api().get("/auth/healthz?ready=1")
    assert answer.status_code == 503
    assert answer.json()["parts"] == {"postgres": "ok", "redis": "out", "worker": "out"}
