"""The load generator: a process of its own that sends prepared requests over kept connections.

Written for little CPU per request, because it shares the machine with what it measures: requests
are bytes from the start, one thread waits on epoll, and of an answer only the status, the length
and the word `close` are looked at.
"""

import gc
import multiprocessing
import select
import socket
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from typing import Any, Protocol, Self, TypeVar

BUFFER = 1 << 16
ANSWER_SECONDS = 30.0
LOOK_SECONDS = 0.2
# Answers without which a run does not end, on however slow a machine.
LEAST = 50

Result_co = TypeVar("Result_co", covariant=True)


class LoadError(Exception):
    """The server did not answer as it should: a bench with errors is no bench."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to send: for `seconds`, round and round, or, with `seconds` None, each request once."""

    port: int
    requests: Sequence[bytes]
    connections: int = 16
    seconds: float | None = None

    def run(self, pipe: Pipe) -> "Load":
        """Send it all; raises LoadError."""
        return _Run(self, pipe).run()


@dataclass(frozen=True, kw_only=True)
class Load:
    """What came back. Latencies in milliseconds; `cpu_us` is the generator's own, per request."""

    requests: int
    seconds: float
    p50: float
    p99: float
    connects: int
    cpu_us: float
    bytes: int

    @property
    def per_second(self) -> float:
        """Requests answered in a second."""
        return self.requests / self.seconds


class Task(Protocol[Result_co]):
    """What the load generator is told to do: `Job` here, `mixes.Mix`."""

    def run(self, pipe: Pipe) -> Result_co:
        """Do it within the generator's process; something on the pipe tells it to stop."""


class LoadGenerator:
    """Context manager: the process, which does one job after the other."""

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.join()

    def run(self, task: Task[Result_co]) -> Result_co:
        """Do a job. Raises LoadError when any answer is neither a 2xx nor 304."""
        self._pipe.send(task)
        answer: Result_co | str = self._pipe.recv()
        if isinstance(answer, str):
            raise LoadError(answer)
        return answer

    def begin(self, job: Job) -> None:
        """Begin a job; `result` waits for its end."""
        self._pipe.send(job)

    @property
    def pid(self) -> int | None:
        """The process's number."""
        return self._process.pid

    def stop(self) -> None:
        """End the job that was begun before its time."""
        self._pipe.send(None)

    def result(self) -> Load:
        """Wait for the job that was begun. Raises LoadError."""
        answer: Load | str = self._pipe.recv()
        if isinstance(answer, str):
            raise LoadError(answer)
        return answer


def _serve(pipe: Pipe) -> None:
    while True:
        try:
            task: Task[Any] | None = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        if task is None:  # asked to stop what had just ended by itself
            continue
        try:
            pipe.send(task.run(pipe))
        except (LoadError, OSError) as error:
            pipe.send(f"{type(task).__name__}: {error}")
        except KeyboardInterrupt:
            return


class Connection:
    """A kept connection and the answer that is under way on it."""

    __slots__ = ("closes", "fd", "port", "request", "sent_at", "socket", "used", "waiting_for")

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.fd = self.socket.fileno()
        self.request = b""
        self.sent_at = 0.0
        self.waiting_for = -1  # bytes of the answer still to come; -1: its head is
        self.closes = False  # after this answer, says the server
        self.used = False  # it has carried an answer


