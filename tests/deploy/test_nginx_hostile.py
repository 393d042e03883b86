"""What strangers send to nginx: it takes nothing from others, and no pool reads it differently."""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.deploy import web_servers
from tests.deploy.nginx import TwoPools, needs_nginx, two_pools
from tests.deploy.proxy import CONFIGURATION, Proxy, in_front
from tests.deploy.upstream import Upstream, upstream
from tests.e2e.client import Client, User, eventually, sign_up

pytestmark = needs_nginx

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def pools(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[TwoPools]:
    """Return both pools behind nginx, on the servers and the database of these tests.

    Neither may have seen what was smuggled: all that they have seen is in their logs when they end.
    """
    with django_db_blocker.unblock():
        environment = web_servers.environment()
    with two_pools(tmp_path_factory.mktemp("pools"), environment) as running:
        yield running
    for log in (running.read_log, running.write_log):
        assert SMUGGLED_ROUTE not in log.read_text()


@pytest.fixture
def ada(pools: TwoPools, transactional_db: None) -> User:
    return sign_up(pools.url)


# --- answers that nginx can't take ---------------------------------------------------------------


@contextlib.contextmanager
def reading(asks: Callable[[], int]) -> Iterator[list[int]]:
    """Have two threads read until the end; give the list of all statuses."""
    statuses: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            statuses.append(asks())

    readers = [threading.Thread(target=read) for _ in range(2)]
    for each in readers:
        each.start()
    try:
        yield statuses
    finally:
        done.set()
        for each in readers:
            each.join()


def test_an_answer_that_nginx_can_not_take_takes_no_process_from_others(tmp_path):
    """The header of an answer may have 32 KiB; what is longer, nginx calls a failure."""
    with upstream() as first, upstream() as second:
        ports = [first.port, second.port]
        with in_front(tmp_path / "nginx", read=ports, write=ports) as proxy:
            asker = Client(proxy.url)
            with reading(lambda: Client(proxy.url).send("GET", "/auth/me").status) as statuses:
                for _ in range(12):
                    assert asker.send("GET", "/auth/x?header=40000").status == 502
                    assert asker.send("POST", "/auth/x?header=40000").status == 502
                    assert asker.send("POST", "/auth/x").status == 200
                    assert asker.send("GET", "/auth/x?header=30000").status == 200
            assert set(statuses) == {200}
            assert len(statuses) > 20


def test_long_queries_take_no_process_from_others(pools, ada, tmp_path):
    """Four a second, of those whose answers have the longest headers, to two processes a pool."""
    bars = 3_200 * "|"
    anybody = Client("")
    inputs = [
        (anybody, f"/admin/../auth/x?{bars}"),
        (anybody, f"/admin/?{bars}"),
        (anybody, f"/admin/x?{bars}"),
        (ada, f"/timeline/timeline?limit=1&unknown={bars}"),
        (ada, f"/timeline/user/{ada.id}?limit=1&unknown={bars}"),
    ]
    ada.tweet("One.")
    ada.tweet("Two.")
    read, write = [pools.read_port] * 2, [pools.write_port] * 2
    with in_front(tmp_path / "nginx", read=read, write=write) as proxy:
        anybody.base_url = ada.base_url = proxy.url

        def read_home() -> int:
            return Client(proxy.url, token=ada.token).send("GET", "/timeline/timeline").status

        with reading(read_home) as statuses:
            for client, target in 3 * inputs:
                assert client.send("GET", target).status < 500, target[:40]
                time.sleep(0.25)  # the rate is the input here
        assert set(statuses) == {200}


# --- what clients make nginx hold -----------------------------------------------------------------


@pytest.fixture
def answering() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


@pytest.fixture
def proxy(answering: Upstream, tmp_path: Path) -> Iterator[Proxy]:
    ports = [answering.port]
    with in_front(tmp_path / "nginx", read=ports, write=ports) as running:
        yield running


def memory(proxy: Proxy) -> int:
    """Return the bytes that nginx's processes hold, those that they share counted once."""
    main = psutil.Process(int((proxy.folder / "nginx.pid").read_text()))
    return sum(each.memory_full_info().pss for each in (main, *main.children()))


HEAD = b"POST /auth/token HTTP/1.1\r\nHost: a\r\n"
STALLS = {
    "within a body": HEAD + b"Content-Length: 65536\r\n\r\n" + 65_000 * b"x",
    "within a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFF\r\n" + 65_000 * b"x",
    "within a body of the admin": (HEAD + b"Content-Length: 65536\r\n\r\n").replace(
        b"/auth/token", b"/admin/login/"
    )
    + 65_000 * b"x",
    "within a header": HEAD + b"".join(b"X-%d: %s\r\n" % (n, 7_900 * b"x") for n in range(3)),
    "while it is answered": b"GET /auth/x?body=2000000 HTTP/1.1\r\nHost: a\r\n\r\n",
    "while the admin is answered": b"GET /admin/?body=2000000 HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("where", STALLS)
def test_clients_that_stall_leave_nginx_small(proxy, where):
    """500 connections of five addresses; its container has 256 MiB, for the kernel's share too."""
    ask(proxy, "127.0.1.1")
    before = memory(proxy)
    with contextlib.ExitStack() as stack:
        unsent = {stack.enter_context(slow(proxy, number)): STALLS[where] for number in range(500)}

        def settled() -> None:
            held = memory(proxy)
            for each, data in unsent.items():
                with contextlib.suppress(OSError):  # full, or refused
                    unsent[each] = data[each.send(data) :]
            time.sleep(0.5)
            assert memory(proxy) <= held

        eventually(settled)
        peak = memory(proxy)
        ask(proxy, "127.0.1.1")  # others are served meanwhile
    print(f"{where}: {before / MIB:.1f} -> {peak / MIB:.1f} MiB")
    assert peak < 80 * MIB


def slow(proxy: Proxy, number: int) -> socket.socket:
    """Connect as one of five addresses, and take little of what comes."""
    connected = socket.socket()
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connected.bind((f"127.0.0.{1 + number % 5}", 0))
    connected.connect(("127.0.0.1", proxy.port))
    connected.setblocking(False)
    return connected


def ask(proxy: Proxy, address: str) -> None:
    """Be served, as a client of this address."""
    where = ("127.0.0.1", proxy.port)
    with socket.create_connection(where, timeout=20, source_address=(address, 0)) as other:
        other.sendall(b"POST /auth/me HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
        assert other.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_one_address_sends_so_many_bodies_at_a_time(proxy):
    """The address's other requests are served, and so are bodies from other addresses."""
    most = int(re.search(r"limit_conn bodies_of_address (\d+);", CONFIGURATION.read_text())[1])
    with contextlib.ExitStack() as stack:
        # Some more than fit: a request that asks whether it is full may take one of the places.
        for number in range(most + 5):
            begun = stack.enter_context(slow(proxy, 0))
            begun.send(STALLS["within a body"][: 100 + number])

        def is_full() -> None:
            assert Client(proxy.url).send("POST", "/auth/me", body=b"{}").status == 429

        eventually(is_full)
        assert Client(proxy.url).send("GET", "/auth/me").status == 200
        assert Client(proxy.url).send("POST", "/auth/me").status == 200
        ask(proxy, "127.0.1.1")


@pytest.fixture
def hurried(answering: Upstream, tmp_path: Path) -> Iterator[Proxy]:
    """Return an nginx that gives up after a second what it gives up after 15."""
    ports = [answering.port]
    names = ("client_header_timeout", "client_body_timeout", "send_timeout")
    soon = {f"{name} 15s;": f"{name} 1s;" for name in names}
    with in_front(tmp_path / "nginx", read=ports, write=ports, more=soon) as running:
        yield running


def closes(connected: socket.socket, *, while_sending: bytes = b"") -> bool:
    """Wait until nginx closes, which it must do soon; send meanwhile."""
    deadline = time.monotonic() + 20
    connected.settimeout(0.1)
    while time.monotonic() < deadline:
        try:
            connected.sendall(while_sending)
            if not connected.recv(65536):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


@pytest.mark.parametrize("trickles", [b"", b"x"])
def test_a_header_that_does_not_end_is_given_up(hurried, trickles):
    with socket.create_connection(("127.0.0.1", hurried.port)) as connected:
        connected.sendall(b"GET /auth/me HTTP/1.1\r\nHost: a\r\nX: ")
        assert closes(connected, while_sending=trickles)


@pytest.mark.parametrize("where", ["within a body", "within a chunk"])
def test_a_body_that_does_not_end_is_given_up(hurried, where, answering):
    with socket.create_connection(("127.0.0.1", hurried.port)) as connected:
        connected.sendall(STALLS[where])
        assert closes(connected)
    assert not answering.received


# --- two servers that read a request differently --------------------------------------------------

# What is smuggled, if anything is: a pool that saw it would log its route.
SMUGGLED_ROUTE = "/tweet/id/"
SMUGGLED = b"GET /tweet/id/1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(SMUGGLED)
HOST = b"Host: localhost\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
# Line and header, or only header fields; what follows is SMUGGLED. And what comes of it.
CASES: dict[str, tuple[bytes, set[int]]] = {
    "a bare LF": (HOST + b"A: b\n" + LENGTH + b"\r\n", {200, 405}),
    "nothing but bare LF": ((HOST + LENGTH).replace(b"\r", b"") + b"\n", {200, 405}),
    "a bare CR": (HOST + b"A: b\rTransfer-Encoding: chunked\r\n" + LENGTH + b"\r\n", {400}),
    "two hosts": (HOST + b"Host: b\r\n" + LENGTH + b"\r\n", {400}),
    "no host": (LENGTH + b"\r\n", {400}),
    "a host with a path": (b"Host: localhost/x\r\n" + LENGTH + b"\r\n", {400}),
    "two lengths": (HOST + LENGTH + b"Content-Length: 0\r\n\r\n", {400}),
    "the same length twice": (HOST + LENGTH * 2 + b"\r\n", {400}),
    "a list of lengths": (HOST + b"Content-Length: 5, 5\r\n\r\n", {400}),
    "a signed length": (HOST + b"Content-Length: +5\r\n\r\n", {400}),
    "a length in hexadecimal": (HOST + b"Content-Length: 0x5\r\n\r\n", {400}),
    "a length and chunks": (HOST + LENGTH + CHUNKED + b"\r\n0\r\n\r\n", {400}),
    "chunks and a length": (HOST + CHUNKED + LENGTH + b"\r\n0\r\n\r\n", {400}),
    "chunks twice": (HOST + CHUNKED * 2 + b"\r\n0\r\n\r\n", {400}),
    "chunks, then another coding": (
        HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        {400, 501},
    ),
    "another coding": (HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", {501}),
    "a coding with a tab": (HOST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", {400, 501}),
    "a space before the colon": (
        HOST + b"Transfer-Encoding : chunked\r\n" + LENGTH + b"\r\n",
        {400},
    ),
    "a folded field": (HOST + b"A: b\r\n Transfer-Encoding: chunked\r\n" + LENGTH + b"\r\n", {400}),
    "a field without a name": (HOST + b": b\r\n" + LENGTH + b"\r\n", {400, 200, 405}),
    "a NUL in a field": (HOST + b"A: \0\r\n" + LENGTH + b"\r\n", {400}),
    "a length with an underscore": (HOST + b"Content_Length: 3\r\n" + LENGTH + b"\r\n", {200, 405}),
    "chunks with an underscore": (
        HOST + b"Transfer_Encoding: chunked\r\n" + LENGTH + b"\r\n",
        {200, 405},
    ),
    "HTTP/1.0 and chunks": (HOST + CHUNKED + b"\r\n0\r\n\r\n", {400, 200, 405}),
    "an upgrade": (
        HOST
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
        + LENGTH
        + b"\r\n",
        {200, 405},
    ),
    "Connection names the length": (
        HOST + b"Connection: Content-Length\r\n" + LENGTH + b"\r\n",
        {200, 405},
    ),
    "an expectation": (HOST + b"Expect: something\r\n" + LENGTH + b"\r\n", {417, 200, 405}),
}


def statuses(proxy: Proxy, request: bytes) -> list[int]:
    """Send bytes; return the statuses of all that comes back until nothing more does."""
    received = b""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=1.5) as sock:
        sock.sendall(request)
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while piece := sock.recv(65536):
                received += piece
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", received)]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", CASES)
def test_what_two_servers_could_read_differently(pools, method, name):
    """GET goes to Granian, POST to gunicorn. The path is one that both methods are answered at."""
    fields, expected = CASES[name]
    version = b"HTTP/1.0" if "HTTP/1.0" in name else b"HTTP/1.1"
    end = b"\n" if name == "nothing but bare LF" else b"\r\n"
    request = method.encode() + b" /auth/healthz " + version + end + fields + SMUGGLED
    seen = [status for status in statuses(pools.proxy, request) if status != 100]
    print(f"{method} {name}: {seen}")
    assert seen, "no answer"
    assert seen[0] in expected
    if LENGTH in fields:
        assert len(seen) == 1, "the body was taken for a request"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_header_of_a_client_is_part_of_the_path(pools, method):
    for header in ("SCRIPT_NAME", "Script-Name", "X-Forwarded-Prefix", "PATH_INFO"):
        answer = Client(pools.url).send(method, "/x/auth/me", headers={header: "/x"})
        assert answer.status == 404, header
