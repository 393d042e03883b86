"""Warm home timelines against what else one could do, and what a warm read costs."""

import json
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice

from tests.bench.bench import Bench
from tests.bench.data import tokens
from tests.bench.figures import Figure, alternate, number, ratios
from tests.bench.load import Client, Job, get
from tests.bench.stack import Server, baseline

HOME = "/timeline/timeline"
PAGE = 20
CHECKED = 20


def home_requests(bench: Bench, path: str = HOME) -> list[bytes]:
    """Return a request for the home of each reader."""
    return [get(path, token=token) for token in tokens(bench.network.readers)]


def warm_up(bench: Bench, server: Server, requests: Sequence[bytes]) -> None:
    """Send each request twice or more, so that processes and caches have seen it."""
    for _ in range(2):
        bench.load.run(Job(port=server.port, requests=requests))
    bench.load.run(Job(port=server.port, requests=requests, seconds=bench.scale.seconds / 2))


def measure(bench: Bench, ours: Server, bare: Server, length: int) -> list[Figure]:
    """Return the figures of warm reads; `length` is that of the bare view's answers."""
    requests = home_requests(bench)
    now = length_of_answers(requests, ours)
    if abs(now - length) > length / 20:
        raise AssertionError(f"the bare view's answers are of {length} bytes, others of {now}")
    with ExitStack() as running:
        others = {
            "default": baseline(bench.folder, "bare", under="sync", answer_length=length),
            "plain": baseline(bench.folder, "plain"),
            "best_sql": baseline(bench.folder, "best_sql"),
        }
        servers = {name: running.enter_context(other) for name, other in others.items()}
        constant = [get("/constant")]
        sent = {
            "ours": (ours, requests),
            "default": (servers["default"], constant),
            "same": (bare, constant),
            "plain": (servers["plain"], home_requests(bench, "/home")),
            "best_sql": (servers["best_sql"], home_requests(bench, "/home")),
        }
        for name in ("plain", "best_sql"):
            _check(ours, servers[name], requests, sent[name][1])
        warm_up(bench, ours, requests)
        for server, asked in sent.values():
            bench.load.run(Job(port=server.port, requests=asked, seconds=bench.scale.seconds))
        return _figures(bench, sent)


def length_of_answers(requests: Sequence[bytes], server: Server) -> int:
    """Return the mean length of warm homes, head and all. Each must hold a full page."""
    client = Client(server.port)
    total = 0
    for request in requests:
        answer = client.answer(request)
        total += len(answer)
        page = json.loads(answer.partition(b"\r\n\r\n")[2])
        if len(page["data"]) != PAGE or not all(
            tweet["text"] or tweet["referenced_tweets"] for tweet in page["data"]
        ):
            raise AssertionError(f"not a page of {PAGE} tweets: {answer[:300]!r}")
    client.close()
    return total // len(requests)


def _figures(bench: Bench, sent: dict[str, tuple[Server, list[bytes]]]) -> list[Figure]:
    generator: dict[str, list[float]] = {name: [] for name in sent}
    p99: dict[str, list[float]] = {name: [] for name in sent}

    def rate(name: str) -> float:
        server, requests = sent[name]
        job = Job(port=server.port, requests=requests, seconds=bench.scale.seconds)
        load = bench.load.run(job)
        generator[name].append(load.cpu_us)
        p99[name].append(load.p99)
        return load.per_second

    rates = alternate(
        {name: (lambda name=name: rate(name)) for name in sent},  # type: ignore[misc]
        rounds=bench.scale.rounds,
        what="warm homes and baselines",
    )

    def figure(baseline: str, title: str, target: float | None) -> Figure:
        one, other = rates["ours"], rates[baseline]
        return Figure(
            name=f"home_against_{baseline}",
            title=title,
            unit="of its requests/s",
            rounds=ratios(one, other),
            target=target,
            detail=f"{_middle(one)} against {_middle(other)} requests/s",
            facts={"ours": one, "baseline": other, "p99_ms": p99[baseline]},
        )

    return [
        figure("default", "warm home against a bare view under gunicorn's default worker", 0.75),
        figure("same", "warm home against a bare view under the service's own server", None),
        figure("plain", "warm home against the plain Django way", 12),
        figure("best_sql", "warm home against the best single SQL statement", 4),
        Figure(
            name="load_generator",
            title="what the load generator itself takes",
            unit="µs of CPU a request",
            rounds=generator["ours"],
            detail="beside the baselines: "
            + ", ".join(f"{name} {_middle(values)}" for name, values in generator.items()),
        ),
    ]


def _middle(rates: Sequence[float]) -> str:
    return number(statistics.median(rates))


def _check(ours: Server, other: Server, one: Sequence[bytes], two: Sequence[bytes]) -> None:
    """Make sure that a baseline shows the same tweets, but for repeats that the service hides."""
    clients = Client(ours.port), Client(other.port)
    for requests in islice(zip(one, two, strict=True), CHECKED):
        pages = [
            [tweet["id"] for tweet in json.loads(client.body(request))["data"]]
            for client, request in zip(clients, requests, strict=True)
        ]
        if len(pages[1]) != PAGE or len(set(pages[0]) & set(pages[1])) < PAGE * 3 / 4:
            raise AssertionError(f"different pages: {pages}")
