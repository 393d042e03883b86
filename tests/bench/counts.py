"""SQL statements and Redis round trips of warm reads, counted at the servers.

The web processes run alone while it counts, so whatever the servers see comes from them. PostgreSQL
writes every statement to its log; Valkey counts how often it has read from a connection, and a
round trip is one such read at least.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple, Self

from django.db import connection

from accounts import facade as accounts
from accounts.models import PopularAuthor
from tests.bench.bench import Bench
from tests.bench.data import tokens
from tests.bench.figures import Figure, say
from tests.bench.load import Client, get, post
from tests.bench.reads import HOME
from tests.bench.stack import service, wait_until_quiet
from timelines.home import store
from tweets.posts import moderation
from tweets.reactions import marks
from twitter.base.data import redis

# Reads of each case, by so many readers of its own.
READS, READERS = 60, 3
ORDINARY, LIKED_MUCH, HIDDEN = "an ordinary home", "600 likes", "hidden originals"
LIKED, FOLLOWED, MERGED = "3 s after a like", "after a follow", "merged authors"
CASES = (ORDINARY, LIKED_MUCH, LIKED, FOLLOWED)
LIKES = 600  # more than marks go back over
SECONDS_AFTER_A_LIKE = 3

# The newest tweets, by each of some accounts.
_LIKE = """
    WITH changed AS (
        INSERT INTO tweets_like (account_id, tweet_id)
        SELECT account.id, liked.id FROM unnest(%s::bigint[]) AS account (id)
        CROSS JOIN (SELECT id FROM tweets_tweet WHERE original_id IS NULL AND state = 0
            ORDER BY id DESC LIMIT %s) AS liked
        ON CONFLICT DO NOTHING RETURNING tweet_id)
    INSERT INTO tweets_tweetmetricsdelta (tweet_id, like_count) SELECT tweet_id, 1 FROM changed"""


class Count(NamedTuple):
    """The statements of a case's reads, and the round trips of the read that took most."""

    statements: int
    trips: int


class _Reader(NamedTuple):
    id: int
    token: str

    @property
    def home(self) -> bytes:
        return get(HOME, token=self.token)


Readers = Mapping[str, Sequence[_Reader]]  # of each case


def measure(bench: Bench) -> list[Figure]:
    """Return the counts, each the most of all cases."""
    say("SQL statements and Redis round trips of warm reads")
    cases = (*CASES, MERGED, HIDDEN)
    ids = bench.network.readers[: READERS * len(cases)]
    all_readers = iter([_Reader(*each) for each in zip(ids, tokens(ids), strict=True)])
    readers = {case: list(islice(all_readers, READERS)) for case in cases}
    with service(bench.folder, names=["web"]) as web, Statements() as statements:
        client = Client(web.port)
        redis.client().flushdb()
        statements.new()
        _warm(client, readers)
        if not statements.new():
            raise AssertionError("PostgreSQL's log does not tell of cold reads")
        with service(bench.folder, names=["worker", "relay"]):
            _prepare(client, readers, strangers=list(bench.network.tiers.values()))
        # A home is built after a follow, and Valkey notices that worker and relay are gone.
        _warm(client, readers)
        counts = {case: _count(client, statements, readers[case]) for case in CASES}
        # Last, for the authors and the originals may stand in any home.
        _merge(client, readers[MERGED])
        counts[MERGED] = _count(client, statements, readers[MERGED])
        with service(bench.folder, names=["worker", "relay"]):
            _hide(client, readers[HIDDEN])
        _warm(client, readers)
        counts[HIDDEN] = _count(client, statements, readers[HIDDEN])
        client.close()
    PopularAuthor.objects.all().delete()
    return _figures(counts)


def _merge(client: Client, readers: Sequence[_Reader]) -> None:
    """Let readers merge what one of their followees writes."""
    for reader in readers:
        author_id = accounts.followees(reader.id).ids[0]
        PopularAuthor.objects.get_or_create(account_id=author_id, followers_know=True)
        store.drop([reader.id])
    _warm(client, {MERGED: readers})


