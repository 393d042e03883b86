"""The real nginx with the shipped configuration, in front of both pools and of a service beside."""

import contextlib
import gzip
import http.client
import json
import re
import runpy
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from accounts.moderation import services
from deploy.local.ports import free_port
from tests.deploy.nginx import LOG_INS, TwoPools, ask, assert_problem, needs_nginx
from tests.deploy.proxy import CONFIGURATION, Proxy, command, configured, in_front
from tests.deploy.stack import ROOT
from tests.deploy.upstream import Upstream, upstream
from tests.e2e.client import Client, eventually, sign_up
from twitter import read_pool
from twitter.base.http.problems import KIND_OF

pytestmark = needs_nginx


def raw(proxy: Proxy, request: bytes) -> bytes:
    """Send bytes and return all that comes back until nginx closes or says no more."""
    received = b""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=2) as sock:
        sock.sendall(request)
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while piece := sock.recv(65536):
                received += piece
                head, end, body = received.partition(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                if end and length and len(body) >= int(length[1]):
                    break
    return received


def test_reads_and_writes_of_a_user_go_to_their_pools(pools, ada, anybody):
    tweet_id = ada.tweet("Hello.")
    assert ada.home() == [tweet_id]
    head = ada.send("HEAD", f"/tweet/id/{tweet_id}")
    assert (head.status, head.body) == (200, b"")
    ada.patch("/auth/update", {"bio": "I read and write."})
    assert ada.get("/auth/me").data["bio"] == "I read and write."
    ada.delete(f"/tweet/delete/{tweet_id}")
    ada.get(f"/tweet/id/{tweet_id}", status=404)
    ada.get("/auth/export")
    assert anybody.get("/api/docs/").headers["Content-Type"].startswith("text/html")
    assert anybody.send("GET", "/admin/login/").status == 200
    names = {f"127.0.0.1:{pools.read_port}": "read", f"127.0.0.1:{pools.write_port}": "write"}
    expected = {
        ("POST", "/auth/create"): "write",
        ("POST", "/auth/token"): "write",
        ("POST", "/tweet/create"): "write",
        ("GET", "/timeline/timeline"): "read",
        ("HEAD", "/tweet/id/<id:tweet_id>"): "read",
        ("PATCH", "/auth/update"): "write",
        ("GET", "/auth/me"): "read",
        ("DELETE", "/tweet/delete/<id:tweet_id>"): "write",
        ("GET", "/tweet/id/<id:tweet_id>"): "read",
        ("GET", "/auth/export"): "read",
        ("GET", "/api/docs/"): "read",
        ("GET", "/admin/login/"): "write",
    }

    def look() -> None:
        lines = pools.proxy.log()  # nginx writes a line after it has answered
        went = {(line["method"], line["route"]): names.get(line["upstream"]) for line in lines}
        assert expected.items() <= went.items()

    eventually(look)


def test_what_the_service_itself_refuses_passes_unchanged(pools, anybody):
    pool = f"http://127.0.0.1:{pools.write_port}"
    for path, status in (("/auth/me", 401), ("/tweet/nothing", 404), ("/nothing", 404)):
        through, direct = anybody.send("GET", path), ask(pool, "GET", path)
        assert through.status == direct.status == status
        assert through.body == direct.body
        others = {"connection", "date", "ratelimit", "server", "vary", "x-request-id", "x-route"}
        theirs, ours = (
            {name.lower(): value for name, value in answer.headers.items()}
            for answer in (direct, through)
        )
        assert {name: theirs[name] for name in theirs.keys() - others}.items() <= ours.items()
        assert "X-Route" not in through.headers


def test_what_profits_is_compressed(pools, ada, anybody):
    for number in range(5):
        ada.tweet(f"This is number {number} of some.")
    accept = {"Accept-Encoding": "gzip"}
    plain = ada.send("GET", "/timeline/timeline")
    small = ada.send("GET", "/timeline/timeline", headers=accept)
    assert small.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.body) == plain.body
    assert len(small.body) < len(plain.body) / 2
    assert "Accept-Encoding" in small.headers["Vary"]
    for path in ("/auth/healthz", "/auth/verify", "/admin/login/"):  # tiny, empty, the admin's
        assert "Content-Encoding" not in ada.send("GET", path, headers=accept).headers


