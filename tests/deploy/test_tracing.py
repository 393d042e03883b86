"""Traces of the real service: web, relay and worker, whose spans a real receiver gets over HTTP."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from accounts.sessions.tokens import issue_access_token
from deploy.local.ports import free_port
from deploy.local.run import PROCESSES
from tests.bench.data import follow, make_accounts
from tests.conftest import WORKER
from tests.deploy.stack import ROOT
from tests.limits import NOBODY_MEETS
from tests.otlp import Receiver, Span
from timelines.home.services import PAGE
from twitter.base.data import redis
from twitter.outbox.models import Delivery

pytestmark = pytest.mark.django_db

BROKER = f"{settings.REDIS_URL.rpartition('/')[0]}/{40 + WORKER}"
FOLLOWERS = PAGE + 5
REQUEST_ID = "0123456789abcdef0123456789abcdef"


class Service:
    """The service's processes, on the servers and the database of this test process."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.port = free_port()
        database = os.environ["DATABASE_URL"].rpartition("/")[0]
        self._environment = {
            **os.environ,
            **NOBODY_MEETS,
            "DATABASE_URL": f"{database}/{connection.settings_dict['NAME']}",
            "REDIS_URL": settings.CACHES["default"]["LOCATION"],
            "CELERY_BROKER_URL": BROKER,
            "PORT": str(self.port),
            "WEB_HOST": "127.0.0.1",
            "WEB_WORKERS": "1",
            **environment,
        }
        self._processes = [self._start(name) for name in PROCESSES]

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        with (self.folder / name).open("wb") as log:
            return subprocess.Popen(
                PROCESSES[name], cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    def ask(self, method: str, path: str, *, account_id: int, body: str = "") -> tuple[int, str]:
        """Return status and request id of an answer."""
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        token = issue_access_token(account_id=account_id, session_id=1, generation=0)
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "X-Request-Id": REQUEST_ID,
        }
        with contextlib.closing(asked):
            asked.request(method, path, body=body or None, headers=headers)
            answer = asked.getresponse()
            return answer.status, answer.headers["X-Request-Id"]

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return self.ask("GET", "/auth/healthz?ready=1", account_id=1)[0] == 200
        return False

    def lines(self, name: str) -> list[dict]:
        """Return what a process has logged: each line is a JSON object.

        But for what Celery prints: that it runs as root, where it does, and that it ends.
        """
        lines = (self.folder / name).read_text().splitlines()
        if name == "worker":
            lines = [line for line in lines if line.startswith("{")]
        return [json.loads(line) for line in lines]

    def stop(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            assert process.wait(timeout=60) == 0, process.args

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


def wait_for(condition: Callable[[], object], *, folder: Path) -> None:
    deadline = time.monotonic() + 180  # on a machine that is busy with other tests, too
    while not condition():
        logs = "\n".join(log.read_text()[-2_000:] for log in folder.iterdir())
        assert time.monotonic() < deadline, logs
        time.sleep(0.02)


def people(followers: int) -> list[int]:
    """Store an author with followers, and one whom somebody with a broken home follows."""
    author, *audience, other, broken = make_accounts("p", count=followers + 3)
    follow([*((follower, author) for follower in audience), (broken, other)])
    return [author, other, broken]


@pytest.fixture(scope="module")
def spoken(
    tmp_path_factory: pytest.TempPathFactory,
    django_db_setup: None,
    django_db_blocker: pytest.FixtureRequest,
    _own_redis_database: None,
) -> Iterator[tuple[Service, Receiver]]:
    """Return the service after two posts and a read, ended by TERM, and what it told of them.

    The second author's tweet cannot be delivered. No process exports spans before TERM comes.
    """
    folder = tmp_path_factory.mktemp("service")
    with django_db_blocker.unblock(), Receiver() as receiver, contextlib.ExitStack() as ending:
        ending.callback(call_command, "flush", verbosity=0, interactive=False)
        author, other, broken = people(FOLLOWERS)
        service = Service(
            folder,
            **receiver.environment,
            OTEL_BSP_SCHEDULE_DELAY="3600000",
            OTEL_TRACES_SAMPLER="parentbased_traceidratio",
            OTEL_TRACES_SAMPLER_ARG="1.0",
            WEB_ACCESS_LOG="-",
        )
        ending.callback(service.kill)
        wait_for(service.is_ready, folder=folder)
        redis.client().set(f"home:4:{{{broken}}}", "no list")
        for account_id in (author, other):
            posted = service.ask(
                "POST", "/tweet/create", account_id=account_id, body='{"text": "Hello"}'
            )
            assert posted == (201, REQUEST_ID)
        service.ask("GET", "/timeline/timeline", account_id=author)
        service.ask("GET", "/timeline/timeline?limit=5", account_id=author)
        done = Delivery.objects.exclude(task="timelines.tasks.fan_out", attempts=1)
        wait_for(
            lambda: not done.exists() and Delivery.objects.exclude(last_error="").exists(),
            folder=folder,
        )
        service.stop()
        yield service, receiver


def post_of(spans: list[Span], *, failed: bool) -> list[Span]:
    """Return the trace of the post whose fan-out failed, or of the other."""
    processing = [span for span in spans if span.name == "process timelines.tasks.fan_out"]
    trace_id = next(span.trace_id for span in processing if span.failed is failed)
    return sorted((span for span in spans if span.trace_id == trace_id), key=lambda one: one.begun)


def tree(spans: list[Span]) -> list[str]:
    """Return service and name of each span, one below the other, children moved to the right."""
    known = {span.id for span in spans}

    def below(parent_id: str, depth: int) -> Iterator[str]:
        for span in spans:
            if span.parent_id == parent_id or (not depth and span.parent_id not in known):
                yield f"{'  ' * depth}{span.service.removeprefix('twitter-')}: {span.name}"
                yield from below(span.id, depth + 1)

    return list(below("", 0))


def test_one_trace_leads_from_the_post_to_the_last_page_of_followers(spoken):
    _, receiver = spoken
    trace = post_of(receiver.spans, failed=False)
    assert tree(trace) == [
        "web: POST /tweet/create",
        "  web: post",
        "    web: publish",
        "      relay: send timelines.tasks.fan_out",
        "      worker: process timelines.tasks.fan_out",
        "        worker: read followers",
        "        worker: deliver page",
        "        worker: read followers",
        "        worker: deliver page",
        "    web: run timelines.tasks.deliver_to_author",
    ]
    assert trace[0].attributes == {
        "http.request.method": "POST",
        "http.route": "/tweet/create",
        "http.response.status_code": 201,
        "twitter.request_id": REQUEST_ID,
    }
    pages = [span.attributes["twitter.followers"] for span in trace if "deliver page" in span.name]
    assert pages == [PAGE + 1, FOLLOWERS - PAGE]  # the author is on the first
    assert not any(span.failed for span in trace)
    assert all(span.begun <= span.ended for span in trace)


def test_a_span_tells_the_kind_of_an_error_and_no_more(spoken):
    _, receiver = spoken
    [failed] = [span for span in post_of(receiver.spans, failed=True) if span.failed]
    assert failed.attributes["error.type"] == "ResponseError"
    assert failed.events == 0


def test_a_warm_read_is_a_span_by_itself(spoken):
    _, receiver = spoken
    reads = [span for span in receiver.spans if span.name == "GET /timeline/timeline"]
    assert [span.attributes["http.response.status_code"] for span in reads] == [200, 200]
    assert [len(receiver.trace(span.trace_id)) for span in reads] == [1, 1]


def test_lines_of_a_request_and_of_its_tasks_bear_the_same_trace(spoken):
    service, receiver = spoken
    trace_id = post_of(receiver.spans, failed=True)[0].trace_id
    [request] = [line for line in service.lines("web") if line.get("trace_id") == trace_id]
    assert request["message"] == "POST /tweet/create 201"
    assert request["request_id"] == REQUEST_ID
    [error] = [line for line in service.lines("worker") if line["level"] == "error"]
    assert error["trace_id"] == trace_id
    assert error["task"] == "timelines.tasks.fan_out"
    assert error["delivery_id"] in error["delivery_ids"]


def test_each_process_logs_json_lines_and_no_error_but_that(spoken):
    service, _ = spoken
    for name in PROCESSES:
        lines = service.lines(name)
        assert lines
        errors = [line["message"] for line in lines if line["level"] in ("error", "critical")]
        assert all(re.fullmatch(r"delivery \d+ failed", message) for message in errors)
        assert bool(errors) is (name == "worker")


def test_without_an_endpoint_neither_tracer_nor_exporter_is_imported():
    code = "import sys, twitter.wsgi; from twitter.base.observe import tracing;"
    code += "tracing.start('web');"
    names = "('twitter.base.observe.spans', 'opentelemetry.sdk.trace', 'opentelemetry.exporter')"
    code += f"print([name for name in {names} if name in sys.modules])"
    environment = {n: v for n, v in os.environ.items() if not n.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
