"""What traces and a line for each request cost: reads and posts a second, with them and without."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import cycle, islice

from tests.bench.bench import Bench
from tests.bench.data import texts, tokens
from tests.bench.figures import Figure, alternate, number, ratios
from tests.bench.load import Job, post
from tests.bench.reads import home_requests, warm_up
from tests.bench.stack import Server, service, wait_until_quiet
from tests.otlp import Receiver

# What docs/tracing.md recommends.
RATIO = "0.01"
TITLES = {
    "sampled": f"with traces, of which {float(RATIO):.0%} are sampled",
    "all": "with traces, each of them sampled",
    "logged": "with a line for each request",
}


def measure(bench: Bench) -> list[Figure]:
    """Return how many reads and posts a second there are, against the service without either."""
    with ExitStack() as running:
        receiver = running.enter_context(Receiver(keep=False))
        environments: Mapping[str, dict[str, str]] = {
            "off": {},
            "sampled": {**receiver.environment, **_sampling(RATIO)},
            "all": {**receiver.environment, **_sampling("1.0")},
            "logged": {"WEB_ACCESS_LOG": "-"},
        }
        # What goes on with a trace does so wherever it began.
        traced = environments["all"]
        others = service(bench.folder, names=["worker", "relay"], environment=traced)
        running.enter_context(others)
        servers = {
            name: running.enter_context(service(bench.folder, names=["web"], environment=each))
            for name, each in environments.items()
        }
        reads, posts = _reads(bench, servers), _posts(bench, servers)
    return [
        *_figures("home", "warm homes", reads),
        *_figures("post", "POST /tweet/create", posts),
    ]


def _sampling(ratio: str) -> dict[str, str]:
    return {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": ratio}


def _reads(bench: Bench, servers: Mapping[str, Server]) -> dict[str, list[float]]:
    requests = home_requests(bench)

    def reading(server: Server) -> Callable[[], float]:
        job = Job(port=server.port, requests=requests, seconds=bench.scale.seconds)
        return lambda: bench.load.run(job).per_second

    for server in servers.values():
        warm_up(bench, server, requests)
    contestants = {name: reading(server) for name, server in servers.items()}
    return alternate(contestants, rounds=bench.scale.rounds, what="reads, traced and not")


def _posts(bench: Bench, servers: Mapping[str, Server]) -> dict[str, list[float]]:
    requests = bench.scale.writes
    writers = cycle(tokens(bench.network.readers))
    bodies = cycle(json.dumps({"text": text}).encode() for text in texts())

    def posting(server: Server) -> Callable[[], float]:
        def run() -> float:
            sent = [
                post("/tweet/create", body, token=token)
                for body, token in islice(zip(bodies, writers, strict=False), requests)
            ]
            wait_until_quiet()
            return bench.load.run(Job(port=server.port, requests=sent)).per_second

        return run

    contestants = {name: posting(server) for name, server in servers.items()}
    for contestant in contestants.values():
        contestant()
    return alternate(contestants, rounds=bench.scale.rounds, what="posts, traced and not")


def _figures(name: str, what: str, rates: Mapping[str, Sequence[float]]) -> list[Figure]:
    off = rates["off"]
    return [
        Figure(
            name=f"{name}_{kind}",
            title=f"{what} {title}, against none",
            unit="of its requests/s",
            rounds=ratios(rates[kind], off),
            target=0.95 if kind == "sampled" else None,
            detail=f"{_middle(rates[kind])} against {_middle(off)} requests/s",
            facts=rates,
        )
        for kind, title in TITLES.items()
    ]


def _middle(rates: Sequence[float]) -> str:
    return number(statistics.median(rates))