def _hide(client: Client, readers: Sequence[_Reader]) -> None:
    """Hide the originals of the retweets on readers' pages."""
    for reader in readers:
        originals = [int(tweet["id"]) for tweet in _page(client, reader)["includes"]["tweets"]]
        moderation.hide(tweet_ids=originals, by_id=reader.id, reason="The bench wants to know.")
    wait_until_quiet()


def _warm(client: Client, readers: Readers) -> None:
    for each in readers.values():
        for reader in (*each, *each):
            client.body(reader.home)


def _prepare(client: Client, readers: Readers, *, strangers: Sequence[int]) -> None:
    """Let happen what the cases are about, and all that follows from it."""
    much = [reader.id for reader in readers[LIKED_MUCH]]
    with connection.cursor() as cursor:
        cursor.execute(_LIKE, [much, LIKES])
    for reader_id in much:
        marks.drop(reader_id)
    wait_until_quiet()
    _warm(client, readers)
    for reader in readers[LIKED]:
        liked = _page(client, reader)["data"][0]["id"]
        client.body(post("/tweet/like", b'{"tweet_id": "%b"}' % liked.encode(), token=reader.token))
    for reader, stranger in zip(readers[FOLLOWED], strangers, strict=False):
        client.body(post("/auth/follow", b'{"user_id": "%d"}' % stranger, token=reader.token))
    wait_until_quiet()
    time.sleep(SECONDS_AFTER_A_LIKE)


def _page(client: Client, reader: _Reader) -> dict[str, Any]:
    page: dict[str, Any] = json.loads(client.body(reader.home))
    return page


def _count(client: Client, statements: "Statements", readers: Sequence[_Reader]) -> Count:
    statements.new()
    asking = -_socket_reads() + _socket_reads()  # what looking at the count adds to it
    trips = []
    for reader in islice(cycle(readers), READS):
        before = _socket_reads()
        client.body(reader.home)
        trips.append(_socket_reads() - before - asking)
    return Count(statements.new(), max(trips))


def _figures(counts: Mapping[str, Count]) -> list[Figure]:
    statements = {case: count.statements for case, count in counts.items()}
    trips = {case: count.trips for case, count in counts.items()}
    merged = trips.pop(MERGED)
    return [
        Figure(
            name="sql_of_a_warm_read",
            title="SQL statements of any warm read",
            unit="a read",
            rounds=[max(statements.values()) / READS],
            target=0,
            most=True,
            detail=f"{_told(statements)} in PostgreSQL's log for {READS} reads each",
        ),
        Figure(
            name="round_trips_of_a_warm_read",
            title="Redis round trips of any warm read",
            unit="at most",
            rounds=[max(trips.values())],
            target=2,
            most=True,
            detail=_told(trips),
        ),
        Figure(
            name="round_trips_with_merged_authors",
            title="Redis round trips of a warm read with merged authors",
            unit="at most",
            rounds=[merged],
            target=3,
            most=True,
        ),
    ]


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{case}: {count}" for case, count in counts.items())


def _socket_reads() -> int:
    info = redis.client().info("stats")
    return int(info["total_reads_processed"])


class Statements:
    """Context manager: PostgreSQL logs every statement."""

    def __enter__(self) -> Self:
        self._log = Path(os.environ["STATE_DIR"]) / "postgres.log"
        self._set("ALTER SYSTEM SET log_statement = 'all'")
        self._read = self._log.stat().st_size
        return self

    def __exit__(self, *error: object) -> None:
        self._set("ALTER SYSTEM RESET log_statement")

    def new(self) -> int:
        """Return how many there are since the last call."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            lines = log.read().splitlines()
            self._read = log.tell()
        return sum(b"LOG:  execute " in line or b"LOG:  statement: " in line for line in lines)

    def _set(self, statement: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            cursor.execute("SELECT pg_reload_conf()")
            cursor.execute("SELECT pg_sleep(0.5)")
