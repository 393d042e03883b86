"""A load of reads, posts and likes: a job of the load generator (`load.py`).

A lane is one client: it reads as a reader drawn at random, posts as the next author, and likes, as
the reader, the first tweet of the page that it has just read.

Closed, each lane sends its next request when it has the answer. Open, requests are due by the
clock, at a fixed rate, whatever is still under way; a latency counts from the moment at which the
request was due. So a server that stands still is not spared the requests of that time.
"""

import gc
import json
import random
import select
import statistics
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, cycle
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

from tests.bench.load import (
    ANSWER_SECONDS,
    BUFFER,
    LEAST,
    Connection,
    LoadError,
    get,
    head_of,
    post,
)

READ, POST, LIKE = range(3)
_ID = b'"id":"'
_TOKEN = "TOKEN"


@dataclass(frozen=True, kw_only=True)
class Deck:
    """Who reads and who posts, in a file, because it is long; a process loads it once."""

    file: Path

    @classmethod
    def of(
        cls, file: Path, *, readers: Sequence[str], authors: Sequence[str], texts: Sequence[str]
    ) -> "Deck":
        """Write the tokens of readers, those of the authors of posts in order, and texts."""
        file.write_text(json.dumps([readers, authors, texts]), encoding="utf-8")
        return cls(file=file)


@dataclass(frozen=True, kw_only=True)
class Mix:
    """What to send for `seconds`; `posts` and `likes` are shares of all requests.

    `rate`: requests that are due each second; None: closed. `lanes`: how many there are, of an open
    load at most. If they do not suffice, further requests wait, and the clock goes on.
    """

    deck: Deck
    path: str
    reads_at: int
    writes_at: int
    posts: float = 0.0
    likes: float = 0.0
    seconds: float
    lanes: int = 16
    rate: float | None = None

    def run(self, pipe: Pipe) -> "Mixed":
        """Send it all."""
        del pipe  # It cannot be stopped before its time.
        return _Run(self).run()


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """What came back: how many of each; latencies of reads, in milliseconds.

    `seconds`: from the first request to the last answer.
    """

    reads: int
    posts: int
    likes: int
    seconds: float
    p50: float
    p99: float

    @property
    def requests(self) -> int:
        """All of them."""
        return self.reads + self.posts + self.likes

    @property
    def per_second(self) -> float:
        """Requests answered in a second."""
        return self.requests / self.seconds


class _Cards:
    """A deck as requests: of a read or a like, all but the token is the same."""

    def __init__(self, file: Path, path: str) -> None:
        readers, authors, texts = json.loads(file.read_text(encoding="utf-8"))
        self.readers: list[bytes] = [token.encode() for token in readers]
        self.read = tuple(get(path, token=_TOKEN).split(_TOKEN.encode()))
        self.posts = [
            post("/tweet/create", json.dumps({"text": text}).encode(), token=token)
            for token, text in zip(authors, cycle(texts), strict=False)
        ]

    def like(self, reader: bytes, tweet: bytes) -> bytes:
        return post("/tweet/like", b'{"tweet_id":"%b"}' % tweet, token=reader.decode())


@lru_cache(maxsize=1)
def _cards(file: Path, path: str) -> _Cards:
    return _Cards(file, path)


# The next post, across all jobs of this process: so authors come in the deck's order.
_posted = count()


class _Lane:
    """A client: a connection to each server that it talks to."""

    __slots__ = ("connections", "due", "kind", "reader", "tweet")

    def __init__(self) -> None:
        self.connections: dict[int, Connection] = {}
        self.due = 0.0
        self.kind = READ
        self.reader = b""
        self.tweet = b""  # of the page just read, until it is liked