class _Run:
    def __init__(self, job: Job, pipe: Pipe) -> None:
        self.job = job
        self.pipe = pipe
        self.epoll = select.epoll()
        self.open: dict[int, Connection] = {}
        self.next = 0
        self.connects = 0
        self.bytes = 0
        self.buffer = bytearray(BUFFER)
        self.latencies: list[float] = []

    def run(self) -> Load:
        """Send until the time is over, or until all requests are answered."""
        gc.disable()
        cpu = time.process_time()
        begun = time.perf_counter()
        deadline = begun + (self.job.seconds or 3_600.0)
        look_again = begun
        for _ in range(min(self.job.connections, self._left())):
            self._send(self._connect())
        while self.open:
            events = self.epoll.poll(ANSWER_SECONDS)
            now = time.perf_counter()
            if not events:
                raise LoadError(f"no answer in {ANSWER_SECONDS:.0f} s")
            if now > look_again and len(self.latencies) >= LEAST:
                look_again = now + LOOK_SECONDS
                if self._stopped():
                    break
            if now > deadline and len(self.latencies) >= LEAST:
                break
            for fd, _ in events:
                self._receive(self.open[fd], now)
        seconds = time.perf_counter() - begun
        cpu = time.process_time() - cpu
        for connection in self.open.values():
            connection.socket.close()
        self.epoll.close()
        gc.enable()
        return self._load(seconds, cpu)

    def _stopped(self) -> bool:
        if not self.pipe.poll():
            return False
        self.pipe.recv()
        return True

    def _load(self, seconds: float, cpu: float) -> Load:
        if len(self.latencies) < 2:
            raise LoadError("no answers")
        cuts = statistics.quantiles(self.latencies, n=100)
        return Load(
            requests=len(self.latencies),
            seconds=seconds,
            p50=cuts[49] * 1e3,
            p99=cuts[98] * 1e3,
            connects=self.connects,
            cpu_us=cpu / len(self.latencies) * 1e6,
            bytes=self.bytes,
        )

    def _left(self) -> int:
        return len(self.job.requests) - self.next if self.job.seconds is None else 1 << 60

    def _connect(self) -> Connection:
        connection = Connection(self.job.port)
        self.connects += 1
        self.open[connection.fd] = connection
        self.epoll.register(connection.fd, select.EPOLLIN)
        return connection

    def _close(self, connection: Connection) -> None:
        del self.open[connection.fd]
        connection.socket.close()

    def _send(self, connection: Connection) -> None:
        requests = self.job.requests
        connection.request = requests[self.next % len(requests)]
        self.next += 1
        connection.waiting_for = -1
        connection.sent_at = time.perf_counter()
        try:
            connection.socket.send(connection.request)
        except (BrokenPipeError, ConnectionResetError):
            self._again(connection)

    def _again(self, connection: Connection) -> None:
        """Send the request on a new connection: the old one was closed while it lay idle."""
        self._close(connection)
        fresh = self._connect()
        fresh.request, fresh.sent_at = connection.request, connection.sent_at
        fresh.socket.send(fresh.request)

    def _receive(self, connection: Connection, now: float) -> None:
        try:
            length = connection.socket.recv_into(self.buffer)
        except ConnectionResetError:
            length = 0
        if not length:
            if connection.waiting_for != -1 or not connection.used:
                raise LoadError("the connection was closed before the end of an answer")
            self._again(connection)
            return
        self.bytes += length
        if connection.waiting_for == -1:
            connection.waiting_for, connection.closes = head_of(self.buffer, length)
        else:
            connection.waiting_for -= length
        if connection.waiting_for == 0:
            connection.used = True
            self.latencies.append(now - connection.sent_at)
            self._go_on(connection)

    def _go_on(self, connection: Connection) -> None:
        more = self._left() > 0
        if connection.closes or not more:
            self._close(connection)
            if more:
                self._send(self._connect())
        else:
            self._send(connection)


def head_of(data: bytes | bytearray, received: int) -> tuple[int, bool]:
    """Read an answer's first piece; return how much is to come, and whether it closes."""
    end = data.find(b"\r\n\r\n", 0, received)
    if end < 0:
        raise LoadError(f"no whole head in the first piece of an answer: {bytes(data[:200])!r}")
    head = data[: end + 2].lower()
    closes = b"\r\nconnection: close" in head
    if data[9:12] == b"304":  # which has no body
        return 0, closes
    if data[9:10] != b"2":
        raise LoadError(f"answered {data[9:12].decode()}: {bytes(data[end + 4 : end + 500])!r}")
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        raise LoadError("an answer without Content-Length")
    length = int(head[at + 17 : head.index(b"\r\n", at + 17)])
    return length - (received - end - 4), closes


class Client:
    """One kept connection, one request after the other; for latencies without company."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def seconds(self, request: bytes) -> float:
        """Return how long a request takes. Raises LoadError unless it is answered with a 2xx."""
        return self._exchange(request)[0]

    def body(self, request: bytes) -> bytes:
        """Return the body of an answer. Raises LoadError unless it is a 2xx."""
        return self._exchange(request)[1].partition(b"\r\n\r\n")[2]

    def answer(self, request: bytes) -> bytes:
        """Return an answer, head and body. Raises LoadError unless it is a 2xx."""
        return self._exchange(request)[1]

    def _exchange(self, request: bytes) -> tuple[float, bytes]:
        begun = time.perf_counter()
        try:
            data = self._try(request)
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        except TimeoutError as error:
            asked = request.partition(b" HTTP/")[0].decode()
            raise LoadError(
                f"port {self._port}: no answer to {asked} in {ANSWER_SECONDS:.0f} s"
            ) from error
        if not data:  # closed while it lay idle
            self.close()
            data = self._try(request)
        rest, closes = head_of(data, len(data))
        pieces = [data]
        while rest > 0 and self._socket is not None:
            pieces.append(self._socket.recv(BUFFER))
            if not pieces[-1]:
                raise LoadError("the connection was closed before the end of an answer")
            rest -= len(pieces[-1])
        seconds = time.perf_counter() - begun
        if closes:
            self.close()
        return seconds, b"".join(pieces)

    def _try(self, request: bytes) -> bytes:
        if self._socket is None:
            address = ("127.0.0.1", self._port)
            self._socket = socket.create_connection(address, timeout=ANSWER_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        return self._socket.recv(BUFFER)


def get(path: str, *headers: str, token: str = "") -> bytes:
    """Return a GET request as it goes over the wire."""
    more = "".join(f"{header}\r\n" for header in headers)
    return (_first_lines("GET", path, token) + more + "\r\n").encode()


def post(path: str, body: bytes, *, token: str = "") -> bytes:
    """Return a POST request with a JSON body as it goes over the wire."""
    head = _first_lines("POST", path, token)
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _first_lines(method: str, path: str, token: str) -> str:
    lines = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
    return lines + (f"Authorization: Bearer {token}\r\n" if token else "")
