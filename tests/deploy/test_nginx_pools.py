"""The real nginx with the shipped configuration: which process gets a request, and as what."""

import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from deploy.local.ports import free_port
from tests.bench.stack import ending
from tests.deploy.nginx import READS, WRITES, ask, assert_problem, needs_nginx
from tests.deploy.proxy import CONFIGURATION, START_SECONDS, in_front, listens
from tests.deploy.upstream import upstream

pytestmark = needs_nginx


def test_the_method_decides(proxy, read, write):
    paths = ["/auth/me", "/tweet/like", "/timeline/timeline", "/api/schema/", "/static/file.css"]
    for path in paths:
        for method in (*READS, *WRITES):
            override = {"X-HTTP-Method-Override": "DELETE"}
            assert ask(proxy.url, method, path, headers=override).status == 200
    assert read.methods() == [*READS] * len(paths)
    assert write.methods() == [*WRITES] * len(paths)


def test_all_of_the_admin_goes_to_the_write_pool(proxy, read, write):
    for method in ("GET", "HEAD", "POST"):
        for path in ("/admin/", "/office/of/moderators/", "/%61dmin/"):
            ask(proxy.url, method, path)
    assert not read.received
    assert len(write.received) == 9


def test_metrics_are_not_for_the_public(proxy, read, write):
    for path in ("/metrics", "/metrics/", "//metrics", "/auth/../metrics", "/%6detrics"):
        for method in ("GET", "POST"):
            assert_problem(ask(proxy.url, method, path), 404)
    assert not read.received + write.received


def test_the_pools_are_told_what_nginx_knows(proxy, read):
    forged = {
        "X-Forwarded-For": "198.51.100.7",
        "X-Forwarded-Proto": "https",
        "X-Request-Id": "forged-forged-forged",
        "X-Account-Id": "1",
        "X_Account_Id": "1",
        "Host": "example.com:8080",
        "Connection": "X-Forwarded-For",
    }
    read.headers = {"X-Request-Id": "which nginx replaces", "Server": "gunicorn"}
    answer = ask(proxy.url, "GET", "/auth/me?a=%2F", headers=forged)
    [request] = read.received
    assert request.path == "/auth/me?a=%2F"
    assert request.headers["X-Forwarded-For"] == "198.51.100.7, 127.0.0.1"
    assert request.headers["X-Forwarded-Proto"] == "http"
    assert request.headers["Host"] == "example.com:8080"
    assert request.headers.get_all("X-Request-Id") == answer.headers.get_all("X-Request-Id")
    assert answer.headers.get_all("Server") == ["nginx"]
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])
    for name in ("X-Account-Id", "X_Account_Id", "Connection"):
        assert name not in request.headers


def test_connections_to_the_pools_are_kept(proxy, read):
    for _ in range(30):
        ask(proxy.url, "GET", "/auth/me")
    assert len(read.received) == 30
    assert read.connections < 10  # each of nginx's two processes has its own


def test_what_may_have_been_done_is_not_sent_again(tmp_path):
    """A process takes a request and dies; another one is there."""
    with upstream(status=None) as dying, upstream() as well:
        both = [dying.port, well.port]
        with in_front(tmp_path / "nginx", read=both, write=both) as proxy:
            statuses = [ask(proxy.url, "POST", "/tweet/create").status for _ in range(4)]
            assert set(statuses) == {200, 502}
            assert len(dying.received) + len(well.received) == 4
    with upstream(status=None) as dying, upstream() as well:
        both = [dying.port, well.port]
        with in_front(tmp_path / "other", read=both, write=both) as proxy:
            assert [ask(proxy.url, "GET", "/auth/me").status for _ in range(4)] == [200] * 4
            assert dying.received


def test_what_did_not_get_through_is_sent_to_another(tmp_path, write):
    with in_front(tmp_path / "nginx", read=[1], write=[free_port(), write.port]) as proxy:
        assert [ask(proxy.url, "POST", "/tweet/create").status for _ in range(4)] == [200] * 4


def test_processes_are_replaced_one_after_the_other(tmp_path, write):
    """One that was away has a share again at once, so the next one may go."""
    first, second = free_port(), free_port()
    proxied = in_front(tmp_path / "nginx", read=[first, second], write=[write.port])
    with proxied as proxy, ending() as supervisor:

        def start(port: int):
            command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
            started = supervisor.start(f"{port}", command, log=tmp_path / f"{port}.log")
            supervisor.wait(lambda: listens(port), seconds=START_SECONDS)
            return started.process

        def statuses() -> set[int]:
            return {ask(proxy.url, "GET", "/auth/me").status for _ in range(20)}

        process = start(first)
        assert statuses() == {404}  # it was asked for a file
        start(second)
        process.kill()
        process.wait()
        assert statuses() == {404}


def test_processes_that_are_away_cost_a_request_nothing_but_another_attempt(tmp_path, read, write):
    """Two are, of three: nginx tries as many."""
    ports = [free_port(), free_port(), read.port]
    with in_front(tmp_path / "nginx", read=ports, write=[write.port]) as proxy:
        assert {ask(proxy.url, "GET", "/auth/me").status for _ in range(50)} == {200}


def test_one_address_has_so_many_requests_at_a_time(proxy, read):
    most = int(re.search(r"limit_conn addresses (\d+);", CONFIGURATION.read_text())[1])
    read.go_on.clear()
    with ThreadPoolExecutor(most) as threads:
        asked = [threads.submit(ask, proxy.url, "GET", "/auth/me") for _ in range(most)]
        wait_for(lambda: len(read.received) == most)
        refused = ask(proxy.url, "GET", "/auth/me")
        read.go_on.set()
        assert {each.result().status for each in asked} == {200}
    assert_problem(refused, 429)
    assert int(refused.headers["Retry-After"]) > 0
    assert ask(proxy.url, "GET", "/auth/me").status == 200


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
