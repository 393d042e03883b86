"""SQL statements and Redis round trips of a warm read, counted at the servers.

The web processes run alone for this, so whatever the servers see comes from them. PostgreSQL writes
every statement to its log; Valkey counts how often it has read from a connection, and a round trip
is one such read at least.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Self

from django.db import connection

from tests.bench.bench import Bench
from tests.bench.figures import Figure, say
from tests.bench.load import Client
from tests.bench.reads import home_requests
from tests.bench.stack import service
from twitter.base.data import redis

REQUESTS = 200


def measure(bench: Bench) -> list[Figure]:
    """Return the two counts."""
    say("SQL statements and Redis round trips of a warm read")
    requests = home_requests(bench)
    requests = (requests * (REQUESTS // len(requests) + 1))[:REQUESTS]
    statements = Statements()
    with service(bench.folder, names=["web"]) as web, statements:
        client = Client(web.port)
        redis.client().flushdb()
        for request in requests:  # the first read is cold: it shows that counting works
            client.body(request)
        if not statements.new():
            raise AssertionError("PostgreSQL's log does not tell of cold reads")
        for request in requests:
            client.body(request)
        statements.new()
        asking = -_socket_reads() + _socket_reads()  # what looking at the count adds to it
        trips = []
        for request in requests:
            before = _socket_reads()
            client.body(request)
            trips.append(_socket_reads() - before - asking)
        client.close()
        found = statements.new()
    return [
        Figure(
            name="sql_of_a_warm_read",
            title="SQL statements of a warm read",
            unit="a read",
            rounds=[found / REQUESTS],
            target=0,
            most=True,
            detail=f"{found} in PostgreSQL's log for {REQUESTS} reads",
        ),
        Figure(
            name="round_trips_of_a_warm_read",
            title="Redis round trips of a warm read",
            unit="at most",
            rounds=[max(trips)],
            target=2,
            most=True,
            detail="the most that any took; "
            + ", ".join(f"{count} reads took {trip}" for trip, count in Counter(trips).items()),
        ),
    ]


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
