"""A server that stands where nginx expects a pool or a service, and tells what it got."""

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    method: str
    path: str
    headers: Message
    body: bytes


class Upstream(ThreadingHTTPServer):
    """Answers everything alike, notes what it got, and counts connections.

    `status` None: it reads a request, and closes the connection without an answer. A query such as
    `?header=40000` has a header of so many bytes added, `?body=1000000` makes the body so long.
    """

    daemon_threads = True
    request_queue_size = 500

    def __init__(self, *, status: int | None = 200, headers: Mapping[str, str] | None = None):
        self.status = status
        self.headers = headers or {}
        self.received: list[Received] = []
        self.connections = 0
        self.go_on = threading.Event()  # answers wait for it
        self.go_on.set()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Count a connection."""
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when nginx closes a connection."""

    def methods(self) -> list[str]:
        """Return the methods that it got."""
        return [request.method for request in self.received]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.received.append(Received(self.command, self.path, self.headers, body))
        self.server.go_on.wait(30)
        if self.server.status is None:
            self.close_connection = True
            return
        query = dict(parse_qsl(urlsplit(self.path).query))
        content = json.dumps({"data": self.command}).encode().ljust(int(query.get("body", 0)))
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        if "header" in query:
            self.send_header("X-Long", "x" * int(query["header"]))
        if self.server.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD" and self.server.status != 204:
            self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


for method in (*("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"), "TRACE", "BREW"):
    setattr(_Handler, f"do_{method}", _Handler.answer)


@contextlib.contextmanager
def upstream(**options: Any) -> Iterator[Upstream]:
    """Run one."""
    with Upstream(**options) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.go_on.set()
            server.shutdown()
            thread.join()
