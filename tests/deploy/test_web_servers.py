"""The service under gunicorn and under Granian: what each does for a request, and at its end."""

import contextlib
import re
import resource
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction

from accounts.models import Account
from tests.deploy import web_servers
from tests.deploy.web_servers import COMMANDS, WebServer, metric, serving, start_failure
from tests.e2e.client import Client, User, eventually, sign_up

pytestmark = pytest.mark.django_db(transaction=True)

both = pytest.mark.parametrize("name", COMMANDS)
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module", params=COMMANDS)
def server(request, django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[WebServer]:
    """Return each server in turn; all tests leave it as they found it."""
    with django_db_blocker.unblock():
        folder = tmp_path_factory.mktemp(request.param)
        with serving(request.param, folder, WEB_STATEMENT_SECONDS="1") as running:
            yield running


@pytest.fixture
def ada(server: WebServer) -> User:
    return sign_up(server.url)


def raw(server: WebServer, request: bytes) -> bytes:
    """Send bytes; return what comes back until the server closes, or is silent for a second."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=1) as sock:
        with contextlib.suppress(OSError):
            sock.sendall(request)
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while piece := sock.recv(65536):
                received += piece
    return received


# --- requests ------------------------------------------------------------------------------------


def test_a_statement_of_a_request_is_ended_when_it_takes_too_long(server, ada):
    with transaction.atomic():
        with connections["default"].cursor() as cursor:
            cursor.execute(f"LOCK TABLE {Account._meta.db_table} IN ACCESS EXCLUSIVE MODE")
        begun = time.monotonic()
        answer = ada.send("GET", f"/auth/name/{ada.username}")
        assert answer.status == 503
        assert time.monotonic() - begun < 4.5, "less than a lock may take"
    assert ada.get(f"/auth/name/{ada.username}").status == 200


def test_each_request_is_a_line_with_its_route_and_nothing_personal(server, ada):
    asked = [
        ada.send("GET", f"/%61uth/name/{ada.username}?email=very-secret"),
        ada.send("HEAD", f"/auth/name/{ada.username}"),
        ada.send("HEAD", "/api/docs/"),
        ada.send("GET", "/static/admin/css/base.css"),
        ada.send("GET", "/auth/export"),
        ada.send("GET", f"/nothing/{ada.username}"),
    ]
    ids = [answer.headers["X-Request-Id"] for answer in asked]

    def lines():
        found = {line["request_id"]: line for line in server.requests()}
        assert found.keys() >= set(ids)
        return [found[each] for each in ids]

    lines = eventually(lines)
    routes = ["/auth/name/<str:name>"] * 2 + ["/api/docs/", None, "/auth/export", None]
    assert [line.get("route") for line in lines] == routes
    assert [line["bytes"] for line in lines] == [len(answer.body) for answer in asked]
    assert [line["status"] for line in lines] == [200, 200, 200, 200, 200, 404]
    assert ada.username not in server.output.read_text()
    assert "very-secret" not in server.output.read_text()


def test_head_is_answered_like_get_without_a_body_and_without_a_word_of_warning(server, ada):
    before = len(server.lines())
    for path in ("/auth/me", "/timeline/timeline", "/api/docs/", "/nothing", "/auth/export"):
        head, got = (ada.send(method, path) for method in ("HEAD", "GET"))
        assert (head.status, head.body) == (got.status, b"")
        assert head.headers["Content-Type"] == got.headers["Content-Type"]
        assert head.headers["Content-Length"] in (None, str(len(got.body)))
    ids = {line.get("request_id") for line in server.lines()[before:]}
    assert [line for line in server.lines()[before:] if line["level"] != "info"] == [], ids


def test_a_body_may_come_in_chunks(server, ada):
    chunks = iter([b'{"bio": ', b'"in ch', b'unks"}'])
    answer = ada.send("PATCH", "/auth/update", body=chunks, headers=JSON)
    assert (answer.status, answer.data["bio"]) == (200, "in chunks")
    assert ada.send("POST", "/tweet/like", body=iter([]), headers=JSON).status == 400


def test_a_body_in_chunks_has_the_bound_of_others(server, ada):
    def update(length):
        body = b'{"bio": "%s"}' % (b"x" * (length - len('{"bio": ""}')))
        chunks = (body[at : at + 1000] for at in range(0, length, 1000))
        return ada.send("PATCH", "/auth/update", body=chunks, headers=JSON)

    update(65_536).assert_problem(400, field="bio")
    update(65_537).assert_problem(413)
    update(1_000_000).assert_problem(413)


@pytest.mark.parametrize("chunks", [b"zz\r\n", b"5\r\nab", b"-1\r\n", b"1\r\nabc\r\n0\r\n\r\n"])
def test_what_are_no_chunks_is_refused_or_waited_for_and_never_carried_out(server, ada, chunks):
    """Nothing that follows such a body is taken for a request."""
    head = (
        f"POST /tweet/create HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ada.token}\r\n"
    )
    head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    next_one = b"GET /auth/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    received = raw(server, head.encode() + chunks + next_one)
    assert re.findall(rb"HTTP/1.1 (\d+)", received) in ([], [b"400"], [b"500"])
    assert ada.get(f"/timeline/user/{ada.id}").data == []


TOO_LONG = {
    "a line": (b"GET /" + 4_100 * b"a" + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", [b"414"]),
    "a field": (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + 8_200 * b"a" + b"\r\n\r\n",
        [b"431"],
    ),
    "many fields": (
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + 101 * b"A: b\r\n" + b"\r\n",
        [b"431"],
    ),
    "all of it": (
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + 80 * (b"A: " + 1_000 * b"a" + b"\r\n"),
        [],  # it waits for more: 100 fields of 8,190 bytes may come
    ),
}


GRANIAN = {"a line": [b"404"], "a field": [b"302"], "many fields": [b"431"], "all of it": [b"431"]}


@pytest.mark.parametrize("what", TOO_LONG)
def test_what_is_too_long_is_refused(server, what):
    """Granian, which nginx stands in front of, bounds the fields' number and all of the header."""
    request, statuses = TOO_LONG[what]
    received = re.findall(rb"HTTP/1.1 (\d+)", raw(server, request))
    assert received == (GRANIAN[what] if server.output.name == "Granian.log" else statuses)
    is_answered(server)


INVALID = {
    "a line": b"GET /SECRET SECRET HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a header": b"GET /SECRET HTTP/1.1\r\nHost: localhost\r\nSECRET\r\n\r\n",
    "a length": b"POST /SECRET HTTP/1.1\r\nHost: localhost\r\nContent-Length: SECRET\r\n\r\n",
    "a chunk": b"POST /auth/token?SECRET HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nSECRET\r\n",
}


@pytest.mark.parametrize("kind", INVALID)
def test_nothing_of_what_is_not_valid_gets_into_the_log(server, kind):
    received = raw(server, INVALID[kind])
    assert re.findall(rb"HTTP/1.1 (\d+)", received) in ([], [b"400"])
    is_answered(server)
    for line in server.lines():
        said = {name: text for name, text in line.items() if name != "exception"}
        assert "SECRET" not in str(said)
        assert "127.0.0.1" not in line["message"] or "Listening at" in line["message"]


def test_no_header_of_a_client_is_part_of_the_path_or_the_scheme(server, ada):
    for header in ("SCRIPT_NAME", "Script-Name", "X-Forwarded-Prefix", "PATH_INFO"):
        assert ada.send("GET", "/x/auth/me", headers={header: "/x"}).status == 404, header
        assert ada.send("GET", "/auth/me", headers={header: "/x"}).status == 200, header
        page = ada.send("GET", "/admin/", headers={header: "/admin", "X-Forwarded-Proto": "https"})
        assert page.headers["Location"] == "/admin/login/?next=/admin/", header


# --- processes -----------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_process_that_ends_is_followed_by_one_that_goes_on_with_its_counts(name, end, tmp_path):
    """Unless the process is killed, its last notes are written down."""
    with serving(name, tmp_path) as server:
        ada = sign_up(server.url)
        ada.home()
        ids = {ada.send("GET", "/timeline/timeline").headers["X-Request-Id"] for _ in range(5)}

        def noted():
            assert ids <= {line["request_id"] for line in server.requests()}

        if end == signal.SIGKILL:
            eventually(noted)
        [worker] = server.workers()
        worker.send_signal(end)
        worker.wait(timeout=30)
        noted()

        def replaced():
            assert [new for new in server.workers() if new.pid != worker.pid]
            assert web_servers.answers(server.port, "/auth/healthz")
            assert metric(server, "twitter_web_threads") == 4

        eventually(replaced)
        asked = {"route": "/timeline/timeline", "status": "200"}
        assert metric(server, "twitter_http_requests_total", **asked) == 6


@both
def test_term_lets_requests_end(name, tmp_path):
    with serving(name, tmp_path) as server, ThreadPoolExecutor() as threads:
        ada = sign_up(server.url)
        with transaction.atomic():
            with connections["default"].cursor() as cursor:
                cursor.execute(f"LOCK TABLE {Account._meta.db_table} IN ACCESS EXCLUSIVE MODE")
            asked = threads.submit(ada.send, "GET", f"/auth/name/{ada.username}")
            eventually(waits_for_a_lock)
            server.process.terminate()
            time.sleep(0.5)
            assert server.process.poll() is None
        answer = asked.result()
        assert answer.status == 200
        assert server.process.wait(timeout=20) == 0
        assert answer.headers["X-Request-Id"] in {each["request_id"] for each in server.requests()}


def waits_for_a_lock() -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        assert cursor.fetchone()[0]


@both
def test_an_answer_that_breaks_off_is_cut_off_and_logged(name, tmp_path):
    with serving(name, tmp_path, application="tests.deploy.webapp:application") as server:
        received = raw(server, b"GET /breaks HTTP/1.1\r\nHost: a\r\n\r\n")
        assert not received.endswith(b"0\r\n\r\n"), "the client would take it for whole"
        received = raw(server, b"GET /raise HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert received.startswith(b"HTTP/1.1 500 ")
        assert Client(server.url).send("GET", "/").body == b"well"
        eventually(lambda: logged(server, "ValueError: on purpose", times=2))


def logged(server: WebServer, words: str, *, times: int) -> None:
    assert server.output.read_text().count(words) == times


# --- connections ---------------------------------------------------------------------------------


@both
def test_more_connections_than_descriptors_make_no_error(name, tmp_path):
    """The soft limit is raised to the hard one; who comes too late waits until others end."""

    def have_few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 300))

    with serving(name, tmp_path, first=have_few) as server:
        with contextlib.ExitStack() as stack:
            for _ in range(350):
                address = ("127.0.0.1", server.port)
                idle = stack.enter_context(socket.create_connection(address, timeout=5))
                idle.sendall(b"GET /auth/healthz HTTP/1.1\r\nHost: localhost\r\n")
            [worker] = server.workers()
            assert worker.rlimit(resource.RLIMIT_NOFILE) == (300, 300)
            eventually(lambda: has_connections(worker, at_least=150))
            assert worker.num_fds() < 300
        eventually(lambda: is_answered(server))
        text = server.output.read_text()
        assert "Too many open files" not in text
        assert "Traceback" not in text


def has_connections(worker, *, at_least: int) -> None:
    assert len(worker.net_connections()) >= at_least


def is_answered(server: WebServer) -> None:
    assert web_servers.answers(server.port, "/auth/healthz")


@both
def test_a_path_prefix_is_refused_at_start(name):
    said = start_failure(name, SCRIPT_NAME="/tw").strip()
    assert said.splitlines()[-1].endswith(
        "SCRIPT_NAME: the service can't live below a path; give it a host name of its own."
    )
