"""Redis without a client in between, for the hot paths: many commands, one round trip.

The connection is redis-py's: address, TLS, certificates, AUTH and options are those of REDIS_URL,
as for every client of this project. Commands and replies (RESP 2,
https://valkey.io/topics/protocol/) go past it: redis-py's pipeline takes some 15 µs for each
command, and its connection 0.6 µs for each reply, which would double what a delivery to 5,000 homes
takes; packed commands and hiredis take 0.5 and 0.1. Everything else goes through
`twitter.base.data.redis`. What both raise is redis.RedisError.
"""

import hashlib
import os
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any, Self

import hiredis
from django.conf import settings
from redis import exceptions
from redis.connection import ConnectionPool, parse_url

from twitter.base.data.silence import Silence

Argument = str | bytes | int

_READ_BYTES = 65_536
_INCOMPLETE = object()  # what hiredis returns while a reply is still to come
_local = threading.local()
_silence = Silence()

# The replication ID of the data that all other keys belong to (`master_replid` of INFO).
REPLICATION_KEY = "replication-id"
# Data that a Redis brings back after a restart, from a disk or as a replica that took over, may be
# older than what it had: homes without what was delivered since, users who are suspended by now.
# So the first process that connects drops all of it, before anything reads it. A server that starts
# and a replica that takes over choose a new replication ID, and replicas have that of their
# primary: so data is dropped once, however many processes see the change, and in whatever order
# (docs/adr/0037-data-is-known-by-its-replication-id.md).
_DROP_WHAT_IS_OLD = """
local info = redis.call('INFO', 'replication')
if not info:match('role:master') then return redis.error_reply('READONLY this is a replica') end
local now, known = info:match('master_replid:(%x+)'), redis.call('GET', KEYS[1])
if known == now then return 0 end
if known then redis.call('FLUSHDB', 'ASYNC') end
redis.call('SET', KEYS[1], now)
return known and 1 or 0
"""
# What a caller may want to tell apart; the others are ResponseError.
_ERRORS = {"NOSCRIPT": exceptions.NoScriptError, "READONLY": exceptions.ReadOnlyError}
# Another connection may be better: Redis was restarted, closes what is idle, or became a replica.
_WORTH_ANOTHER_CONNECTION = (exceptions.ConnectionError, exceptions.ReadOnlyError)


def pack(*arguments: Argument) -> bytes:
    """Return a command as it is sent: `pack("GET", "key")`."""
    packed: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type]  # any number of them
    return packed


def exchange(*commands: bytes) -> list[Any]:
    """Send packed commands in one write and return their replies: bytes, int, list or None.

    Raises redis.RedisError. When one command fails, the others have run all the same. When the
    connection is lost, or leads to a server that is a replica by now, the commands are sent once
    more. They may have run before: to run twice must do no harm.
    """
    message = b"".join(commands)
    try:
        return _exchange(message, len(commands))
    except _WORTH_ANOTHER_CONNECTION:
        return _exchange(message, len(commands))


def _exchange(message: bytes, commands: int) -> list[Any]:
    """Make a round trip: what a `Pipe` does for one message, without a `Pipe` for each."""
    if _silence.until:
        _go_on_without_or_try()
    connection = _connection("exchange")
    try:
        connection.send(message)
        return connection.receive(commands)
    except BaseException:
        # A late reply must not be taken for one to a later command.
        connection.close()
        raise


