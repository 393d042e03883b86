"""Counting requests: windows, many at once, without Redis, and whose address counts."""

import threading

import pytest

from twitter.base.data import resp
from twitter.base.http import limits
from twitter.base.http.limits import Standing


def bucket(quota=3, seconds=60, who="ada", kind="reads"):
    return limits.bucket(kind=kind, subject="user", who=who, limit=(quota, seconds))


def test_so_many_pass_and_the_next_does_not():
    counted = [limits.count([bucket()])[0] for _ in range(5)]
    assert [standing.used for standing in counted] == [1, 2, 3, 4, 5]
    assert [standing.remaining for standing in counted] == [2, 1, 0, 0, 0]
    assert [standing.is_exceeded for standing in counted] == [False] * 3 + [True] * 2
    assert all(0 < standing.reset <= 60 for standing in counted)


def at(monkeypatch, moment):
    monkeypatch.setattr(limits.time, "time", lambda: moment)


def test_a_window_ends_and_the_count_begins_at_zero(monkeypatch):
    short = bucket(quota=1)
    at(monkeypatch, 120.5)
    first, second = limits.count([short])[0], limits.count([short])[0]
    assert (first.is_exceeded, first.reset) == (False, 60)
    assert second.is_exceeded
    at(monkeypatch, 179.9)
    assert (limits.count([short])[0].used, limits.count([short])[0].reset) == (3, 1)
    at(monkeypatch, 180.0)
    assert (limits.count([short])[0].used, limits.count([short])[0].reset) == (1, 60)


def test_a_count_ends_with_its_window(valkey, monkeypatch):
    one = bucket()
    at(monkeypatch, 155.0)
    limits.count([one])
    assert 0 < valkey.ttl(one.key(155.0)) <= 25


def test_a_count_whose_process_died_before_its_end_was_set_ends_all_the_same(valkey):
    one = bucket()
    key = one.key(limits.time.time())
    valkey.incr(key)
    limits.count([one])
    assert 0 < valkey.ttl(key) <= 60


def test_buckets_of_others_and_of_other_kinds_are_not_touched():
    limits.count([bucket()])
    assert limits.count([bucket(who="bob")])[0].used == 1
    assert limits.count([bucket(kind="writes")])[0].used == 1


def test_many_at_once_are_all_counted():
    one = bucket(quota=50)
    passed = []

    def ask():
        passed.extend(not limits.count([one])[0].is_exceeded for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 50


def test_without_redis_each_process_counts_for_itself(redis_gone, monkeypatch):
    monkeypatch.setattr(limits, "_here", {})
    redis_gone()
    counted = [limits.count([bucket()])[0] for _ in range(4)]
    assert [standing.is_exceeded for standing in counted] == [False, False, False, True]
    now = limits.time.time()
    monkeypatch.setattr(limits.time, "time", lambda: now + 60)
    assert limits.count([bucket()])[0].used == 1


def test_without_redis_no_more_is_kept_than_fits(redis_gone, monkeypatch):
    monkeypatch.setattr(limits, "_here", {})
    monkeypatch.setattr(limits, "_MOST", 10)
    redis_gone()
    for number in range(25):
        limits.count([bucket(who=number)])
    assert len(limits._here["reads-per-user"]) == 10
    assert limits.count([bucket(who=24)])[0].used == 2  # the oldest went


def test_without_redis_readers_do_not_push_out_the_counts_of_guesses(redis_gone, monkeypatch):
    monkeypatch.setattr(limits, "_here", {})
    monkeypatch.setattr(limits, "_MOST", 3)
    redis_gone()
    guess = bucket(kind="log-ins", who="mallory")
    limits.count([guess])
    for number in range(20):
        limits.count([bucket(who=number)])
    assert limits.count([guess])[0].used == 2


def test_a_reset_count_begins_at_zero_with_redis_and_without(redis_gone, monkeypatch):
    monkeypatch.setattr(limits, "_here", {})
    one = bucket()
    for _ in range(2):
        limits.count([one])
        limits.reset_count(one)
        assert limits.count([one])[0].used == 1
        redis_gone()


def test_the_fullest_bucket_is_told_and_the_longest_is_waited_for():
    wide, narrow = bucket(quota=100), bucket(quota=2, kind="writes")
    counted = [Standing(wide, used=50, reset=9), Standing(narrow, used=2, reset=7)]
    assert limits.exceeded(counted) is None
    assert dict(limits.headers(counted)) == {
        "RateLimit": '"writes-per-user";r=0;t=7',
        "RateLimit-Policy": '"writes-per-user";q=2;w=60',
    }
    full = [Standing(wide, used=101, reset=9), Standing(narrow, used=3, reset=70)]
    assert limits.exceeded(full) is full[1]
    assert limits.headers([]) == []


def test_no_name_and_no_address_is_kept(valkey):
    limits.count([bucket(who="192.0.2.77"), bucket(who="zoe@example.com")])
    dump = b" ".join(valkey.keys("*"))
    assert b"192.0.2.77" not in dump
    assert b"zoe" not in dump
    assert limits.digest("a") != limits.digest("b")


@pytest.mark.parametrize(
    ("hops", "forwarded", "expected"),
    [
        (0, "", "203.0.113.1"),
        (0, "198.51.100.7", "203.0.113.1"),  # no proxy in front: whatever it says is a claim
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "9.9.9.9, 198.51.100.7", "198.51.100.7"),
        (1, "9.9.9.9,8.8.8.8 ,198.51.100.7 ", "198.51.100.7"),
        (2, "9.9.9.9, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        (2, "198.51.100.7", "203.0.113.1"),  # it did not come through both
        (1, "", "203.0.113.1"),
        (1, "nonsense", "203.0.113.1"),
        (1, "198.51.100.7:1234", "198.51.100.7"),
        (1, "[2001:db8:1:2:3::4]:1234", "2001:db8:1:2::/64"),
        (1, "[2001:db8:1:2:3::4]", "2001:db8:1:2::/64"),
        (1, "[198.51.100.7", "203.0.113.1"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, "::ffff:198.51.100.7", "198.51.100.7"),
        (1, "\u0661\u0662.0.0.1", "203.0.113.1"),
        (1, "9," * 5_000 + "198.51.100.7", "198.51.100.7"),
        (1, "1" * 5_000, "203.0.113.1"),
    ],
)
def test_a_forged_header_gains_nothing(settings, hops, forwarded, expected):
    settings.TRUSTED_HOPS = hops
    environ = {"REMOTE_ADDR": "203.0.113.1", "HTTP_X_FORWARDED_FOR": forwarded}
    assert limits.client_address(environ) == expected


def test_counting_takes_one_round_trip(monkeypatch):
    sent = []
    exchange = resp.exchange
    monkeypatch.setattr(resp, "exchange", lambda *commands: sent.append(1) or exchange(*commands))
    limits.count([bucket(), bucket(who="bob"), bucket(kind="writes")])
    assert sent == [1]


def test_who_is_not_limited_does_not_cost_a_round_trip(redis_gone, caplog):
    redis_gone()
    assert limits.count(()) == []
    assert caplog.records == []


def test_a_liveness_check_does_not_open_redis(client, redis_gone, caplog):
    redis_gone()
    assert client.get("/auth/healthz").status_code == 200
    assert caplog.records == []
