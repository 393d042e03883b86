"""How long a read takes: as followees and tweets grow, and when nothing lies ready.

One request after the other on one connection. What is compared takes turns request by request, so
that noise meets all alike.
"""

import contextlib
import json
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any

from tests.bench import data
from tests.bench.bench import Bench
from tests.bench.data import tokens
from tests.bench.figures import Figure, number, ratios, say
from tests.bench.load import Client, get
from tests.bench.reads import HOME, home_requests
from tests.bench.stack import Server, baseline, service
from timelines.home import store
from twitter.base.data import redis

DEEP_PAGE = 50
WARM_UPS = 20
# Below are those of the service that all else measures: its cache, and its broker.
FIRST_REDIS_DATABASE = 2

Medians = dict[str, list[float]]  # of each round, in milliseconds


def in_turns(
    timed: Mapping[str, Callable[[], float]], *, rounds: int, requests: int, what: str
) -> Medians:
    """Call all of them in turns; return the median of each round's seconds, in milliseconds."""
    medians: Medians = {name: [] for name in timed}
    for turn in range(rounds):
        say(f"{what}: round {turn + 1} of {rounds}")
        seconds: dict[str, list[float]] = {name: [] for name in timed}
        for _ in range(requests):
            for name, call in timed.items():
                seconds[name].append(call())
        for name, values in seconds.items():
            medians[name].append(statistics.median(values) * 1e3)
    return medians


class Growth:
    """Warm reads by readers of few and many followees, among few and many tweets.

    The database is kept as it was at each size; in the end there is a service for each, and all
    take turns. Steps minutes apart would say more of the machine than of the tweets.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._databases: dict[int, str] = {}

    def keep(self) -> None:
        """Keep a copy of the database with the tweets that there are now."""
        tweets = self._bench.network.tweets
        self._databases[tweets] = data.copy_database(f"bench_{tweets}")

    def measure(self) -> list[Figure]:
        """Return how much a read's time varies with followees, and with tweets."""
        bench = self._bench
        with contextlib.ExitStack() as running:
            asked = {}
            for number, (tweets, url) in enumerate(self._databases.items()):
                redis_url = data.redis_database(FIRST_REDIS_DATABASE + number)
                environment = {"DATABASE_URL": url, "REDIS_URL": redis_url}
                server = running.enter_context(
                    service(bench.folder, names=["web"], environment=environment)
                )
                asked[tweets] = self._reads(server)
            # Another server with each request: the first after a change is slower.
            timed = {
                _name(tweets, tier): asked[tweets][tier]
                for tier in bench.network.tiers
                for tweets in asked
            }
            bare = running.enter_context(baseline(bench.folder, "bare"))
            timed["bare"] = _timed(Client(bare.port), get("/constant"))
            medians = in_turns(
                timed, rounds=bench.scale.rounds, requests=bench.scale.sequential, what="growth"
            )
        steps = {
            tweets: {tier: medians[_name(tweets, tier)] for tier in bench.network.tiers}
            for tweets in self._databases
        }
        return [_by_followees(steps), _by_tweets(steps, medians["bare"])]

    def _reads(self, server: Server) -> dict[int, Callable[[], float]]:
        client, tiers = Client(server.port), self._bench.network.tiers
        asked = [get(HOME, token=token) for token in tokens(list(tiers.values()))]
        for request in asked * WARM_UPS:
            client.body(request)
        return {tier: _timed(client, each) for tier, each in zip(tiers, asked, strict=True)}


def _name(tweets: int, followees: int) -> str:
    return f"{followees} followees, {tweets} tweets"


def _by_followees(steps: Mapping[int, Mapping[int, list[float]]]) -> Figure:
    tweets, readers = max(steps.items())
    told = ", ".join(f"{tier}: {_ms(values)}" for tier, values in readers.items())
    return Figure(
        name="latency_as_followees_grow",
        title=f"warm read, slowest against fastest of readers with {_list(readers)} followees",
        unit="times",
        rounds=_spread(readers),
        target=1.3,
        most=True,
        detail=f"p50 in ms among {tweets:,} tweets: {told}",
        facts={"steps": steps},
    )


