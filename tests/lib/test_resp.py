"""Redis without a client: what happens when it keeps silent."""

import socket
import time

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from twitter.lib import resp


@pytest.fixture
def silent_redis(monkeypatch, settings):
    """Something that accepts connections and never answers."""
    monkeypatch.setattr(resp, "_silent_until", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        default = settings.CACHES["default"]
        location = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        options = {**default["OPTIONS"], "SOCKET_TIMEOUT": 0.5}
        settings.CACHES = {"default": {**default, "LOCATION": location, "OPTIONS": options}}
        yield server


def seconds_of_a_ping():
    begun = time.monotonic()
    with pytest.raises(RedisTimeoutError):
        resp.exchange(resp.pack("PING"))
    return time.monotonic() - begun


def test_only_the_first_waits_for_a_redis_that_keeps_silent(silent_redis, monkeypatch):
    assert seconds_of_a_ping() >= 0.5
    for _ in range(10):
        assert seconds_of_a_ping() < 0.1
    monkeypatch.setattr(resp, "SILENCE_SECONDS", 0.0)
    monkeypatch.setattr(resp, "_silent_until", time.monotonic())
    assert seconds_of_a_ping() >= 0.5
