"""The web worker in a real gunicorn, over real sockets."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.local.ports import free_port
from tests.deploy.stack import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs epoll")

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Answer:
    """One answer, read from a socket."""

    def __init__(self, file: Any, *, method: str = "GET") -> None:
        line = file.readline()
        if not line:
            raise EOFError
        self.status = int(line.split()[1])
        self.headers = {}
        while (field := file.readline().rstrip(b"\r\n")) != b"":
            name, _, value = field.decode().partition(": ")
            self.headers[name.lower()] = value
        if method == "HEAD" or self.status in {100, 204, 304}:
            self.body = b""
        elif "chunked" in self.headers.get("transfer-encoding", ""):
            self.body = b""
            while size := int(file.readline() or b"error", 16):
                self.body += file.read(size)
                assert file.readline() == b"\r\n"
            assert file.readline() == b"\r\n"
        elif "content-length" in self.headers:
            self.body = file.read(int(self.headers["content-length"]))
        else:
            self.body = file.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
        self.process = process
        self.port = port
        self.folder = folder

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def ask(self, request: bytes) -> Answer:
        """Send and read the first answer, on a connection of its own."""
        with self.connect() as sock, sock.makefile("rb") as file:
            sock.sendall(request)
            return Answer(file)

    def closes(self, request: bytes) -> list[int]:
        """Send; return the status of each answer until the server closes."""
        statuses = []
        with self.connect() as sock, sock.makefile("rb") as file:
            sock.sendall(request)
            with contextlib.suppress(EOFError):
                while True:
                    statuses.append(Answer(file).status)
        return statuses

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def log(self) -> str:
        return (self.folder / "log").read_text()


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    port = free_port()
    environment = {
        name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"
    }
    environment |= {"CLOSED": str(folder / "closed"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"]
    command += ["--worker-class", "tests.deploy.webapp.HurriedWorker", "--no-control-socket"]
    command += ["--keep-alive", "2", "--access-logfile", "-", *options, "tests.deploy.webapp"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    server = Server(process, port, folder)
    try:
        wait_for(lambda: answers(server))
        yield server
    finally:
        process.kill() if process.poll() is not None else process.terminate()
        process.wait(timeout=60)


def answers(server: Server) -> bool:
    assert server.process.poll() is None, server.log()
    with contextlib.suppress(OSError, EOFError):
        return server.ask(LAST).status == 200
    return False


def wait_for(condition: Callable[[], Any], *, seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One process with four threads, which all tests leave as they found it."""
    with serving(tmp_path_factory.mktemp("web"), "--threads", "4") as server:
        pid = server.ask(LAST).json["pid"]
        yield server
        last = server.ask(LAST).json
        assert last["pid"] == pid, "the worker was replaced"
        assert last["threads"] == 5, "a thread has died"


# --- connections ---------------------------------------------------------------------------------
def test_a_connection_serves_many_requests_and_closes_when_idle(server: Server) -> None:
    with server.connect() as sock, sock.makefile("rb") as file:
        for _ in range(3):
            sock.sendall(GET)
            answer = Answer(file)
            assert (answer.status, answer.headers["connection"]) == (200, "keep-alive")
        begin = time.monotonic()
        assert file.read() == b""
        assert 1.5 < time.monotonic() - begin < 5


@pytest.mark.parametrize(
    ("version", "field", "connection"),
    [
        (b"1.1", b"", "keep-alive"),
        (b"1.1", b"Connection: close\r\n", "close"),
        (b"1.1", b"Connection: keep-alive, Close\r\n", "close"),
        (b"1.0", b"", "close"),
        (b"1.0", b"Connection: Keep-Alive\r\n", "keep-alive"),
    ],
)
def test_who_wants_a_connection_to_close(
    server: Server, version: bytes, field: bytes, connection: str
) -> None:
    with server.connect() as sock, sock.makefile("rb") as file:
        # Not "/", whose length is not announced: that is what ends a connection with HTTP/1.0.
        sock.sendall(b"GET /length?5 HTTP/" + version + b"\r\nHost: a\r\n" + field + b"\r\n")
        assert Answer(file).headers["connection"] == connection
        sock.settimeout(1)
        if connection == "close":
            assert file.read() == b""
        else:
            with pytest.raises(TimeoutError):
                file.read()


