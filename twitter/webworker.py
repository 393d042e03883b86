"""The gunicorn worker that serves the web: threads that wait for requests on one epoll.

gunicorn's own workers parse in Python and hand each request from thread to thread, which costs more
than a warm read. Here a thread waits, reads, serves and waits again. It gets to a request only when
all of it has arrived, and what a client doesn't take at once is sent later, so slow clients hold no
thread. Processes, signals, the environ, the answer's framing and logs are gunicorn's.
docs/adr/0011-own-web-worker.md has the figures.

A connection belongs to whoever holds its `claim`: a thread that advances it, or the main thread
that accepts it, or closes it for being late. Only its owner lets epoll report it again, once, so
that no report is lost and none concerns the next connection with the same number.
"""

import contextlib
import io
import itertools
import os
import select
import socket
import threading
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from gunicorn.errors import ConfigError
from gunicorn.http import wsgi
from gunicorn.util import http_date
from gunicorn.workers.base import Worker

from twitter.lib import logging, metrics
from twitter.lib.observing import REQUEST_ID, new_id
from twitter.webrequest import Refused, Request, take_head, trusted_headers

RECEIVE_BYTES = 64 * 1024
# A thread waits for the client only when so much of an answer is unsent. Only an export is so long,
# and few of those are sent at once.
UNSENT_BYTES = 4 * 1024 * 1024
# How often late connections are looked for, and the heartbeat is shown.
TICK_SECONDS = 1.0


class Gone(Exception):
    """The client has closed its connection, or does not take its answer."""


class Connection:
    """A client's connection. For gunicorn it is the socket that an answer is written to."""

    def __init__(self, sock: socket.socket, *, cfg: Any, peer: Any, server: Any) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.fd = sock.fileno()
        self.peer = peer
        self.server = server
        self.trusted = trusted_headers(cfg=cfg, peer=peer)
        self.claim = threading.Lock()
        self.events = select.EPOLLIN  # what it waits for
        self.deadline = 0.0  # of the monotonic clock
        self.received = bytearray()
        self.request: Request | None = None  # whose head has arrived
        self.receiving = True  # a request must arrive before the deadline
        self.unsent = bytearray()
        self.begun = False  # some of the answer has left
        self.closing = False  # when all is sent
        self.lingering = False

    def is_idle(self) -> bool:
        """Return whether no request has begun to arrive and no answer is on its way."""
        return not (self.received or self.request or self.unsent)

    def is_ready(self, events: int, *, seconds: float = 0) -> bool:
        """Wait until epoll would report one of the events; return whether it would."""
        poll = select.poll()  # not select(), which knows no number from 1024 on
        poll.register(self.fd, events)
        return bool(poll.poll(seconds * 1000))

    def receive(self) -> bytes:
        """Return what is there, b"" when that is nothing; raises Gone."""
        try:
            data = self.sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise Gone(error) from error
        if not data:
            raise Gone("closed")
        return data

    def sendall(self, data: bytes) -> None:
        """Keep it until the next flush, so that header and body leave together."""
        self.unsent += data

    def flush(self, *, seconds: float) -> None:
        """Send what the client takes now.

        Waits for the client only when too much has piled up. Raises Gone, also when it then takes
        nothing for so many seconds.
        """
        if not self.unsent:
            return
        try:
            with contextlib.suppress(BlockingIOError):
                del self.unsent[: self.sock.send(self.unsent)]
                self.begun = True
            while len(self.unsent) > UNSENT_BYTES:
                if not self.is_ready(select.EPOLLOUT, seconds=seconds):
                    raise Gone("takes nothing")
                del self.unsent[: self.sock.send(self.unsent)]
        except OSError as error:
            raise Gone(error) from error

    def half_close(self) -> None:
        """Tell the client that nothing more will come; raises Gone."""
        self.lingering = True
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise Gone(error) from error


class WebWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """`worker_class` for config/gunicorn.conf.py."""

    alive: bool
    # All of a request must have arrived so long after its first byte.
    request_seconds = 15.0
    # A client must take some of its answer so often.
    send_seconds = 15.0
    # RFC 9112, 9.6: so long it may take to read the last answer, and to close.
    linger_seconds = 2.0

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:  # noqa: ARG003 - gunicorn's
        """Refuse settings that this worker does not honour; raises ConfigError."""
        if cfg.is_ssl:
            raise ConfigError("WebWorker speaks no TLS: leave certfile and keyfile to a proxy.")
        if cfg.proxy_protocol != "off" or cfg.protocol != "http":
            raise ConfigError("WebWorker speaks HTTP only: no proxy_protocol, protocol http.")

    def run(self) -> None:
        """Serve until told to stop: accept, show the heartbeat, close who is late."""
        self.epoll = select.epoll()
        self.connections: dict[int, Connection] = {}
        self.numbers = itertools.count(1)
        # gunicorn's Config takes 0.7 µs to look a setting up, and a request needs a dozen.
        self.set = SimpleNamespace(**{name: one.get() for name, one in self.cfg.settings.items()})
        # Views have a limit of their own; this one protects memory.
        self.body_bytes = 4 * settings.MAX_BODY_BYTES
        servers = {listener.fileno(): listener.getsockname() for listener in self.sockets}
        for listener in self.sockets:
            listener.setblocking(False)
        for _ in range(self.cfg.threads):
            threading.Thread(target=self._work, daemon=True).start()
        tick = 0.0
        while self.alive and self.ppid == os.getppid():
            if time.monotonic() >= tick:
                self.notify()
                self._close_late()
                metrics.web_connections(len(self.connections))
                tick = time.monotonic() + TICK_SECONDS
            room = len(self.connections) < self.cfg.worker_connections
            waited = self.wait_fds if room else [self.PIPE[0]]
            for ready in select.select(waited, [], [], TICK_SECONDS if room else 0.05)[0]:
                if ready == self.PIPE[0]:
                    os.read(ready, 1024)  # a signal, whose handler has run
                else:
                    self._accept(ready, servers[ready.fileno()])
        self.alive = False
        self._stop()

    def _accept(self, listener: Any, server: Any) -> None:
        try:
            sock, peer = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # another process was faster, or the client has gone
        except OSError:
            self.log.exception("Can't accept a connection")
            time.sleep(0.1)  # it may be out of file descriptors for a while
            return
        connection = Connection(sock, cfg=self.cfg, peer=peer, server=server)
        connection.deadline = time.monotonic() + self.request_seconds
        with connection.claim:
            self.connections[connection.fd] = connection
            self.epoll.register(connection.fd, connection.events | select.EPOLLONESHOT)

    def _stop(self) -> None:
        """Let the requests under way end, and those that clients are just sending."""
        for listener in self.sockets:
            listener.close()
        now = time.monotonic()
        end, linger = now + self.cfg.graceful_timeout, now + self.linger_seconds
        while self.connections and time.monotonic() < end:
            self.notify()
            for connection in list(self.connections.values()):
                if connection.is_idle():
                    connection.deadline = min(connection.deadline, linger)
            self._close_late()
            time.sleep(0.05)

    def _close_late(self) -> None:
        now = time.monotonic()
        for connection in list(self.connections.values()):
            if connection.deadline <= now and connection.claim.acquire(blocking=False):
                try:
                    self._close_if_late(connection, now)
                finally:
                    connection.claim.release()

    def _close_if_late(self, connection: Connection, now: float) -> None:
        if connection.deadline > now or not self._is_open(connection):
            return  # a thread was faster
        if not connection.lingering and connection.is_ready(connection.events):
            return  # the threads are late, and not the client
        if connection.receiving and not connection.is_idle() and not connection.unsent:
            connection.sendall(_problem(_too_slow()))
            with contextlib.suppress(Gone):
                connection.flush(seconds=0)
        self._close(connection)

    def _is_open(self, connection: Connection) -> bool:
        return self.connections.get(connection.fd) is connection

    def _close(self, connection: Connection) -> None:
        del self.connections[connection.fd]
        connection.sock.close()

    def _work(self) -> None:
        while True:
            try:
                for fd, _ in self.epoll.poll(maxevents=1):
                    if connection := self.connections.get(fd):
                        # Its last owner may be about to let it go.
                        with connection.claim:
                            if self._is_open(connection):
                                self._turn(connection)
            except BaseException:  # no thread may ever end
                self.log.exception("Error in a web thread")

    def _turn(self, connection: Connection) -> None:
        stays = False
        try:
            self._advance(connection)
            self._plan(connection)
            self.epoll.modify(connection.fd, connection.events | select.EPOLLONESHOT)
            stays = True
        except Gone as gone:
            self.log.debug("Connection: %s", gone)
        finally:
            if not stays:
                self._close(connection)

    def _advance(self, connection: Connection) -> None:
        """Do what can be done without waiting for the client; raises Gone."""
        if connection.lingering:
            connection.receive()
            return
        if connection.unsent:
            connection.flush(seconds=self.send_seconds)
        if connection.unsent or connection.closing:
            return
        try:
            if self._receive(connection):
                self._serve(connection)
        except Refused as refused:
            self._refuse(connection, refused)

    def _plan(self, connection: Connection) -> None:
        """Decide what the connection waits for, and until when; raises Gone."""
        now = time.monotonic()
        connection.events = select.EPOLLIN
        if connection.lingering:
            return
        if connection.unsent:
            connection.events = select.EPOLLOUT
            connection.deadline = now + self.send_seconds
        elif connection.closing:
            connection.half_close()
            connection.deadline = now + self.linger_seconds
        elif connection.received and not connection.receiving:
            connection.events = select.EPOLLOUT  # the next request is here: it queues like others
            connection.deadline = now + self.send_seconds
        elif not connection.receiving:
            connection.deadline = now + self.set.keepalive

    def _receive(self, connection: Connection) -> bool:
        """Return whether a request is whole; raises Refused, Gone."""
        if connection.received and not connection.receiving and self._whole(connection):
            return True
        received = connection.receive()
        connection.received += received
        if connection.received and self._whole(connection):
            return True
        now = time.monotonic()
        if not connection.receiving and not connection.is_idle():
            connection.receiving = True
            connection.deadline = now + self.request_seconds
        elif connection.deadline <= now and 0 < len(received) < RECEIVE_BYTES:
            raise _too_slow()  # that was all that is there; who trickles must not be waited for
        return False

    def _whole(self, connection: Connection) -> bool:
        request = connection.request
        if request is None:
            head = take_head(connection.received, cfg=self.set)
            if head is None:
                return False
            request = Request(head, cfg=self.set, peer=connection.peer, trusted=connection.trusted)
            if request.length > self.body_bytes:
                raise Refused(413, f"The body may have at most {self.body_bytes} bytes.")
            connection.request = request
        expects = request.take_expectation()
        if len(connection.received) < request.length:
            if expects:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                connection.flush(seconds=self.send_seconds)
            return False
        if request.length:
            request.body = io.BytesIO(connection.received[: request.length])
            del connection.received[: request.length]
        return True

    def _serve(self, connection: Connection) -> None:
        request = connection.request
        connection.request, connection.receiving, connection.begun = None, False, False
        try:
            self._answer(connection, request)
        except Gone:
            raise
        except BaseException as error:  # SystemExit too: it is the application's
            self.log.exception("Error handling a request")
            if connection.begun:
                raise Gone("its answer ended in an error") from error
            connection.unsent.clear()
            self._refuse(connection, Refused(500, "Something went wrong on our side."))
        finally:
            logging.end()

    def _answer(self, connection: Connection, request: Any) -> None:
        """Run the application, as gunicorn's workers do, and send what it answers."""
        started = time.monotonic()
        self.set.pre_request(self, request)
        response, environ = wsgi.create(
            request, connection, connection.peer, connection.server, self.set
        )
        environ["wsgi.multithread"] = True
        self._count()
        blocks = self.wsgi(environ, response.start_response)
        try:
            full = len(self.connections) >= self.set.worker_connections
            if full or not self.alive or not self.set.keepalive:
                response.force_close()
            for block in blocks:
                response.write(block)
                connection.flush(seconds=self.send_seconds)  # PEP 3333: no block may be held back
            response.close()
            connection.flush(seconds=self.send_seconds)
        finally:
            if hasattr(blocks, "close"):
                blocks.close()
            seconds = timedelta(seconds=time.monotonic() - started)
            self.log.access(response, request, environ, seconds)
            self.set.post_request(self, request, environ, response)
        # Of an answer that is shorter than announced, the client would wait for the rest.
        short = response.response_length is not None and response.sent < response.response_length
        connection.closing = response.should_close() or (short and request.method != "HEAD")

    def _count(self) -> None:
        if next(self.numbers) >= self.max_requests and self.alive:
            self.log.info("The worker ends after max_requests.")
            self.alive = False
            os.write(self.PIPE[1], b"1")

    def _refuse(self, connection: Connection, refused: Refused) -> None:
        self.log.debug("Refused: %s", refused)
        metrics.malformed(refused.status)
        connection.closing = True
        connection.sendall(_problem(refused))
        connection.flush(seconds=self.send_seconds)


def _too_slow() -> Refused:
    return Refused(408, "The request did not arrive in time.")


def _problem(refused: Refused) -> bytes:
    # gunicorn's main process imports this module as well, and has no Django settings.
    from twitter.lib import errors, headers  # noqa: PLC0415

    answer = headers.without_request(errors.plain_problem(refused.status, refused.detail))
    answer[REQUEST_ID] = logging.known().get("request_id") or new_id()
    fields = "".join(f"{name}: {value}\r\n" for name, value in answer.items())
    head = (
        f"HTTP/1.1 {refused.status} {answer.reason_phrase}\r\n"
        f"Date: {http_date()}\r\nConnection: close\r\n{fields}\r\n"
    )
    return head.encode() + answer.content