def _by_tweets(steps: Mapping[int, Mapping[int, list[float]]], bare: Sequence[float]) -> Figure:
    means = {
        f"{tweets:,}": [statistics.fmean(values) for values in zip(*readers.values(), strict=True)]
        for tweets, readers in steps.items()
    }
    told = ", ".join(f"{tweets}: {_ms(values)}" for tweets, values in means.items())
    return Figure(
        name="latency_as_tweets_grow",
        title=f"warm read, slowest against fastest among {_list(means)} tweets",
        unit="times",
        rounds=_spread(means),
        target=1.3,
        most=True,
        detail=f"p50 in ms, of all these readers: {told}; a bare view in turns with them:"
        f" {_ms(bare)}",
        facts={"steps": means, "bare": bare},
    )


def measure_cold(bench: Bench, ours: Server) -> list[Figure]:
    """Return what a read costs when something does not lie ready, in warm reads."""
    tiers = list(bench.network.tiers.values())
    readers = bench.network.readers
    client = Client(ours.port)
    homes = dict(zip(readers, home_requests(bench), strict=True))
    for request in homes.values():
        client.body(request)
    many = get(HOME, token=tokens(tiers[-1:])[0])
    token = tokens(tiers[-2:-1])[0]
    deep = get(f"{HOME}?max_id={_deep(client, token)}", token=token)
    author = get(f"/timeline/user/{bench.network.population[0]}", token=token)
    for request in (many, deep, author) * WARM_UPS:
        client.body(request)
    kinds = _kinds_of_tweet_keys()
    warm_turn, miss_turn = cycle(readers), cycle(readers)

    def cold(turn: Iterator[int]) -> Callable[[], float]:
        def read() -> float:
            reader = next(turn)
            store.drop([reader])
            return client.seconds(homes[reader])

        return read

    def miss() -> float:
        request = homes[next(miss_turn)]
        _delete_cached_tweets(client.body(request), kinds)
        return client.seconds(request)

    def many_cold() -> float:
        store.drop(tiers[-1:])
        return client.seconds(many)

    medians = in_turns(
        {
            "warm": lambda: client.seconds(homes[next(warm_turn)]),
            "cold": cold(cycle(bench.network.typical)),
            "any_cold": cold(cycle(readers)),
            "miss": miss,
            "deep": _timed(client, deep),
            "many": many_cold,
            "author": _timed(client, author),
        },
        rounds=bench.scale.rounds,
        requests=max(bench.scale.sequential // 10, 2),
        what="cold reads",
    )
    most = max(bench.network.tiers)
    titles = {
        "cold": f"cold home (key gone) of a reader with {bench.scale.followees} followees",
        "any_cold": "cold home of any of the readers, some of whom have many more in a graph",
        "miss": f"home whose {20} tweets are not cached",
        "deep": f"page {DEEP_PAGE} of a home, below its 400th entry",
        "many": f"cold home of a reader with {most:,} followees",
        "author": "an author's page",
    }
    return [
        Figure(
            name=f"{name}_against_warm",
            title=title,
            unit="warm reads",
            rounds=ratios(medians[name], medians["warm"]),
            target=6 if name == "cold" else None,
            most=True,
            detail=f"p50 {_ms(medians[name])} against {_ms(medians['warm'])} ms",
            facts={"milliseconds": medians[name], "warm": medians["warm"]},
        )
        for name, title in titles.items()
    ]


def _timed(client: Client, request: bytes) -> Callable[[], float]:
    return lambda: client.seconds(request)


def _deep(client: Client, token: str) -> str:
    """Return the cursor of page DEEP_PAGE."""
    cursor = ""
    for _ in range(DEEP_PAGE - 1):
        path = HOME + (f"?max_id={cursor}" if cursor else "")
        cursor = json.loads(client.body(get(path, token=token)))["meta"]["next_cursor"]
    return cursor


def _delete_cached_tweets(page: bytes, kinds: set[bytes]) -> None:
    """Delete whatever is cached under the ids of the tweets on a page."""
    ids = [tweet["id"].encode() for tweet in json.loads(page)["data"]]
    redis.client().unlink(*(b"%s:%s" % (kind, tweet_id) for kind in kinds for tweet_id in ids))


def _kinds_of_tweet_keys() -> set[bytes]:
    """Return what stands before the id in the keys under which tweets are cached."""
    kinds = {key.rpartition(b":")[0] for key in redis.client().scan_iter("tweet:*", count=1_000)}
    if not kinds:
        raise AssertionError("no tweets are cached under tweet:*")
    return kinds


def _spread(medians: Mapping[Any, list[float]]) -> list[float]:
    return [max(values) / min(values) for values in zip(*medians.values(), strict=True)]


def _ms(values: Sequence[float]) -> str:
    return number(statistics.median(values))


def _list(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))