def test_requests_sent_together_are_answered_in_order(server: Server) -> None:
    with server.connect() as sock, sock.makefile("rb") as file:
        post = b"POST /?%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
        sock.sendall(b"".join(post % number for number in range(50)) + LAST)
        answers = [Answer(file).json for _ in range(51)]
        assert file.read() == b""
    assert [answer["QUERY_STRING"] for answer in answers[:50]] == [str(n) for n in range(50)]
    assert {answer["body"] for answer in answers[:50]} == {"abc"}


def test_after_a_last_request_nothing_is_served(server: Server) -> None:
    assert server.closes(LAST + GET) == [200]


def test_a_request_may_arrive_byte_by_byte(server: Server) -> None:
    request = b"\r\nPOST /x?a=b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody" + GET
    with server.connect() as sock, sock.makefile("rb") as file:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request:
            sock.sendall(bytes([byte]))
        first, second = Answer(file).json, Answer(file).json
    assert (first["PATH_INFO"], first["QUERY_STRING"], first["body"]) == ("/x", "a=b", "body")
    assert second["REQUEST_METHOD"] == "GET"


@pytest.mark.parametrize(
    "begin", [b"GE", GET[:-2], b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"]
)
def test_a_request_that_does_not_end_holds_no_thread_and_is_given_up(
    server: Server, begin: bytes
) -> None:
    with contextlib.ExitStack() as stack:
        slow = []
        for _ in range(8):  # each sends at once: who is silent for a second is closed unanswered
            slow.append(stack.enter_context(server.connect()))
            slow[-1].sendall(begin)
        assert server.ask(GET).status == 200
        answer = Answer(stack.enter_context(slow[0].makefile("rb")))
    assert (answer.status, answer.headers["content-type"]) == (408, "application/problem+json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_trickling_does_not_prolong_the_time_for_a_request(server: Server) -> None:
    with server.connect() as sock:
        started = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - started < 15:
                sock.sendall(b"G")
                sock.settimeout(0.05)
                with contextlib.suppress(TimeoutError):
                    if not sock.recv(1000):
                        break
        assert time.monotonic() - started < 10


def test_readers_that_read_nothing_hold_no_thread(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            sock = stack.enter_context(server.connect())
            sock.sendall(b"GET /big?4000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.3)
        assert server.ask(GET).status == 200


def test_an_endless_answer_that_nobody_reads_is_given_up(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            sock = stack.enter_context(server.connect())
            sock.sendall(b"GET /endless?2000 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wait_for(lambda: server.ask(GET).status == 200, seconds=9)


def test_a_slow_reader_gets_all_of_a_big_answer(server: Server) -> None:
    with server.connect() as sock, sock.makefile("rb") as file:
        sock.sendall(b"GET /big?9000000 HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        time.sleep(0.5)
        assert Answer(file).body == b"x" * 9_000_000
        assert Answer(file).status == 200


def test_clients_that_leave_do_no_harm(server: Server) -> None:
    for request in (b"G", GET[:-1], GET, b"GET /endless?500 HTTP/1.1\r\nHost: a\r\n\r\n"):
        for _ in range(5):
            with server.connect() as sock:
                sock.sendall(request)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert server.ask(GET).status == 200


# --- requests ------------------------------------------------------------------------------------
def test_a_client_that_expects_100_gets_it_before_it_sends(server: Server) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    with server.connect() as sock, sock.makefile("rb") as file:
        sock.sendall(head % 4)
        assert Answer(file).status == 100
        sock.sendall(b"body")
        assert Answer(file).json["body"] == "body"
        sock.sendall(head % 4 + b"body")
        assert Answer(file).json["body"] == "body"
        sock.sendall(head % 100_000_000)
        assert Answer(file).status == 413


def test_a_body_beyond_the_limit_is_refused_unread(server: Server) -> None:
    with server.connect() as sock, sock.makefile("rb") as file:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 262145\r\n\r\n" + b"x" * 9999)
        answer = Answer(file)
        assert (answer.status, answer.headers["content-type"]) == (413, "application/problem+json")
        assert answer.json["status"] == 413
        assert file.read() == b""
    most = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 262144\r\n\r\n" + b"x" * 262144
    assert len(server.ask(most).json["body"]) == 262144


def test_a_body_without_length_is_refused_with_411(server: Server) -> None:
    request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    assert server.closes(request + GET) == [411]


def test_the_environ(server: Server) -> None:
    seen = server.ask(
        b"GET /%c3%a4%ff%zz?q=%20 HTTP/1.1\r\nHost: a:1\r\nX-Two: 1\r\nX-Two: 2\r\n"
        b"X_Forwarded_For: 6.6.6.6\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n\r\n"
    ).json
    assert seen["PATH_INFO"].encode("latin-1") == b"/\xc3\xa4\xff%zz"
    assert (seen["QUERY_STRING"], seen["HTTP_HOST"], seen["HTTP_X_TWO"]) == ("q=%20", "a:1", "1,2")
    assert seen["HTTP_X_FORWARDED_FOR"] == "1.1.1.1"
    assert seen["wsgi.url_scheme"] == "https", "from 127.0.0.1, which forwarded_allow_ips trusts"
    assert (seen["REMOTE_ADDR"], seen["SERVER_PORT"]) == ("127.0.0.1", str(server.port))


def test_a_proxy_that_is_not_trusted_does_not_set_the_scheme(tmp_path: Path) -> None:
    with serving(tmp_path, "--forwarded-allow-ips", "192.0.2.1") as server:
        request = GET[:-2] + b"X-Forwarded-Proto: https\r\n\r\n"
        assert server.ask(request).json["wsgi.url_scheme"] == "http"


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_bytes_arrive(server: Server, data: st.DataObject) -> None:
    """Each is an answer of 4xx, of 200 when it still is a request, or a closed connection."""
    request = bytearray(
        b"POST /a%20b?c HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX: y\r\nConnection: close"
        b"\r\n\r\nabc"
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(request)))
        new = data.draw(
            st.binary(max_size=6) | st.sampled_from([b"\r\n", b"\n", b"\0", b":", b" "])
        )
        request[at : at + data.draw(st.integers(0, 4))] = new
    with server.connect() as sock, sock.makefile("rb") as file:
        sock.sendall(request)
        sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                status = Answer(file).status
                assert status == 200 or 400 <= status < 500, bytes(request)


# --- answers -------------------------------------------------------------------------------------
def test_head_has_no_body_and_the_connection_goes_on(server: Server) -> None:
    with server.connect() as sock, sock.makefile("rb") as file:
        sock.sendall(b"HEAD /length?5 HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        head = Answer(file, method="HEAD")
        assert (head.headers["content-length"], head.headers["connection"]) == ("5", "keep-alive")
        assert Answer(file).status == 200


def test_an_answer_in_blocks_is_chunked_and_closed(server: Server) -> None:
    closed = server.folder / "closed"
    closed.touch()
    before = closed.read_text().count("closed")
    answer = server.ask(b"GET /blocks HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (answer.headers["transfer-encoding"], answer.body) == ("chunked", b"onetwo")
    wait_for(lambda: closed.read_text().count("closed") == before + 1)
    with server.connect() as sock:
        sock.sendall(b"GET /blocks HTTP/1.0\r\n\r\n")
        with sock.makefile("rb") as file:
            assert file.read().endswith(b"\r\n\r\nonetwo"), "HTTP/1.0 knows no chunks"


def test_a_file_and_an_answer_without_body(server: Server) -> None:
    with server.connect() as sock, sock.makefile("rb") as file:
        sock.sendall(b"GET /file HTTP/1.1\r\nHost: a\r\n\r\nGET /empty HTTP/1.1\r\nHost: a\r\n\r\n")
        assert Answer(file).body == b"f" * 20_000
        assert Answer(file).status == 204


@pytest.mark.parametrize("path", [b"/raise", b"/exit", b"/silent"])
def test_an_application_that_fails_is_a_500_and_a_line_in_the_log(
    server: Server, path: bytes
) -> None:
    logged = server.log().count("Error handling a request")
    with server.connect() as sock, sock.makefile("rb") as file:
        sock.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        answer = Answer(file)
        assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
        assert file.read() == b""
    assert server.log().count("Error handling a request") == logged + 1


def test_an_answer_that_breaks_off_is_cut_off(server: Server) -> None:
    with server.connect() as sock, sock.makefile("rb") as file:
        sock.sendall(b"GET /breaks HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        received = b""
        with contextlib.suppress(ConnectionError):
            received = file.read()
    assert received.endswith((b"", b"3\r\none\r\n"))
    assert b"0\r\n\r\n" not in received
    assert received.count(b"HTTP/1.1") <= 1


def test_an_answer_shorter_than_announced_ends_the_connection(server: Server) -> None:
    with server.connect() as sock, sock.makefile("rb") as file:
        sock.sendall(b"GET /length?9 HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        assert file.read().endswith(b"\r\n\r\nshort")


def test_requests_are_in_the_access_log(server: Server) -> None:
    server.ask(b"GET /logged?1 HTTP/1.1\r\nHost: a\r\n\r\n")
    wait_for(lambda: '"GET /logged?1 HTTP/1.1" 200' in server.log())


# --- the process ---------------------------------------------------------------------------------
def test_term_lets_requests_end_and_closes_idle_connections(tmp_path: Path) -> None:
    with serving(tmp_path, "--threads", "2") as server, contextlib.ExitStack() as stack:
        idle, busy, late = (stack.enter_context(server.connect()) for _ in range(3))
        idle_file, busy_file, late_file = (
            stack.enter_context(sock.makefile("rb")) for sock in (idle, busy, late)
        )
        idle.sendall(GET)
        Answer(idle_file)
        late.sendall(GET[:10])
        busy.sendall(b"GET /sleep?1500 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.3)
        server.process.terminate()
        begin = time.monotonic()
        time.sleep(0.3)
        late.sendall(GET[10:])
        assert Answer(late_file).headers["connection"] == "close"
        assert idle_file.read() == b""
        assert time.monotonic() - begin < 1.4
        answer = Answer(busy_file)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        busy.close()
        late.close()
        assert server.process.wait(timeout=5) == 0


def test_a_request_that_outlasts_the_grace_is_cut_off(tmp_path: Path) -> None:
    with serving(tmp_path, "--graceful-timeout", "1") as server, server.connect() as sock:
        sock.sendall(b"GET /sleep?60000 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.3)
        server.process.terminate()
        assert server.process.wait(timeout=5) == 0


def test_quit_ends_at_once(tmp_path: Path) -> None:
    with serving(tmp_path) as server, server.connect() as sock:
        sock.sendall(b"GET /sleep?60000 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.3)
        server.process.send_signal(signal.SIGQUIT)
        assert server.process.wait(timeout=5) == 0


def test_usr1_reopens_logs_and_costs_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        (worker,) = server.workers()
        worker.send_signal(signal.SIGUSR1)
        assert server.ask(GET).status == 200
        spent = sum(worker.cpu_times()[:2])
        time.sleep(1)
        assert sum(worker.cpu_times()[:2]) - spent < 0.5
        assert server.ask(GET).json["pid"] == worker.pid


def test_a_worker_is_replaced_after_max_requests(tmp_path: Path) -> None:
    with serving(tmp_path, "--max-requests", "5") as server:
        pids = set()
        for _ in range(12):
            pids.add(wait_for(lambda: server.ask(LAST)).json["pid"])
        assert len(pids) > 1


def test_a_process_that_hangs_is_replaced(tmp_path: Path) -> None:
    with serving(tmp_path, "--timeout", "2") as server:
        (worker,) = server.workers()
        worker.suspend()
        wait_for(lambda: worker not in server.workers() and server.workers(), seconds=20)
        assert wait_for(lambda: answers(server))


def test_a_slow_view_is_not_a_hanging_process(tmp_path: Path) -> None:
    with serving(tmp_path, "--timeout", "2", "--threads", "1") as server:
        assert server.ask(b"GET /sleep?4000 HTTP/1.1\r\nHost: a\r\n\r\n").status == 200


def test_beyond_worker_connections_others_wait(tmp_path: Path) -> None:
    options = ("--worker-connections", "3", "--threads", "2")
    with serving(tmp_path, *options) as server, contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(server.connect()).sendall(b"G")
        begin = time.monotonic()
        assert server.ask(GET).status == 200
        assert time.monotonic() - begin > 0.4, "only after another was given up"


@pytest.mark.parametrize("options", [("--certfile", "README.md"), ("--proxy-protocol", "v1")])
def test_settings_that_it_does_not_honour_are_refused(options: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{free_port()}", *options]
    done = subprocess.run(
        [*command, "--worker-class", "twitter.webworker.WebWorker", "tests.deploy.webapp"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode != 0
    assert "WebWorker speaks" in done.stderr
