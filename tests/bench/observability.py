"""What it costs to be watched: reads and posts a second, with metrics, traces, logs and without."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import cycle, islice

from deploy.local.ports import free_port
from tests.bench.bench import Bench
from tests.bench.data import texts, tokens
from tests.bench.figures import Figure, alternate, number, ratios
from tests.bench.load import Job, post
from tests.bench.reads import home_requests, warm_up
from tests.bench.stack import Server, service, wait_until_quiet
from tests.otlp import Receiver

# What docs/tracing.md recommends.
RATIO = "0.01"
# A round of each is cut into so many turns. What is measured are a few per cent, and the machine's
# speed changes by more than that within seconds.
TURNS = 8
TITLES = {
    "metrics": "with metrics",
    "sampled": f"with traces, of which {float(RATIO):.0%} are sampled",
    "all": "with traces, each of them sampled",
    "logged": "with a line for each request",
}


def measure(bench: Bench) -> list[Figure]:
    """Return how many reads and posts a second there are, against the service without any."""
    with ExitStack() as running:
        receiver = running.enter_context(Receiver(keep=False))
        environments: Mapping[str, dict[str, str]] = {
            "off": {},
            "metrics": {"METRICS_PORT": str(free_port())},
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
        return [*_reads(bench, servers), *_posts(bench, servers)]


def _sampling(ratio: str) -> dict[str, str]:
    return {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": ratio}


def _reads(bench: Bench, servers: Mapping[str, Server]) -> list[Figure]:
    requests = home_requests(bench)
    for server in servers.values():
        warm_up(bench, server, requests)

    def job(server: Server) -> Job:
        return Job(port=server.port, requests=requests, seconds=bench.scale.seconds / TURNS)

    return _compare(bench, servers, job, name="home", what="warm homes")


def _posts(bench: Bench, servers: Mapping[str, Server]) -> list[Figure]:
    writers = cycle(tokens(bench.network.readers))
    bodies = cycle(json.dumps({"text": text}).encode() for text in texts())

    def job(server: Server) -> Job:
        sent = (
            post("/tweet/create", body, token=token)
            for body, token in zip(bodies, writers, strict=False)
        )
        wait_until_quiet()
        return Job(port=server.port, requests=list(islice(sent, bench.scale.writes // TURNS)))

    for server in servers.values():
        bench.load.run(job(server))
    return _compare(bench, servers, job, name="post", what="POST /tweet/create")


def _compare(
    bench: Bench,
    servers: Mapping[str, Server],
    job: Callable[[Server], Job],
    *,
    name: str,
    what: str,
) -> list[Figure]:
    """Have each server do its job in turns; return how they do against the one without anything."""
    cpu: dict[str, list[float]] = {kind: [] for kind in servers}

    def rate(kind: str) -> float:
        server = servers[kind]
        todo, before = job(server), server.cpu_seconds("web")
        load = bench.load.run(todo)
        cpu[kind].append((server.cpu_seconds("web") - before) / load.requests * 1e6)
        return load.per_second

    contestants = {kind: partial(rate, kind) for kind in servers}
    turns = alternate(contestants, rounds=bench.scale.rounds * TURNS, what=f"{what}, watched")
    rates = {kind: _rounds(each) for kind, each in turns.items()}
    return [
        Figure(
            name=f"{name}_{kind}",
            title=f"{what} {title}, against none",
            unit="of its requests/s",
            rounds=ratios(rates[kind], rates["off"]),
            target=0.95 if kind in {"metrics", "sampled"} else None,
            detail=f"{_middle(rates[kind])} against {_middle(rates['off'])} requests/s;"
            f" CPU of web: {_middle(cpu[kind])} against {_middle(cpu['off'])} µs a request",
            facts={"rates": turns, "cpu_us": cpu},
        )
        for kind, title in TITLES.items()
    ]


def _rounds(turns: Sequence[float]) -> list[float]:
    """Return the mean of each round."""
    return [statistics.fmean(turns[at : at + TURNS]) for at in range(0, len(turns), TURNS)]


def _middle(values: Sequence[float]) -> str:
    return number(statistics.median(values))
