"""Redis without a client in between, for the hot paths: many commands, one round trip.

redis-py takes some 15 µs for each command of a pipeline, and 100 µs for a round trip; to write the
protocol (RESP 2, https://valkey.io/topics/protocol/) and to read it with hiredis takes 0.5 and 40.
Everything else goes through `twitter.lib.redis`. What both raise is redis.RedisError.
"""

import hashlib
import os
import socket
import ssl
import struct
import threading
from collections import deque
from itertools import islice
from typing import Any, Self

import hiredis
from django.conf import settings
from redis import exceptions
from redis.connection import SSLConnection, parse_url

from twitter.lib.silence import Silence

Argument = str | bytes | int

_READ_BYTES = 65_536
_INCOMPLETE = object()  # what hiredis returns while a reply is still to come
_local = threading.local()
_silence = Silence()

# What a Redis that was restarted brings back, from a disk or as a replica that took over, may be
# older than what it had: homes without what was delivered since, users who are suspended by now. So
# whoever connects first drops all of it, before anybody has read it.
_DROP_WHAT_IS_OLD = """
local run = redis.call('INFO', 'server'):match('run_id:(%x+)')
local known = redis.call('GET', KEYS[1])
if known == run then return 0 end
if known then redis.call('FLUSHDB', 'ASYNC') end
redis.call('SET', KEYS[1], run)
return known and 1 or 0
"""
# The run of the server that all other keys are from.
RUN_KEY = "run"


def pack(*arguments: Argument) -> bytes:
    """Return a command as it is sent: `pack("GET", "key")`."""
    packed: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type]  # any number of them
    return packed


def exchange(*commands: bytes) -> list[Any]:
    """Send packed commands in one write and return their replies: bytes, int, list or None.

    Raises redis.RedisError. When one command fails, the others have run all the same. When the
    connection was lost they may have run, and are sent again once: twice must do no harm.
    """
    message = b"".join(commands)
    try:
        return _exchange(message, len(commands))
    except exceptions.ConnectionError:  # Redis was restarted, or closes what is idle.
        return _exchange(message, len(commands))


def _exchange(message: bytes, commands: int) -> list[Any]:
    with Pipe("exchange") as pipe:
        pipe.send(message, commands)
        return pipe.receive()


class Pipe:
    """Messages that are sent while Redis still works on earlier ones.

    A context manager; within it, all raises redis.RedisError. Replies come in the order of the
    messages. What is still to come in the end is not waited for. A thread has one at a time, on a
    connection of its own.
    """

    def __init__(self, name: str = "pipe") -> None:
        self._name = name
        self._expected: deque[int] = deque()

    def __enter__(self) -> Self:
        if _silence.until:
            _go_on_without_or_try()
        self._connection = _connection(self._name)
        if self._connection.is_taken:
            raise RuntimeError("this thread has such a pipe already")
        self._connection.is_taken = True
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.is_taken = False
        if self._expected:
            # What arrives on it from now on answers nobody knows what.
            self._connection.close()

    def send(self, message: bytes, commands: int) -> None:
        """Send packed commands, and say how many they are."""
        self._expected.append(commands)
        self._connection.send(message)

    def receive(self) -> list[Any]:
        """Wait for the replies to the first message that has not got them; raises for an error."""
        replies = self._connection.receive(self._expected[0])
        self._expected.popleft()
        return replies


class Script:
    """A Lua script, sent by its digest."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    def packed(self, *, keys: list[str], arguments: list[Argument]) -> bytes:
        """Return the command that runs it, whether Redis knows it or not."""
        return pack("EVAL", self._source, len(keys), *keys, *arguments)

    def run(self, *, keys: list[str], arguments: list[Argument]) -> Any:
        """Return the script's reply, in one round trip; in two if Redis does not know it yet.

        Raises redis.RedisError.
        """
        try:
            return exchange(pack("EVALSHA", self._digest, len(keys), *keys, *arguments))[0]
        except exceptions.NoScriptError:
            return exchange(self.packed(keys=keys, arguments=arguments))[0]


def _connection(name: str) -> "_Connection":
    """Return this thread's connection of a name; a process that was forked makes its own."""
    cache: dict[str, Any] = settings.CACHES["default"]
    origin = (os.getpid(), cache["LOCATION"])
    connection: _Connection | None = getattr(_local, name, None)
    if connection is None or connection.closed or connection.origin != origin:
        connection = _Connection(origin)
        setattr(_local, name, connection)
    return connection


