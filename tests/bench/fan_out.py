"""From a tweet's outbox row to the last home, and what a home takes."""

import json
import statistics
import time

import psutil
import psycopg
from django.db import connection

from tests.bench.bench import Bench
from tests.bench.data import tokens
from tests.bench.figures import Figure, alternate, number, ratios, say
from tests.bench.followers import SortedSets, Star, has
from tests.bench.load import Client, Job, post
from tests.bench.reads import home_requests, warm_up
from tests.bench.stack import cpu_seconds, server_pids, service, wait_until_quiet
from timelines.home import services as timelines
from tweets.entries import Ref
from tweets.models import Tweet
from tweets.posts import services as tweets
from tweets.text import parse

# Authors of the bench are fanned out whatever the service's limit is.
NO_LIMIT = {"FANOUT_MAX_FOLLOWERS": "1000000000"}
# What sorted sets may take of the memory that is free; each takes about 65 KB.
SHARE, SET_BYTES = 0.4, 65_000
SAMPLE = 200
# Homes that stay, to be compared with PostgreSQL in the end.
KEPT = 1_000
POLL_SECONDS = 0.005
_UNDER_WAY = "SELECT 1 FROM outbox_delivery WHERE task LIKE 'timelines.%' LIMIT 1"
LOST_SECONDS = 60.0


def measure(bench: Bench) -> list[Figure]:
    """Return the figures of fan-out to many, and of a home's memory."""
    star = Star("f", followers=bench.scale.followers, sources=bench.scale.sources, place=0)
    sets = SortedSets(star, count=_affordable(bench))
    shares: list[float] = []
    with service(bench.folder, names=["worker", "relay"], worker_processes=1, environment=NO_LIMIT):
        _through_worker(star)  # imports, connections, the followers' index in memory
        rates = alternate(
            {
                "service": lambda: _through_worker(star, shares),
                "bare": lambda: _bare(star),
                "sets": sets.deliver,
            },
            rounds=bench.scale.fan_outs,
            what=f"fan-out to {len(star.followers):,}",
        )
        wait_until_quiet()
    told = f"{_middle(rates['service'])} against {_middle(rates['sets'])} a second"
    told += f" ({len(star.followers):,} homes, {len(sets.owners):,} sets)"
    figures = [
        Figure(
            name="fan_out_against_zadd",
            title="deliveries through outbox, relay and one worker process, against pipelined ZADD",
            unit="of its deliveries/s",
            rounds=ratios(rates["service"], rates["sets"]),
            target=2.0,
            detail=told,
            facts=rates | {"valkey_share": shares},
        ),
        Figure(
            name="bare_fan_out_against_zadd",
            title="the service's delivery called directly, against pipelined ZADD",
            unit="of its deliveries/s",
            rounds=ratios(rates["bare"], rates["sets"]),
            detail=f"{_middle(rates['bare'])} against {_middle(rates['sets'])} a second",
        ),
        Figure(
            name="valkey_share_of_fan_out",
            title="how busy Valkey is during the fan-out",
            unit="of a core",
            rounds=shares,
        ),
    ]
    sets.delete()
    star.keep_homes(KEPT)
    return figures