def test_a_page_that_the_client_has_is_not_sent_again_compressed_or_not(pools, ada):
    for number in range(5):
        ada.tweet(f"This is number {number} of some.")
    accept = {"Accept-Encoding": "gzip"}
    small = ada.send("GET", "/timeline/timeline", headers=accept)
    assert small.headers["Content-Encoding"] == "gzip"
    tag = small.headers["ETag"]
    assert ada.send("GET", "/timeline/timeline").headers["ETag"] == tag
    ports = {"nginx": pools.proxy.port, "read": pools.read_port, "write": pools.write_port}
    for name, port in ports.items():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for sent in (tag, tag.removeprefix("W/"), f'"other", {tag}'):
            known = {"Authorization": f"Bearer {ada.token}", "If-None-Match": sent}
            connection.request("GET", "/timeline/timeline", headers=accept | known)
            answer = connection.getresponse()  # the next one comes on the same connection
            assert (answer.status, answer.read()) == (304, b""), name
            assert answer.headers["ETag"] == tag
            assert answer.headers["Cache-Control"] == "private, no-cache"
            assert "Authorization" in answer.headers["Vary"]
            assert answer.headers["RateLimit"]
            assert answer.headers["X-Request-Id"]
            for absent in ("Content-Type", "Content-Length", "Transfer-Encoding", "Link"):
                assert absent not in answer.headers, (name, absent)
        connection.close()
    bob = sign_up(pools.url)
    bob.follow(ada)
    known = accept | {"If-None-Match": tag}
    assert bob.send("GET", "/timeline/timeline", headers=known).status == 200
    ada.tweet("One more.")
    changed = ada.send("GET", "/timeline/timeline", headers=known)
    assert changed.status == 200
    assert changed.headers["ETag"] != tag


def test_a_forged_address_gains_nothing(pools, anybody):
    login = {"username": "nobody", "password": "wrong"}
    for number in range(LOG_INS):
        address = f"198.51.100.{number}"
        forged = {"X-Forwarded-For": address, "X_Forwarded_For": address}
        anybody.post("/auth/token", login, headers=forged, status=401)
    forged = {"X-Forwarded-For": "198.51.100.99, 127.0.0.1"}
    anybody.post("/auth/token", login, headers=forged, status=429)


def test_readers_read_on_while_the_write_pool_is_down(pools, ada, tmp_path):
    """Writers go on, too, while the read pool is down.

    A client that is refused may try again, and nothing secret is logged.
    """
    gone = free_port()
    with in_front(tmp_path / "writes", read=[pools.read_port], write=[gone]) as proxy:
        ada.base_url = proxy.url
        ada.get("/auth/me")
        refused = ada.send("DELETE", f"/auth/delete/{ada.id}?password=very-secret")
        assert_problem(refused, 502)
        assert refused.headers["Retry-After"] == "5"
        assert "very-secret" not in proxy.all_logs()
    with in_front(tmp_path / "reads", read=[gone], write=[pools.write_port]) as proxy:
        ada.base_url = proxy.url
        assert_problem(ada.send("GET", "/auth/me"), 502)
        ada.tweet("Hello.")


def logged(proxy: Proxy, request_id: str) -> dict[str, Any]:
    """Return the line of a request, which nginx writes after it has answered."""

    def look() -> dict[str, Any]:
        lines = [line for line in proxy.log() if line["request_id"] == request_id]
        assert len(lines) == 1
        return lines[0]

    return eventually(look)


@pytest.mark.parametrize("prefix", ["/auth", "/%61uth", "//auth", "/auth/./", "/auth//"])
def test_the_log_has_routes_and_no_paths(pools, ada, prefix):
    answer = ada.send("GET", f"{prefix}/name/{ada.username}?access_token=very-secret")
    line = logged(pools.proxy, answer.headers["X-Request-Id"])
    route = "/auth/name/<str:name>" if answer.status == 200 else "-"
    assert line.items() >= {"method": "GET", "route": route, "status": answer.status}.items()
    assert line.keys() == {
        *("time", "level", "logger", "request_id", "method", "route", "status", "bytes"),
        *("seconds", "upstream", "upstream_status", "upstream_seconds"),
    }
    logs = pools.proxy.all_logs()
    for secret in (ada.username, ada.token, "very-secret"):
        assert secret not in logs