class _Connection:
    """A socket that speaks RESP. Raises redis.RedisError only."""

    def __init__(self, origin: tuple[int, str]) -> None:
        self.origin = origin
        self.closed = False
        self.is_taken = False
        self._errors: list[exceptions.ResponseError] = []
        self._reader = hiredis.Reader(replyError=self._error, notEnoughData=_INCOMPLETE)
        cache: dict[str, Any] = settings.CACHES["default"]
        options = cache["OPTIONS"]
        server: dict[str, Any] = parse_url(origin[1])  # type: ignore[no-untyped-call]
        try:
            self._socket = _connect(server, timeout=options["SOCKET_CONNECT_TIMEOUT"])
        except OSError as error:
            raise _redis_error(error) from error
        _limit(self._socket, options["SOCKET_TIMEOUT"])
        self._greet(server)

    def _greet(self, server: dict[str, Any]) -> None:
        commands = [pack("SELECT", server.get("db", 0))]
        if "password" in server:
            user = [server["username"]] if "username" in server else []
            commands.insert(0, pack("AUTH", *user, server["password"]))
        commands.append(pack("EVAL", _DROP_WHAT_IS_OLD, 1, RUN_KEY))
        self.send(b"".join(commands))
        try:
            self.receive(len(commands))
        except exceptions.ResponseError:
            self.close()
            raise

    def __del__(self) -> None:
        if hasattr(self, "_socket"):  # the thread whose connection it is has ended
            self._socket.close()

    def close(self) -> None:
        self.closed = True
        self._socket.close()

    def send(self, message: bytes) -> None:
        try:
            self._socket.sendall(message)
        except OSError as error:
            raise _redis_error(error) from error

    def receive(self, count: int) -> list[Any]:
        """Wait for so many replies; raises the first error among them, when all are there."""
        replies: list[Any] = []
        try:
            while True:
                complete = iter(self._reader.gets, _INCOMPLETE)
                replies += islice(complete, count - len(replies))
                if len(replies) == count:
                    break
                data = self._socket.recv(_READ_BYTES)
                if not data:
                    raise ConnectionResetError("Redis closed the connection")
                self._reader.feed(data)
            if _silence.until:
                _silence.end()
        except (OSError, hiredis.ProtocolError) as error:
            raise _redis_error(error) from error
        if self._errors:
            first = self._errors[0]
            self._errors.clear()
            raise first
        return replies

    def _error(self, message: str) -> exceptions.ResponseError:
        """Make of an error what stands among the replies, and note it."""
        kind = exceptions.NoScriptError if message.startswith("NOSCRIPT") else None
        error = (kind or exceptions.ResponseError)(message)
        self._errors.append(error)
        return error


def _connect(server: dict[str, Any], *, timeout: float) -> socket.socket:
    if "path" in server:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(server["path"])
        return connection
    host = server.get("host", "localhost")
    connection = socket.create_connection((host, server.get("port", 6379)), timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if server.get("connection_class") is SSLConnection:
        return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
    return connection


def _limit(connection: socket.socket, seconds: float) -> None:
    """Let the kernel end what takes too long: Python would ask it twice, with poll, each time."""
    if isinstance(connection, ssl.SSLSocket):  # which reads several times for one answer
        connection.settimeout(seconds)
        return
    whole = int(seconds)
    limit = struct.pack("ll", whole, int((seconds - whole) * 1_000_000))
    connection.setblocking(True)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def _go_on_without_or_try() -> None:
    """Raise TimeoutError while Redis is silent, but for one caller now and then, who tries."""
    cache: dict[str, Any] = settings.CACHES["default"]
    if not _silence.has_turn(patience=cache["OPTIONS"]["SOCKET_TIMEOUT"]):
        raise exceptions.TimeoutError("Redis did not answer a moment ago")


def _redis_error(error: Exception) -> exceptions.RedisError:
    """Return what to raise; a silence is noted, and what ends it."""
    if isinstance(error, TimeoutError | BlockingIOError):
        _silence.begin()
        return exceptions.TimeoutError(f"Redis does not answer: {error}")
    _silence.end()
    return exceptions.ConnectionError(f"Redis: {error}")
