"""What is counted of reading and delivering: where homes came from, what was cached."""

import pytest

from tests.asking import ask, request
from tests.conftest import take_redis_away
from timelines.home import store
from twitter import wsgi
from twitter.base.observe import metrics

pytestmark = pytest.mark.usefixtures("commits")


@pytest.fixture
def bob(people, follow, post, run_outbox):
    follow("bob", "ann")
    post("ann")
    run_outbox()
    return people["bob"]


@pytest.fixture
def read_measured(bob, counted):
    """Return a function that reads Bob's home, warm or by Django, and tells what was counted."""

    measured = metrics.measured(wsgi.application)

    def read(**headers):
        before = {source: counted("twitter_home_reads_total", source=source) for source in SOURCES}
        ask(measured, request(bob, **headers))
        metrics.write_down()
        return {
            source: int(counted("twitter_home_reads_total", source=source) - before[source])
            for source in SOURCES
        }

    return read


SOURCES = metrics.SOURCES


def only(source):
    return {each: int(each == source) for each in SOURCES}


def test_a_home_is_built_once_and_then_warm(read_measured, bob):
    assert read_measured() == only("built")
    assert read_measured() == only("warm")
    store.drop([bob])
    assert read_measured() == only("built")


def test_a_page_that_the_reader_has_is_counted_as_such(read_measured, counted):
    def answered(status):
        labels = {"method": "GET", "route": metrics.HOME, "status": status}
        return counted("twitter_http_requests_total", **labels)

    read_measured()
    before = answered("200"), answered("304")
    assert read_measured(HTTP_IF_NONE_MATCH="*") == only("warm")
    assert (answered("200"), answered("304")) == (before[0], before[1] + 1)


def test_while_another_builds_it_the_page_comes_from_postgres(read_measured, bob):
    store.drop([bob])
    assert store.begin_build(bob)
    assert read_measured() == only("postgres")


def test_without_redis_a_read_is_degraded_and_the_next_one_is_not(
    read_measured, counted, monkeypatch
):
    with monkeypatch.context() as away:
        take_redis_away(away)
        assert read_measured() == only("degraded")
        assert counted("twitter_redis_failures_total") > 0
    assert read_measured()["degraded"] == 0


def test_what_was_cached_is_a_hit_and_what_was_not_a_miss(read_measured, counted, valkey, bob):
    def lookups():
        return [counted("twitter_cache_lookups_total", result=result) for result in ("hit", "miss")]

    read_measured()
    hits, misses = lookups()
    read_measured()
    assert lookups() == [hits + 2, misses]  # the tweet and its author
    [tweet] = valkey.keys("tweet:*")
    valkey.delete(tweet)
    read_measured()
    assert lookups()[1] == misses + 1


def test_deliveries_and_their_lag_are_counted(counted, bob, post, run_outbox):
    lag = {"task": "timelines.tasks.fan_out"}
    for tweets in (1, 2):
        assert counted("twitter_outbox_lag_seconds_count", **lag) == tweets
        assert counted("twitter_fan_out_deliveries_total") == 2 * tweets  # to Ann and to Bob
        post("ann")
        run_outbox()
    assert 0 < counted("twitter_outbox_lag_seconds_sum", **lag) < 60
