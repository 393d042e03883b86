"""Who owns a connection of the web worker, at the moments that no load can be made to hit."""

import contextlib
import itertools
import logging
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config

from twitter.webworker import Connection, WebWorker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs epoll")

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK"


class Epoll:
    """A real epoll, and what happens right after it was told of a connection."""

    def __init__(self) -> None:
        self.real = select.epoll()
        self.then: Callable[[], object] = lambda: None

    def poll(self, **options: int) -> list[tuple[int, int]]:
        return self.real.poll(**options)

    def register(self, fd: int, events: int) -> None:
        self.real.register(fd, events)
        self.then()

    def modify(self, fd: int, events: int) -> None:
        self.real.modify(fd, events)
        self.then()


class Worker(WebWorker):
    """A worker without process: its main thread is the test's."""

    def __init__(self) -> None:
        self.cfg = Config()
        self.set = SimpleNamespace(**{name: one.get() for name, one in self.cfg.settings.items()})
        self.log = SimpleNamespace(
            debug=logging.debug, exception=logging.exception, access=lambda *_: None
        )
        self.body_bytes = 1_000
        self.epoll = Epoll()
        self.connections: dict[int, Connection] = {}
        self.numbers = itertools.count(1)
        self.max_requests, self.alive = 1_000, True
        self.wsgi = self.application
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)

    def application(self, environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "0")])
        return []

    def accept(self) -> tuple[socket.socket, Connection]:
        client = socket.create_connection(self.listener.getsockname(), timeout=10)
        select.select([self.listener], [], [], 10)
        self._accept(self.listener, self.listener.getsockname())
        return client, list(self.connections.values())[-1]

    def advance(self) -> None:
        """Do what a thread does with the next report."""
        [(fd, _)] = self.epoll.real.poll(timeout=10, maxevents=1)
        connection = self.connections[fd]
        with connection.claim:
            self._turn(connection)


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.listener.close()
    for connection in list(worker.connections.values()):
        connection.sock.close()


def test_nobody_closes_a_connection_that_is_just_told_to_epoll(worker: Worker) -> None:
    """Its number could be another connection's before epoll is told: that one would then wait."""
    client, connection = worker.accept()
    with client:
        client.sendall(GET)

        def late() -> None:
            connection.deadline = 0.0
            worker._close_late()

        worker.epoll.then = late
        worker.advance()
        assert client.recv(1_000).startswith(ANSWER)
        assert list(worker.connections.values()) == [connection]


def test_no_report_is_lost_while_the_last_owner_lets_go(worker: Worker) -> None:
    """The next request may be there before the thread that served the first one is done with it."""
    client, _ = worker.accept()
    other = threading.Thread(target=worker._work, daemon=True)
    with client:
        client.sendall(GET)

        def next_request() -> None:
            worker.epoll.then = lambda: None
            client.sendall(GET)
            other.start()
            time.sleep(0.2)  # the other thread has the report, and finds the connection claimed

        worker.epoll.then = next_request
        worker.advance()
        received = b""
        while received.count(ANSWER) < 2:
            received += client.recv(1_000)


def test_a_late_report_about_the_last_owner_of_a_number_does_no_harm(worker: Worker) -> None:
    """A thread may come with it as soon as the new connection is known, before epoll knows it.

    Whether the new connection has the number of one that was just closed is up to the kernel. What
    a thread finds that comes with that number is the same: the connection, claimed.
    """
    seen: list[bool] = []

    def late() -> None:
        [connection] = worker.connections.values()
        seen.append(connection.claim.acquire(blocking=False))

    worker.epoll.then = late
    client, _ = worker.accept()
    client.close()
    assert seen == [False]


def test_who_trickles_is_given_up_though_there_is_always_something_to_read(worker: Worker) -> None:
    client, connection = worker.accept()
    with client:
        client.sendall(b"GE")
        connection.deadline = time.monotonic() - 1
        worker._close_late()
        assert worker.connections, "what it sent in time must be looked at first"
        worker.advance()
        assert client.recv(1_000).startswith(b"HTTP/1.1 408 ")


def test_a_pipelined_request_has_its_own_time(worker: Worker) -> None:
    """The first one took longer than an idle connection may live, and nothing can be sent now."""
    client, connection = worker.accept()
    with client:
        client.sendall(GET + GET)
        connection.deadline = 0.0
        worker.advance()
        connection.is_ready = lambda *_, **__: False  # type: ignore[method-assign]
        worker._close_late()
        assert worker.connections
        worker.advance()
        received = b""
        with contextlib.suppress(TimeoutError):
            while received.count(ANSWER) < 2:
                received += client.recv(1_000)
        assert received.count(ANSWER) == 2
