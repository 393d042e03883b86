"""Any reader's home, out of many, while people post and like.

The service runs in both of its ways: as `make run` starts it (gunicorn), and as containers do, with
a pool for reads (Granian). All take turns with a bare view.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from tests.bench import heaviest, in_process, people, through_nginx
from tests.bench.data import empty_cache, texts, tokens
from tests.bench.figures import Figure, alternate, number, ratios, say
from tests.bench.load import Job, LoadGenerator, get
from tests.bench.mixes import Deck, Mix, Mixed
from tests.bench.people import People
from tests.bench.reads import HOME, length_of_answers
from tests.bench.scale import Scale
from tests.bench.stack import (
    Server,
    baseline,
    cpu_seconds,
    read_pool,
    server_pids,
    service,
    wait_until_quiet,
)

READS, SOME, MANY = "reads", "some", "many"
# Shares of posts and of likes among all requests.
SHARES = {READS: (0.0, 0.0), SOME: (0.01, 0.04), MANY: (0.05, 0.0)}
TITLES = {READS: "reads only", SOME: "1 % post, 4 % like", MANY: "5 % post"}
POOL, RUN = "pool", "run"
WAYS = {POOL: "read pool", RUN: "`make run`"}
TARGETS = {
    POOL: {READS: 0.85, SOME: 0.65, MANY: 0.5},
    RUN: {READS: 0.5, SOME: 0.38, MANY: 0.3},
}
# The bare view runs under the servers of both, and under gunicorn's default, which is the baseline.
DEFAULT = "sync"
UNDER = {POOL: "Granian", RUN: "gthread"}
# An open load has this part of the requests that the closed one reached.
OPEN, OPEN_LANES = 0.5, 128
SAMPLE = 200


@dataclass
class Contest:
    """A mix, and what came of its rounds.

    `cpu`: seconds of each process. `later`: seconds from the end to the last of what follows.
    """

    mix: Mix
    pids: Mapping[str, int]
    done: list[Mixed] = field(default_factory=list)
    cpu: list[dict[str, float]] = field(default_factory=list)
    later: list[float] = field(default_factory=list)

    def run(self, load: LoadGenerator) -> float:
        """Send the mix, and wait until all that follows is done; return requests a second."""
        before = {name: cpu_seconds(pid) for name, pid in self.pids.items()}
        mixed = load.run(self.mix)
        self.later.append(wait_until_quiet())
        self.cpu.append({name: cpu_seconds(pid) - before[name] for name, pid in self.pids.items()})
        self.done.append(mixed)
        return mixed.per_second

    def open(self) -> "Contest":
        """Return the same with an open load."""
        rate = OPEN * statistics.median(mixed.per_second for mixed in self.done)
        return Contest(replace(self.mix, rate=rate, lanes=OPEN_LANES), self.pids)

    def spent(self, name: str) -> float:
        """Return the µs of a process in all rounds."""
        return sum(cpu[name] for cpu in self.cpu) * 1e6

    def count(self, kind: str) -> int:
        """Return how many `requests`, `reads`, `posts` or `likes` all rounds had."""
        return sum(getattr(mixed, kind) for mixed in self.done)


Contests = Mapping[tuple[str, str], Contest]  # by way and mix


def measure(scale: Scale, folder: Path, load: LoadGenerator) -> list[Figure]:
    """Make the population, and return its figures."""
    empty_cache()
    crowd = people.make(scale)
    with ExitStack() as running:
        run = running.enter_context(service(folder))
        pool = running.enter_context(read_pool(folder))
        writes = running.enter_context(service(folder, names=["web"]))
        at_start = {server.port: server.memory("web") for server in (run, pool)}
        readers = tokens(crowd.readers)
        say("each home once")
        load.run(Job(port=pool.port, requests=[get(HOME, token=each) for each in readers]))
        figures = [*_of_people(crowd, scale), *in_process.measure(scale, readers)]
        sample = [get(HOME, token=each) for each in readers[:: len(readers) // SAMPLE]]
        length = length_of_answers(sample, pool)
        bare = {
            under: running.enter_context(
                baseline(folder, "bare", under=under, answer_length=length)
            )
            for under in (DEFAULT, *UNDER.values())
        }
        nginx = running.enter_context(through_nginx.in_front(folder, pool, writes))
        contests = _contests(crowd, scale, folder, readers, (run, pool, writes))
        rates, opened = _in_turns(
            load,
            scale,
            contests,
            {under: partial(_bare, load, scale, server) for under, server in bare.items()}
            | nginx.contestants(load, scale, readers),
        )
        return [
            *figures,
            *_against_bare(contests, rates),
            *_under_servers(rates),
            *_spreads(contests, opened),
            *_cpu(contests),
            *nginx.figures(rates, bare=DEFAULT),
            heaviest.measure(load, [run, pool], at_start),
        ]


def _in_turns(
    load: LoadGenerator,
    scale: Scale,
    contests: Contests,
    others: Mapping[str, Callable[[], float]],
) -> tuple[dict[str, list[float]], Contests]:
    """Run all of them closed, then the contests once more, open.

    Return the requests a second of each closed round, and the open contests.
    """
    rates = alternate(
        {**others, **_named(contests, load)}, rounds=scale.rounds, what="the population"
    )
    opened = {key: contest.open() for key, contest in contests.items()}
    alternate(
        _named(opened, load),
        rounds=max(scale.rounds // 2, 1),
        what="the population at a fixed rate",
    )
    return rates, opened


def _named(contests: Contests, load: LoadGenerator) -> dict[str, Callable[[], float]]:
    return {way + mix: partial(each.run, load) for (way, mix), each in contests.items()}


def _contests(
    crowd: People,
    scale: Scale,
    folder: Path,
    readers: Sequence[str],
    servers: tuple[Server, Server, Server],
) -> Contests:
    run, pool, writes = servers
    deck = Deck.of(
        folder / "deck.json", readers=readers, authors=tokens(crowd.authors), texts=texts()
    )
    others = {name: run.pids[name] for name in ("worker", "relay")} | server_pids()
    web = {
        POOL: {"read pool": pool.pids["web"], "write pool": writes.pids["web"]},
        RUN: {"web": run.pids["web"]},
    }
    ports = {POOL: (pool.port, writes.port), RUN: (run.port, run.port)}
    return {
        (way, mix): Contest(
            Mix(
                deck=deck,
                path=HOME,
                reads_at=ports[way][0],
                writes_at=ports[way][1],
                posts=posts,
                likes=likes,
                seconds=scale.mix_seconds,
            ),
            web[way] | others,
        )
        for way in WAYS
        for mix, (posts, likes) in SHARES.items()
    }


def _bare(load: LoadGenerator, scale: Scale, server: Server) -> float:
    job = Job(port=server.port, requests=[get("/constant")], seconds=scale.seconds)
    return load.run(job).per_second


def _of_people(crowd: People, scale: Scale) -> list[Figure]:
    return [
        Figure(
            name="different_tweets",
            title=f"different tweets on the first pages of {len(crowd.readers):,} readers",
            unit="tweets",
            rounds=[crowd.different],
            target=scale.different,
        ),
        Figure(
            name="deliveries_of_a_post",
            title="deliveries of a post of the population",
            unit="on average",
            rounds=[crowd.deliveries],
            target=scale.deliveries,
        ),
        people.memory_of_a_home(crowd),
    ]


def _against_bare(contests: Contests, rates: Mapping[str, list[float]]) -> list[Figure]:
    def figure(way: str, mix: str) -> Figure:
        ours, bare, same = rates[way + mix], rates[DEFAULT], rates[UNDER[way]]
        told = f"{_middle(ours)} against {_middle(bare)} requests/s;"
        told += f" of the same view under {UNDER[way]}: {_middle(ratios(ours, same))};"
        told += f" {_per_request(contests[way, mix])}"
        if mix != READS:
            told += f"; all done {_middle(contests[way, mix].later)} s later"
        return Figure(
            name=f"population_{way}_{mix}",
            title=f"any reader's home, {TITLES[mix]}: {WAYS[way]}, against a bare view",
            unit="of its requests/s",
            rounds=ratios(ours, bare),
            target=TARGETS[way][mix],
            detail=told,
            facts={"ours": ours, "baseline": bare},
        )

    return [figure(way, mix) for way, mix in contests]


def _under_servers(rates: Mapping[str, list[float]]) -> list[Figure]:
    return [
        Figure(
            name=f"bare_under_{under.lower()}",
            title=f"the bare view under {under}, against the same under gunicorn's default worker",
            unit="of its requests/s",
            rounds=ratios(rates[under], rates[DEFAULT]),
            detail=f"{_middle(rates[under])} against {_middle(rates[DEFAULT])} requests/s",
            facts={"ours": rates[under]},
        )
        for under in UNDER.values()
    ]


def _spreads(contests: Contests, opened: Contests) -> list[Figure]:
    def figure(way: str, mix: str) -> Figure:
        contest, closed = opened[way, mix], contests[way, mix].done
        p50, p99 = (
            _middle([getattr(mixed, name) for mixed in contest.done]) for name in ("p50", "p99")
        )
        told = f"p50 {p50}, p99 {p99} ms at {contest.mix.rate or 0:,.0f} requests/s, open;"
        told += f" {_per_request(contest)};"
        told += f" closed: {_middle(_p99_in_p50(closed))} times"
        return Figure(
            name=f"p99_{way}_{mix}",
            title=f"p99 of reads in p50s, {TITLES[mix]}: {WAYS[way]}",
            unit="times",
            rounds=_p99_in_p50(contest.done),
            target=None if mix == READS else 6,
            most=True,
            detail=told,
        )

    return [figure(way, mix) for way, mix in contests]


def _p99_in_p50(done: Sequence[Mixed]) -> list[float]:
    return [mixed.p99 / mixed.p50 for mixed in done]


def _cpu(contests: Contests) -> list[Figure]:
    """Return what a read takes, and what a post takes beside reads."""
    figures = []
    for way, title in WAYS.items():
        reads, posts = contests[way, READS], contests[way, MANY]
        read = {name: reads.spent(name) / reads.count("reads") for name in reads.pids}
        post = {
            name: (posts.spent(name) - read[name] * posts.count("reads"))
            / max(posts.count("posts"), 1)
            for name in posts.pids
        }
        ours = [name for name in post if name not in server_pids()]
        figures += [
            Figure(
                name=f"cpu_of_a_read_{way}",
                title=f"CPU of a read of the population, web: {title}",
                unit="µs",
                rounds=[sum(read[name] for name in read if name in ("web", "read pool"))],
                detail=_told(read),
            ),
            Figure(
                name=f"reads_for_a_core_{way}",
                title=f"reads of any home for a core, all processes counted: {title}",
                unit="a second",
                rounds=[1e6 / sum(read.values())],
            ),
            Figure(
                name=f"cpu_of_a_post_{way}",
                title=f"CPU of a post beside 19 reads, web + worker + relay: {title}",
                unit="µs",
                rounds=[sum(post[name] for name in ours)],
                detail=_told(post),
            ),
        ]
    valkey = [
        cpu["Valkey"] / mixed.reads * 1e6
        for way in WAYS
        for cpu, mixed in zip(contests[way, READS].cpu, contests[way, READS].done, strict=True)
    ]
    figures.append(
        Figure(
            name="valkey_cpu_of_a_read",
            title="Valkey's CPU of a read of the population",
            unit="µs",
            rounds=valkey,
            target=90,
            most=True,
        )
    )
    return figures


def _per_request(contest: Contest) -> str:
    spent = {name: contest.spent(name) / contest.count("requests") for name in contest.pids}
    return f"µs of CPU a request: {_told(spent)}"


def _told(spent: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {max(value, 0):,.0f}" for name, value in spent.items())


def _middle(values: Sequence[float]) -> str:
    return number(statistics.median(values))