def _affordable(bench: Bench) -> int:
    affordable = int(psutil.virtual_memory().available * SHARE / SET_BYTES)
    return max(min(affordable, bench.scale.sets), bench.scale.sets // 10)


def _through_worker(star: Star, shares: list[float] | None = None) -> float:
    """Post a tweet, and wait until nothing of its fan-out is left; return deliveries a second.

    How busy Valkey was meanwhile is added to `shares`.
    """
    wait_until_quiet()
    valkey = server_pids()["Valkey"]
    cpu, begun = cpu_seconds(valkey), time.perf_counter()
    tweets.post(author_id=star.id, text=parse("Breaking news, for all of you."))
    while _is_under_way():
        time.sleep(POLL_SECONDS)
        if time.perf_counter() - begun > LOST_SECONDS:
            raise TimeoutError("the fan-out does not end")
    seconds = time.perf_counter() - begun
    if shares is not None:
        shares.append((cpu_seconds(valkey) - cpu) / seconds)
    _check(star, _newest(star))
    return len(star.followers) / seconds


def _is_under_way() -> bool:
    """Ask in a way that takes little from the two cores which the fan-out has."""
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(_UNDER_WAY, prepare=True)
        return cursor.fetchone() is not None


def _bare(star: Star) -> float:
    """Deliver a tweet in this process; return deliveries a second."""
    wait_until_quiet()
    tweet = Tweet.objects.create(author_id=star.id, text="More news, for all of you.")
    after: int | None = 0
    begun = time.perf_counter()
    while after is not None:
        after = timelines.fan_out(Ref(tweet.pk, star.id), after=after)
    seconds = time.perf_counter() - begun
    _check(star, tweet.pk)
    return len(star.followers) / seconds


def _newest(star: Star) -> int:
    tweet_id: int = Tweet.objects.filter(author_id=star.id).latest("id").pk
    return tweet_id


def _check(star: Star, tweet_id: int) -> None:
    if (part := star.homes_with(tweet_id, sample=SAMPLE)) < 1:
        raise AssertionError(f"tweet {tweet_id} is in {part:.0%} of the homes only")


def measure_fresh(bench: Bench) -> list[Figure]:
    """Return how long the last of many followers waits, while readers read at full speed."""
    followers = bench.scale.fresh_followers
    star = Star("g", followers=followers, sources=bench.scale.sources, place=1)
    waits: list[float] = []
    posts = bench.scale.posts
    with service(bench.folder, environment=NO_LIMIT) as ours:
        warm_up(bench, ours, home_requests(bench))
        bare = statistics.median(len(star.followers) / _bare(star) for _ in range(5))
        client = Client(ours.port)
        token = tokens([star.id])[0]
        bench.load.begin(Job(port=ours.port, requests=home_requests(bench), seconds=600.0))
        for turn in range(posts):
            if turn % 10 == 0:
                say(f"post {turn} of {posts} on its way to {followers:,} followers")
            waits.append(_wait_of_the_last(client, star, token))
        bench.load.stop()
        reading = bench.load.result()
        wait_until_quiet()
    star.keep_homes(KEPT)
    cuts = statistics.quantiles(waits, n=100)
    told = f"p50 {cuts[49]:.3f} s of {posts} posts, {number(reading.per_second)} reads/s beside it"
    return [
        Figure(
            name="seconds_to_the_last_follower",
            title=f"p99 from the POST's answer to the last of {followers:,} followers"
            " seeing it, while readers read at full speed",
            unit="s",
            rounds=[cuts[98]],
            target=0.2,
            most=True,
            detail=told,
            facts={"waits": waits},
        ),
        Figure(
            name="last_follower_against_bare",
            title="the same against the bare delivery without readers",
            unit="times as long",
            rounds=[wait / bare for wait in waits],
            detail=f"p50 {cuts[49]:.3f} s against {bare:.3f} s",
        ),
    ]


def _wait_of_the_last(client: Client, star: Star, token: str) -> float:
    answer = client.body(post("/tweet/create", b'{"text": "Hello, all of you."}', token=token))
    begun = time.perf_counter()
    tweet_id = int(json.loads(answer)["data"]["id"])
    step = max(len(star.followers) // 10, 1)
    # The last by id, for which the fan-out's last page is, then some of the others.
    for follower in [star.followers[-1], *star.followers[::step]]:
        while not has(follower, tweet_id):
            time.sleep(POLL_SECONDS)
            if time.perf_counter() - begun > LOST_SECONDS:
                raise TimeoutError(f"tweet {tweet_id} did not reach {follower}")
    return time.perf_counter() - begun


def _middle(rates: list[float]) -> str:
    return number(statistics.median(rates))