class _Run:
    def __init__(self, mix: Mix) -> None:
        self.mix = mix
        self.cards = _cards(mix.deck.file, mix.path)
        self.dice = random.Random().random
        self.epoll = select.epoll()
        self.under_way: dict[int, tuple[_Lane, Connection]] = {}
        self.free: list[_Lane] = []
        self.lanes = 0
        self.buffer = bytearray(BUFFER)
        self.counts = [0, 0, 0]
        self.latencies: list[float] = []

    def run(self) -> Mixed:
        gc.disable()
        begun = time.perf_counter()
        (self._open if self.mix.rate else self._closed)(begun + self.mix.seconds)
        seconds = time.perf_counter() - begun
        gc.enable()
        self.epoll.close()
        for lane in self.free:
            for connection in lane.connections.values():
                connection.socket.close()
        for _, connection in self.under_way.values():
            connection.socket.close()
        cuts = statistics.quantiles(self.latencies, n=100)
        reads, posts, likes = self.counts
        return Mixed(
            reads=reads,
            posts=posts,
            likes=likes,
            seconds=seconds,
            p50=cuts[49] * 1e3,
            p99=cuts[98] * 1e3,
        )

    def _closed(self, deadline: float) -> None:
        for _ in range(self.mix.lanes):
            self._send(_Lane(), time.perf_counter())
        while True:
            events = self.epoll.poll(ANSWER_SECONDS)
            now = time.perf_counter()
            if not events:
                raise LoadError(f"no answer in {ANSWER_SECONDS:.0f} s")
            if now > deadline and len(self.latencies) >= LEAST:
                return
            self._receive_all(events, now)
            while self.free:
                self._send(self.free.pop(), time.perf_counter())

    def _open(self, deadline: float) -> None:
        """Send what is due; at the end, wait for all answers."""
        step = 1 / (self.mix.rate or 1)
        next_due = time.perf_counter()
        late: deque[float] = deque()
        while True:
            now = time.perf_counter()
            while next_due <= now and next_due < deadline:
                late.append(next_due)
                next_due += step
            while late and (self.free or self.lanes < self.mix.lanes):
                self._send(self._lane(), late.popleft())
            is_over = next_due >= deadline
            if is_over and not self.under_way:
                return
            # select waits for microseconds, epoll for whole milliseconds.
            wait = ANSWER_SECONDS if is_over else max(next_due - time.perf_counter(), 0)
            ready, _, _ = select.select([self.epoll], [], [], wait)
            if ready:
                self._receive_all(self.epoll.poll(0), time.perf_counter())
            elif is_over:
                raise LoadError(f"no answer in {ANSWER_SECONDS:.0f} s")

    def _lane(self) -> _Lane:
        if self.free:
            return self.free.pop()
        self.lanes += 1
        return _Lane()

    def _send(self, lane: _Lane, due: float) -> None:
        """Draw what comes next, and send it."""
        mix, cards = self.mix, self.cards
        drawn = self.dice()
        if drawn < mix.posts:
            kind, port = POST, mix.writes_at
            request = cards.posts[next(_posted) % len(cards.posts)]
        elif drawn < mix.posts + mix.likes and lane.tweet:
            kind, port = LIKE, mix.writes_at
            request, lane.tweet = cards.like(lane.reader, lane.tweet), b""
        else:
            kind, port = READ, mix.reads_at
            lane.reader = cards.readers[int(self.dice() * len(cards.readers))]
            before, after = cards.read
            request = before + lane.reader + after
        lane.kind, lane.due = kind, due
        connection = lane.connections.get(port) or self._connect(lane, port)
        connection.request = request
        connection.waiting_for = -1
        self.under_way[connection.fd] = (lane, connection)
        try:
            connection.socket.send(request)
        except (BrokenPipeError, ConnectionResetError):
            self._again(lane, connection)

    def _connect(self, lane: _Lane, port: int) -> Connection:
        connection = lane.connections[port] = Connection(port)
        self.epoll.register(connection.fd, select.EPOLLIN)
        return connection

    def _close(self, lane: _Lane, connection: Connection) -> None:
        self.under_way.pop(connection.fd, None)
        del lane.connections[connection.port]
        connection.socket.close()

    def _again(self, lane: _Lane, connection: Connection) -> None:
        """Send the request on a new connection: the old one was closed while it lay idle."""
        self._close(lane, connection)
        fresh = self._connect(lane, connection.port)
        fresh.request = connection.request
        self.under_way[fresh.fd] = (lane, fresh)
        fresh.socket.send(fresh.request)

    def _receive_all(self, events: Sequence[tuple[int, int]], now: float) -> None:
        for fd, _ in events:
            lane, connection = self.under_way.get(fd) or self._owner(fd)
            self._receive(lane, connection, now)

    def _owner(self, fd: int) -> tuple[_Lane, Connection]:
        """Return whose connection it is that was closed while it lay idle."""
        for lane in self.free + [lane for lane, _ in self.under_way.values()]:
            for connection in lane.connections.values():
                if connection.fd == fd:
                    return lane, connection
        raise LoadError("something arrived on a connection that is not known")

    def _receive(self, lane: _Lane, connection: Connection, now: float) -> None:
        try:
            length = connection.socket.recv_into(self.buffer)
        except ConnectionResetError:
            length = 0
        if not length:
            self._lost(lane, connection)
            return
        if connection.waiting_for == -1:
            connection.waiting_for, connection.closes = head_of(self.buffer, length)
            if lane.kind == READ and self.mix.likes:
                lane.tweet = self._first_id(length)
        else:
            connection.waiting_for -= length
        if connection.waiting_for == 0:
            connection.used = True
            self.counts[lane.kind] += 1
            if lane.kind == READ:
                self.latencies.append(now - lane.due)
            del self.under_way[connection.fd]
            if connection.closes:
                self._close(lane, connection)
            self.free.append(lane)

    def _lost(self, lane: _Lane, connection: Connection) -> None:
        if connection.fd not in self.under_way:
            self._close(lane, connection)
        elif connection.waiting_for == -1 and connection.used:
            self._again(lane, connection)
        else:
            raise LoadError("the connection was closed before the end of an answer")

    def _first_id(self, length: int) -> bytes:
        start = self.buffer.find(_ID, 0, length) + len(_ID)
        end = self.buffer.find(b'"', start, length)
        return bytes(self.buffer[start:end]) if start >= len(_ID) and end > start else b""
