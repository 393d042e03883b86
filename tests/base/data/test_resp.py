"""Redis without a client: what happens when it keeps silent."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from twitter.base.data import resp


@pytest.fixture
def silent_redis(monkeypatch, settings):
    """Something that accepts connections and never answers."""
    monkeypatch.setattr(resp._silence, "until", 0.0)
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
        assert seconds_of_a_ping() < 0.4
    monkeypatch.setattr(resp._silence, "until", time.monotonic() - 0.01)
    assert seconds_of_a_ping() >= 0.5


def test_replies_come_in_the_order_of_the_messages(valkey):
    valkey.set("a", 1)
    with resp.Pipe() as pipe:
        pipe.send(resp.pack("INCR", "a") + resp.pack("INCR", "a"), 2)
        pipe.send(resp.pack("GET", "a"), 1)
        assert resp.exchange(resp.pack("GET", "nothing")) == [None]
        pipe.send(b"", 0)
        assert pipe.receive() == [2, 3]
        assert pipe.receive() == [b"3"]
        assert pipe.receive() == []


def test_an_error_is_raised_where_its_message_is_received(valkey):
    valkey.set("text", "x")
    with resp.Pipe() as pipe:
        pipe.send(resp.pack("INCR", "text") + resp.pack("SET", "b", "1"), 2)
        pipe.send(resp.pack("GET", "b"), 1)
        with pytest.raises(ResponseError, match="not an integer"):
            pipe.receive()
    with pytest.raises(ResponseError):
        resp.exchange(resp.pack("INCR", "text"), resp.pack("SET", "c", "2"))
    assert resp.exchange(resp.pack("GET", "c"), resp.pack("GET", "b")) == [b"2", b"1"]


def test_a_pipe_that_is_left_with_replies_to_come_mixes_up_nobodys(valkey):
    with resp.Pipe() as pipe:
        pipe.send(resp.pack("ECHO", "nobody waits for this"), 1)
    with resp.Pipe() as pipe:
        pipe.send(resp.pack("ECHO", "mine"), 1)
        assert pipe.receive() == [b"mine"]


def test_a_thread_has_one_pipe_at_a_time(valkey):
    with resp.Pipe() as pipe, pytest.raises(RuntimeError), resp.Pipe():
        pass
    with pipe:
        pipe.send(resp.pack("ECHO", "mine"), 1)
        assert pipe.receive() == [b"mine"]


@pytest.fixture
def connect_again():
    """Return a function after which this thread has another connection."""

    def do():
        resp._connection("exchange").close()
        resp.exchange(resp.pack("PING"))

    return do


def test_what_another_run_of_redis_left_is_dropped_before_anybody_reads_it(valkey, connect_again):
    connect_again()
    valkey.set("home", "of this one")
    connect_again()
    assert valkey.get("home") == b"of this one"
    valkey.set(resp.REPLICATION_KEY, "0" * 40)
    connect_again()
    assert valkey.keys() == [resp.REPLICATION_KEY.encode()]
    known = valkey.get(resp.REPLICATION_KEY).decode()
    assert known == valkey.info("replication")["master_replid"]


def test_what_was_written_before_the_first_connection_stays(valkey, connect_again):
    valkey.flushdb()
    valkey.set("home", "of this one")
    connect_again()
    assert valkey.get("home") == b"of this one"


def test_one_tries_again_while_the_others_go_on_without(silent_redis, monkeypatch):
    assert seconds_of_a_ping() >= 0.5
    monkeypatch.setattr(resp._silence, "until", time.monotonic() - 0.01)
    with ThreadPoolExecutor(4) as threads:
        waited = sorted(threads.map(lambda _: seconds_of_a_ping(), range(4)))
    assert waited[0] < 0.4 <= waited[-1]


def test_who_tried_and_was_answered_ends_the_silence(valkey, monkeypatch):
    monkeypatch.setattr(resp._silence, "until", time.monotonic() - 0.01)
    assert resp.exchange(resp.pack("PING")) == [b"PONG"]
    assert not resp._silence.until


def test_a_refusal_ends_the_silence_too(settings, monkeypatch):
    default = settings.CACHES["default"]
    settings.CACHES = {"default": {**default, "LOCATION": "redis://127.0.0.1:1/0"}}
    monkeypatch.setattr(resp._silence, "until", time.monotonic() - 0.01)
    with pytest.raises(RedisConnectionError):
        resp.exchange(resp.pack("PING"))
    assert not resp._silence.until


def test_options_of_the_address_count(over_tls, certificate, valkey):
    over_tls(f"?ssl_ca_certs={certificate}")
    assert resp.exchange(resp.pack("SET", "a", "1"), resp.pack("GET", "a")) == [b"OK", b"1"]
    with resp.Pipe() as pipe:
        pipe.send(resp.pack("SET", "b", "x" * 1_000_000), 1)
        pipe.send(resp.pack("GET", "b"), 1)
        assert pipe.receive() == [b"OK"]
        assert pipe.receive() == [b"x" * 1_000_000]
    assert valkey.get("a") == b"1"


def test_a_certificate_that_nobody_vouches_for_is_refused(over_tls):
    over_tls()
    with pytest.raises(RedisConnectionError, match="certificate"):
        resp.exchange(resp.pack("PING"))


def test_a_wrong_password_is_an_error_of_redis(settings):
    default = settings.CACHES["default"]
    host = default["LOCATION"].rpartition("@")[2]
    location = f"redis://:wrong@{host}"
    settings.CACHES = {"default": {**default, "LOCATION": location}}
    with pytest.raises(RedisError):
        resp.exchange(resp.pack("PING"))