def test_a_body_in_chunks_gets_a_length(pools, ada, proxy, write):
    body = b'{"bio": "%s"}' % (b"x" * 20_000)
    chunks = (body[at : at + 1000] for at in range(0, len(body), 1000))
    ask(proxy.url, "PATCH", "/auth/update", body=chunks)
    [request] = write.received
    assert request.headers["Content-Length"] == str(len(body))
    assert "Transfer-Encoding" not in request.headers
    assert request.body == body
    chunks = iter([b'{"bio": ', b'"in chunks"}'])
    kind = {"Content-Type": "application/json"}
    assert ada.send("PATCH", "/auth/update", body=chunks, headers=kind).data["bio"] == "in chunks"


HOST = b"Host: a\r\n"
REFUSED = {
    "no method": (b"get /auth/me HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "TRACE": (b"TRACE /auth/me HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "an unknown method": (b"BREW /auth/me HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "no host": (b"GET /auth/me HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /auth/me HTTP/1.1\r\n" + 2 * HOST + b"\r\n", 400),
    "outside": (b"GET /../auth/me HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "no encoding": (b"GET /auth/%zz HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a version": (b"GET /auth/me HTTP/3.1\r\n" + HOST + b"\r\n", 505),
    "a long line": (b"GET /auth/" + 9_000 * b"a" + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "a long field": (b"GET /auth/me HTTP/1.1\r\nX: " + 9_000 * b"a" + b"\r\n\r\n", 431),
    "a long body in chunks": (
        b"POST /auth/me HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + 66 * (b"400\r\n" + 1024 * b"x" + b"\r\n"),
        413,
    ),
    "no chunks": (
        b"POST /auth/me HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        400,
    ),
    **{
        f"a segment of dots: {path}": (
            b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n",
            400,
        )
        for path in (
            *("/admin/../auth/x", "/auth/../admin/", "/auth/./me", "/auth/..", "/auth/.?a"),
            *("/auth/%2e%2E/x", "/auth%2f..%2fadmin/", "/%2e/auth/me", "/auth/.%2e/admin/"),
        )
    },
    "chunks and a length": (
        b"POST /auth/me HTTP/1.1\r\n"
        + HOST
        + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "another coding": (
        b"POST /auth/me HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        501,
    ),
    "two lengths": (
        b"POST /auth/me HTTP/1.1\r\n" + HOST + 2 * b"Content-Length: 2\r\n" + b"\r\n{}",
        400,
    ),
    "a space before the colon": (
        b"POST /auth/me HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "a long body": (b"POST /auth/me HTTP/1.1\r\n" + HOST + b"Content-Length: 999999\r\n\r\n", 413),
}


def test_what_is_not_valid_or_too_much_is_refused_in_the_shape_of_all_errors(proxy, read, write):
    for name, (request, status) in REFUSED.items():
        head, _, body = raw(proxy, request).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status), name
        assert b"Content-Type: application/problem+json" in head, name
        assert b"Server: nginx\r\n" in head, name
        problem = json.loads(body)
        assert list(problem) == ["type", "title", "status", "detail"], name
        assert problem["status"] == status, name
        assert problem["type"] == KIND_OF[status].uri, name
        assert problem["title"] == KIND_OF[status].title, name
    assert not read.received + write.received


def test_limits_fit_those_of_the_service():
    text = CONFIGURATION.read_text()

    def setting(name: str) -> list[int]:
        found = re.findall(rf"^ +{name} (?:\d+ )?(\d+)[ks]?;", text, re.MULTILINE)
        assert found, name
        return [int(number) for number in found]

    gunicorn = runpy.run_path(str(ROOT / "config" / "gunicorn.conf.py"))
    assert setting("client_max_body_size") == [settings.MAX_BODY_BYTES // 1024]
    assert setting("client_body_buffer_size") == setting("client_max_body_size")
    assert setting("large_client_header_buffers")[0] * 1024 > gunicorn["limit_request_field_size"]
    assert 4 * setting("large_client_header_buffers")[0] * 1024 <= read_pool.HEAD_BYTES
    *of_pools, _ = sorted(setting("keepalive_timeout"))
    assert max(of_pools) < min(gunicorn["keepalive"], read_pool.HEAD_SECONDS)
    assert setting("proxy_read_timeout")[0] > settings.LONGEST_REQUEST_SECONDS


def test_what_nginx_may_hold_fits_its_container():
    """Clients hold as much as they can at a time: headers that stall, answers that are not read."""
    text = CONFIGURATION.read_text()

    def number(pattern: str) -> int:
        return int(re.search(rf"^ *{pattern}", text, re.MULTILINE)[1])

    kib = 1024
    header = kib * number(r"large_client_header_buffers 4 (\d+)k;") * 4
    body = kib * number(r"client_body_buffer_size (\d+)k;")
    answer = kib * (number(r"proxy_buffer_size (\d+)k;") + 4 * number(r"proxy_buffers 4 (\d+)k;"))
    kernel = kib * 2 * number(r"listen 8080 rcvbuf=\d+k sndbuf=(\d+)k;")
    connections = number(r"worker_processes (\d+);") * number(r"worker_connections (\d+);")
    requests, bodies = number(r"limit_conn requests (\d+);"), number(r"limit_conn bodies (\d+);")
    held = requests * (header + answer + kernel) + bodies * body
    held += (connections - 2 * requests) * header  # a request that is not over has two
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    limit = compose["services"]["nginx"]["deploy"]["resources"]["limits"]["memory"]
    assert held < 0.9 * int(limit.removesuffix("M")) * kib * kib


def test_nginx_takes_the_configuration_as_it_is(tmp_path):
    """With and without the example; the names of the pools are known here only as addresses."""
    for notes in (None, 1):
        folder = tmp_path / str(notes)
        folder.mkdir()
        written = configured(folder, port=free_port(), read=[1], write=[1], notes=notes)
        done = subprocess.run(command(written, "-t"), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "warn" not in done.stderr


@pytest.fixture
def notes() -> Iterator[Upstream]:
    """Return a service that nginx authenticates the callers of."""
    with upstream() as server:
        yield server


@pytest.fixture
def beside(pools: TwoPools, notes: Upstream, tmp_path: Path) -> Iterator[Proxy]:
    ports = {"read": [pools.read_port], "write": [pools.write_port]}
    with in_front(tmp_path / "nginx", **ports, notes=notes.port) as proxy:
        yield proxy


def test_a_service_beside_learns_whose_token_it_is(beside, notes, ada):
    ada.base_url = beside.url
    forged = {"X-Account-Id": "1", "X_Account_Id": "1", "X-Forwarded-For": "198.51.100.7"}
    assert ada.send("GET", "/notes/today?all=1", headers=forged).status == 200
    assert ada.send("POST", "/notes/today", body=b"Buy milk.", headers=forged).status == 200
    assert [request.method for request in notes.received] == ["GET", "POST"]
    assert [request.path for request in notes.received] == ["/notes/today?all=1", "/notes/today"]
    assert notes.received[1].body == b"Buy milk."
    for request in notes.received:
        assert request.headers.get_all("X-Account-Id") == [str(ada.id)]
        assert "X_Account_Id" not in request.headers
        assert "Authorization" not in request.headers
        assert request.headers["X-Forwarded-For"] == "198.51.100.7, 127.0.0.1"


def test_a_service_beside_never_hears_of_whom_the_api_would_refuse(
    beside, notes, ada, make_account
):
    ada.base_url = beside.url
    stranger = Client(beside.url)
    refused = [stranger.send("GET", "/notes/"), stranger.send("POST", "/notes/", body=b"x")]
    refused += [Client(beside.url, token="nonsense").send("GET", "/notes/")]
    refused += [stranger.send("GET", "/notes/", headers={"X-Account-Id": str(ada.id)})]
    refused += [stranger.send("GET", path) for path in ("//notes/", "/auth/../notes/", "/n%6ftes/")]
    ada.post("/auth/token/revoke", {"refresh_token": ada.refresh_token})
    refused += [ada.send("GET", "/notes/")]
    ada.log_in()
    services.suspend(account_id=ada.id, by_id=make_account("moderator"), reason="test")
    refused += [ada.send("GET", "/notes/")]
    for answer in refused:
        assert_problem(answer, 401)
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert not notes.received


def test_a_service_beside_is_not_reached_when_a_token_can_not_be_verified(notes, read, tmp_path):
    read.headers = {"Retry-After": "17"}
    ports = {"read": [read.port], "write": [1], "notes": notes.port}
    with in_front(tmp_path / "nginx", **ports) as proxy:
        for answered, status, wait in ((429, 429, "17"), (503, 503, "5"), (None, 503, "5")):
            read.status = answered
            answer = ask(proxy.url, "POST", "/notes/", body=b"Buy milk.")
            assert_problem(answer, status)
            assert answer.headers["Retry-After"] == wait
    assert not notes.received
    assert {(each.method, each.path, each.body) for each in read.received} == {
        ("GET", "/auth/verify", b"")
    }
