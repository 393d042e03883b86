"""Posting against one INSERT, and many liking one tweet against many liking many."""

import json
import statistics
from collections.abc import Callable
from itertools import count as counter
from itertools import cycle, islice

from django.db import connection

from tests.bench.bench import Bench
from tests.bench.data import texts, tokens
from tests.bench.figures import Figure, alternate, number, ratios, say
from tests.bench.load import Client, Job, get, post
from tests.bench.stack import Server, baseline, count, wait_until_quiet
from tweets.models import Like, Tweet

LIKERS = 64

# A table like that of tweets, without the index for the moderators' search and foreign keys.
TABLE = """
    DROP TABLE IF EXISTS bench_tweet;
    CREATE TABLE bench_tweet (LIKE tweets_tweet INCLUDING DEFAULTS);
    ALTER TABLE bench_tweet ADD PRIMARY KEY (id);
    CREATE INDEX ON bench_tweet (author_id, id DESC)"""


def measure(bench: Bench, ours: Server, bare: Server) -> list[Figure]:
    """Return the figures of posting and liking."""
    with baseline(bench.folder, "plain") as plain:
        posting = _posting(bench, ours, bare, plain)
    return [*posting, *_liking(bench, ours)]


def _posting(bench: Bench, ours: Server, bare: Server, plain: Server) -> list[Figure]:
    requests = bench.scale.writes
    writers = tokens(bench.network.readers)
    bodies = [json.dumps({"text": text}).encode() for text in texts()]
    work: list[float] = []
    cpu: dict[str, list[float]] = {"web": [], "worker": [], "relay": []}
    with connection.cursor() as cursor:
        cursor.execute(TABLE)
    turns = counter()

    def posts() -> float:
        first = next(turns) * requests
        sent = [
            post("/tweet/create", body, token=token)
            for body, token in islice(
                zip(cycle(bodies), cycle(writers), strict=False), first, first + requests
            )
        ]
        wait_until_quiet()
        before = {name: ours.cpu_seconds(name) for name in cpu}
        load = bench.load.run(Job(port=ours.port, requests=sent))
        work.append(load.seconds + wait_until_quiet())
        for name, values in cpu.items():
            values.append((ours.cpu_seconds(name) - before[name]) / requests * 1e6)
        return load.per_second

    def inserts() -> float:
        sent = [post("/insert", body) for body in islice(cycle(bodies), requests)]
        return bench.load.run(Job(port=bare.port, requests=sent)).per_second

    def plain_posts() -> float:
        sent = [
            post("/post", body, token=token)
            for body, token in islice(zip(cycle(bodies), cycle(writers), strict=False), requests)
        ]
        return bench.load.run(Job(port=plain.port, requests=sent)).per_second

    contestants = {"posts": posts, "inserts": inserts, "plain": plain_posts}
    for contestant in contestants.values():
        contestant()
    for values in (work, *cpu.values()):
        values.clear()
    rates = alternate(contestants, rounds=bench.scale.rounds, what="posting")
    told = ", ".join(f"{name} {statistics.median(values):,.0f}" for name, values in cpu.items())
    done = [requests / seconds for seconds in work]
    return [
        Figure(
            name="post_against_insert",
            title="POST /tweet/create against a bare view doing one INSERT",
            unit="of its requests/s",
            rounds=ratios(rates["posts"], rates["inserts"]),
            target=0.4,
            detail=f"{_middle(rates['posts'])} against {_middle(rates['inserts'])} requests/s",
            facts=rates,
        ),
        Figure(
            name="posts_done_against_insert",
            title="the same with all that follows from the posts done",
            unit="of its requests/s",
            rounds=ratios(done, rates["inserts"]),
            target=0.33,
            detail=f"{_middle(done)} against {_middle(rates['inserts'])} a second",
        ),
        Figure(
            name="cpu_of_a_post",
            title="CPU of a post: web, worker and relay",
            unit="ms",
            rounds=[sum(values) / 1e3 for values in zip(*cpu.values(), strict=True)],
            target=2.0,
            most=True,
            detail=f"in µs: {told}",
        ),
        Figure(
            name="plain_post_against_insert",
            title="the plain Django way to store a tweet, and nothing more, against that INSERT",
            unit="of its requests/s",
            rounds=ratios(rates["plain"], rates["inserts"]),
            detail=f"{_middle(rates['plain'])} against {_middle(rates['inserts'])} requests/s",
        ),
    ]


def _liking(bench: Bench, ours: Server) -> list[Figure]:
    population = bench.network.population
    likers = population[: min(len(population), bench.scale.writes)]
    liked = list(
        Tweet.objects.filter(original=None, state=0).order_by("-id").values_list("id", flat=True)
    )
    fresh = iter(liked)
    used: list[int] = []

    def likes(tweets: int) -> Callable[[], float]:
        def run() -> float:
            chosen = list(islice(fresh, tweets))
            used.extend(chosen)
            sent = [
                post("/tweet/like", b'{"tweet_id": "%d"}' % tweet_id, token=token)
                for token, tweet_id in zip(tokens(likers), cycle(chosen), strict=False)
            ]
            wait_until_quiet()
            return bench.load.run(Job(port=ours.port, requests=sent, connections=LIKERS)).per_second

        return run

    rates = alternate(
        {"one": likes(1), "many": likes(LIKERS)}, rounds=bench.scale.rounds, what="liking"
    )
    wait_until_quiet()
    wrong = _wrong_counts(ours, used, tokens(likers[:1])[0])
    return [
        Figure(
            name="one_liked_against_many",
            title=f"{LIKERS} clients liking one tweet against {LIKERS} clients liking {LIKERS}",
            unit="of its likes/s",
            rounds=ratios(rates["one"], rates["many"]),
            target=0.7,
            detail=f"{_middle(rates['one'])} against {_middle(rates['many'])} likes/s",
            facts=rates,
        ),
        Figure(
            name="wrong_like_counts",
            title="tweets whose count, as it is shown in the end, is not the number of likes",
            unit="tweets",
            rounds=[wrong],
            target=0,
            most=True,
            detail=f"of {len(used)} tweets",
        ),
    ]


def _wrong_counts(ours: Server, tweet_ids: list[int], token: str) -> int:
    client = Client(ours.port)
    wrong = 0
    for tweet_id in tweet_ids:
        shown = json.loads(client.body(get(f"/tweet/id/{tweet_id}", token=token)))
        likes = count(f"SELECT count(*) FROM {Like._meta.db_table} WHERE tweet_id = %s", [tweet_id])
        if shown["data"]["public_metrics"]["like_count"] != likes:
            say(f"tweet {tweet_id} has {likes} likes and shows otherwise")
            wrong += 1
    client.close()
    return wrong


def _middle(rates: list[float]) -> str:
    return number(statistics.median(rates))