class Pipe:
    """Messages that are sent while Redis still works on earlier ones.

    A context manager; within it, all raises redis.RedisError. Replies come in the order of the
    messages. In the end, replies that are still to come are not waited for. A thread has one pipe
    at a time, on a connection of its own.
    """

    def __init__(self) -> None:
        self._expected: deque[int] = deque()

    def __enter__(self) -> Self:
        if _silence.until:
            _go_on_without_or_try()
        self._connection = _connection("pipe")
        if self._connection.is_taken:
            raise RuntimeError("this thread has such a pipe already")
        self._connection.is_taken = True
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.is_taken = False
        if self._expected:
            # A late reply must not be taken for one to a later command.
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
        """Return the script's reply, in one round trip; in two if Redis lacks the script.

        Raises redis.RedisError.
        """
        try:
            return exchange(self.by_digest(keys=keys, arguments=arguments))[0]
        except exceptions.NoScriptError:
            return exchange(self.packed(keys=keys, arguments=arguments))[0]

    def run_each(self, calls: Sequence[tuple[list[str], list[Argument]]]) -> list[Any]:
        """Run it for each of the calls, keys and arguments; return the replies, in one round trip.

        It takes two if Redis lacks the script. Raises redis.RedisError.
        """
        commands = [self.by_digest(keys=keys, arguments=arguments) for keys, arguments in calls]
        try:
            return exchange(*commands)
        except exceptions.NoScriptError:
            return exchange(self.loading, *commands)[1:]

    @property
    def loading(self) -> bytes:
        """The command that lets Redis know it."""
        return pack("SCRIPT", "LOAD", self._source)

    def by_digest(self, *, keys: list[str], arguments: list[Argument]) -> bytes:
        """Return the command that runs it where `loading` was sent before."""
        return pack("EVALSHA", self._digest, len(keys), *keys, *arguments)


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
    """A connection of redis-py's, and the replies on it. Raises redis.RedisError only."""

    def __init__(self, origin: tuple[int, str]) -> None:
        self.origin = origin
        self.closed = False
        self.is_taken = False
        self._errors: list[exceptions.ResponseError] = []
        self._reader = hiredis.Reader(replyError=self._error, notEnoughData=_INCOMPLETE)
        self._connection = _made(origin[1])
        try:
            self._connection.connect()
        except exceptions.RedisError as error:
            _note_silence(error)
            raise
        # redis-py's own parsers take the socket from there as well.
        self._socket = self._connection._sock  # noqa: SLF001
        _limit(self._socket, self._connection.socket_timeout)
        self._greet()

    def _greet(self) -> None:
        self.send(pack("EVAL", _DROP_WHAT_IS_OLD, 1, REPLICATION_KEY))
        try:
            self.receive(1)
        except exceptions.ResponseError:
            self.close()
            raise

    def close(self) -> None:
        self.closed = True
        self._connection.disconnect()

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
            errors, self._errors = self._errors, []
            if any(isinstance(error, exceptions.ReadOnlyError) for error in errors):
                self.close()
            raise errors[0]
        return replies

    def _error(self, message: str) -> exceptions.ResponseError:
        """Return the exception that stands for an error among the replies, and note it."""
        kind = _ERRORS.get(message.partition(" ")[0], exceptions.ResponseError)
        error = kind(message)
        self._errors.append(error)
        return error


def _made(url: str) -> Any:
    """Return a connection of redis-py's, not connected yet, for a URL and its options."""
    cache: dict[str, Any] = settings.CACHES["default"]
    options = cache["OPTIONS"]
    limits = {
        "socket_connect_timeout": options["SOCKET_CONNECT_TIMEOUT"],
        "socket_timeout": options["SOCKET_TIMEOUT"],
    }
    # `driver_info` would tell Redis the library's name, in two round trips.
    ours = {"protocol": 2, "decode_responses": False, "driver_info": None}
    pool = ConnectionPool(**{**limits, **parse_url(url), **ours})  # type: ignore[no-untyped-call]
    return pool.make_connection()


def _limit(connection: socket.socket, seconds: float) -> None:
    """Let the kernel end a call that takes too long: Python would poll before each."""
    if isinstance(connection, ssl.SSLSocket):  # which reads several times for one answer
        connection.settimeout(seconds)
        return
    whole = int(seconds)
    limit = struct.pack("ll", whole, int((seconds - whole) * 1_000_000))
    connection.setblocking(True)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def _go_on_without_or_try() -> None:
    """Raise TimeoutError while Redis is silent; but now and then let one caller try."""
    cache: dict[str, Any] = settings.CACHES["default"]
    if not _silence.has_turn(patience=cache["OPTIONS"]["SOCKET_TIMEOUT"]):
        raise exceptions.TimeoutError("Redis did not answer a moment ago")


def _redis_error(error: Exception) -> exceptions.RedisError:
    """Return the error to raise. Note whether it was a silence, or an answer that ends one."""
    told: exceptions.RedisError = (
        exceptions.TimeoutError(f"Redis does not answer: {error}")
        if isinstance(error, TimeoutError | BlockingIOError)
        else exceptions.ConnectionError(f"Redis: {error}")
    )
    _note_silence(told)
    return told


def _note_silence(error: exceptions.RedisError) -> None:
    if isinstance(error, exceptions.TimeoutError):
        _silence.begin()
    else:
        _silence.end()
