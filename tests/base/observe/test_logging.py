"""Lines of a request or a task bear its ids; each request has an id, and one line if wanted."""

import json
import logging
import os
import re
import threading
from io import StringIO

import pytest

from tests.asking import ask, request
from twitter import wsgi
from twitter.base.observe import access as lines
from twitter.base.observe import logging as known
from twitter.base.observe.logging import JSONFormatter, OnceASecond, UnavailableIsAWarning
from twitter.base.observe.observing import observed

SECRET = "SECRET"


@pytest.fixture
def logged():
    """Return what is logged from now on: a list of objects, when called."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    known.end()  # what an earlier test's request has left
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)
    known.end()


@pytest.mark.django_db
def test_what_is_refused_before_it_is_routed_bears_its_route(logged, settings):
    settings.RATE_LIMITS = {
        **settings.RATE_LIMITS,
        "reads": {"user": None, "token": None, "address": (1, 60)},
    }
    for _ in range(2):
        status, headers, _ = ask(wsgi.application, request(1, PATH_INFO="/timeline/update"))
    assert status == "429 Too Many Requests"
    assert ("X-Route", "/timeline/update") in headers


def test_lines_bear_what_is_known_and_what_is_noted(logged):
    log = logging.getLogger("tests")
    log.warning("before")
    known.begin(request_id="r")
    known.note(account_id=1)
    with known.within(delivery_id=2):
        log.warning("inside")
    log.warning("after")
    known.end()
    known.note(account_id=3)
    log.warning("later")
    fields = [line.keys() - {"time", "level", "logger"} for line in logged()]
    assert fields == [
        {"message"},
        {"message", "request_id", "account_id", "delivery_id"},
        {"message", "request_id", "account_id"},
        {"message"},
    ]


@pytest.mark.parametrize(
    ("sent", "is_taken"),
    [
        ("0123456789abcdef0123456789abcdef", True),
        ("3F2504E0-4F89-41D3-9A0C-0305E82C3301", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("short", False),
        ("", False),
        ("with blank", False),
        ("line\nbreak", False),
        ("ümläute-and-more", False),
        ("12345678\n", False),
    ],
)
@pytest.mark.django_db
def test_an_answer_has_the_id_of_the_request_or_a_new_one(sent, is_taken):
    environ = request(1, PATH_INFO="/nothing", HTTP_X_REQUEST_ID=sent)
    _, headers, _ = ask(wsgi.application, environ)
    [given] = [value for name, value in headers if name == "X-Request-Id"]
    assert (given == sent) is is_taken
    assert re.fullmatch("[A-Za-z0-9-]{8,64}", given)


@pytest.mark.django_db(transaction=True)
def test_what_a_request_logs_bears_its_id_and_account(logged, make_account, monkeypatch):
    def fail(**_):
        raise ValueError

    monkeypatch.setattr("timelines.author.read", fail)
    account = make_account("ann")
    environ = request(account, PATH_INFO=f"/timeline/user/{account}", HTTP_X_REQUEST_ID="r" * 8)
    assert ask(wsgi.application, environ)[0].startswith("500")
    [line] = [line for line in logged() if line["level"] == "error"]
    assert line["request_id"] == "r" * 8
    assert line["account_id"] == account


class Access:
    """The log of requests, as a web process has it, in a file."""

    def __init__(self, folder, monkeypatch, level="INFO"):
        self.file = folder / "access"
        monkeypatch.setenv("WEB_ACCESS_LOG", str(self.file))
        monkeypatch.setenv("LOG_LEVEL", level)
        lines.begin()

    def close(self):
        for handler in list(lines.logger.handlers):
            handler.close()
            lines.logger.removeHandler(handler)
        lines.logger.setLevel(lines.OFF)

    def note(self, *, status=200, path=f"/auth/name/{SECRET}", method="GET"):
        """Log a request that is full of what a log must not have."""
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "RAW_URI": f"{path}?email={SECRET}",
            "QUERY_STRING": f"email={SECRET}",
            "REMOTE_ADDR": SECRET,
            "HTTP_AUTHORIZATION": SECRET,
            "HTTP_REFERER": SECRET,
            "HTTP_USER_AGENT": SECRET,
        }
        lines.note(environ, status=status, seconds=0.001234, sent=17)

    def write(self, **request):
        """Log a request; return its line, or None."""
        self.note(**request)
        return self.only()

    def only(self):
        """Return the only line that is noted, or None, and delete it."""
        lines.write_down()
        [line] = self.lines() or [None]
        self.file.write_text("")
        return line

    def lines(self):
        """Return what is written."""
        return [json.loads(line) for line in self.file.read_text().splitlines()]


@pytest.fixture
def access(tmp_path, monkeypatch):
    access = Access(tmp_path, monkeypatch)
    yield access
    known.end()
    access.close()


def test_a_request_is_one_line_without_anything_personal(access):
    known.begin(request_id="r", account_id=7, route="/auth/name/<str:name>", trace_id="t")
    line = access.write()
    assert SECRET not in json.dumps(line)
    assert line.pop("time")
    assert line == {
        "level": "info",
        "logger": "access",
        "message": "GET /auth/name/<str:name> 200",
        "request_id": "r",
        "account_id": 7,
        "route": "/auth/name/<str:name>",
        "trace_id": "t",
        "method": "GET",
        "status": 200,
        "ms": 1.234,
        "bytes": 17,
    }


@pytest.mark.parametrize(
    ("status", "path", "level"),
    [
        (200, "/", "info"),
        (404, "/", "info"),
        (429, "/", "info"),
        (500, "/", "error"),
        (503, "/", "warning"),
        (200, "/auth/healthz", None),
        (503, "/auth/healthz", "warning"),
    ],
)
def test_its_level_tells_whether_something_is_wrong(access, status, path, level):
    line = access.write(status=status, path=path)
    assert (line and line["level"]) == level


def test_health_checks_are_seen_by_who_debugs(tmp_path, monkeypatch):
    access = Access(tmp_path, monkeypatch, level="DEBUG")
    line = access.write(path="/tweet/healthz")
    access.close()
    assert line["level"] == "debug"


class Stream:
    """An answer whose length is not known."""

    closed = False

    def __iter__(self):
        yield b"one"
        assert known.known(), "its lines bear the request's id"
        yield b"three"

    def close(self):
        self.closed = True


def test_a_stream_is_a_line_when_it_has_ended_and_is_closed(access):
    stream = Stream()

    def application(environ, start_response):
        start_response("200 OK", [])
        return stream

    blocks = observed(application)(request(1), lambda status, headers: None)
    assert b"".join(blocks) == b"onethree"
    assert access.only() is None
    blocks.close()
    assert stream.closed
    assert access.only().items() >= {"status": 200, "bytes": 8}.items()
    assert not known.known()


def test_what_an_application_does_not_answer_is_a_line_of_500(access):
    def application(environ, start_response):
        raise ValueError

    with pytest.raises(ValueError):
        observed(application)(request(1), lambda status, headers: None)
    assert access.only()["status"] == 500
    assert not known.known()


@pytest.mark.django_db
def test_a_warm_read_that_fails_is_logged_and_answered_by_django(logged, monkeypatch):
    def fail(environ):
        raise ValueError

    monkeypatch.setattr("twitter.wsgi.timelines.warm_answer", fail)
    status, headers, _ = ask(wsgi.application, request(1))
    assert (status, dict(headers)["Content-Type"]) == (
        "401 Unauthorized",
        "application/problem+json",
    )
    [line] = [line for line in logged() if line["level"] == "error"]
    assert "ValueError" in line["exception"]


@pytest.mark.django_db
def test_an_answer_to_head_has_no_body(access):
    environ = request(1, PATH_INFO="/nothing", REQUEST_METHOD="HEAD")
    status, headers, body = ask(wsgi.application, environ)
    assert (status, body) == ("404 Not Found", b"")
    assert int(dict(headers)["Content-Length"]) > 0
    assert access.only()["bytes"] == 0


def test_no_more_than_so_many_lines_are_kept(access, monkeypatch):
    monkeypatch.setattr(lines, "NOTED_MOST", 3)
    for _ in range(5):
        access.note()
    assert len(access.lines()) == 3
    lines.write_down()


def test_lines_of_another_process_do_not_get_into_ours(tmp_path, monkeypatch):
    """The reader is slow, so that the pipe is full: what is too long is cut there."""
    ours, others = 2_000, 10_000
    fifo = tmp_path / "access"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    access = Access(tmp_path, monkeypatch)
    for _ in range(ours):
        access.note()

    def write_others():
        with fifo.open("wb", buffering=0) as pipe:
            for _ in range(others):
                pipe.write(b'{"status": 404}\n')

    writers = [threading.Thread(target=each) for each in (lines.write_down, write_others)]
    os.set_blocking(reader, True)
    with os.fdopen(reader, "rb") as pipe:
        for writer in writers:
            writer.start()
        statuses = [json.loads(pipe.readline())["status"] for _ in range(ours + others)]
    for writer in writers:
        writer.join()
    access.close()
    assert (statuses.count(200), statuses.count(404)) == (ours, others)


@pytest.mark.parametrize(("status", "level"), [(503, "WARNING"), (500, "ERROR")])
def test_a_503_is_a_warning(status, level):
    record = logging.makeLogRecord(
        {"levelno": logging.ERROR, "levelname": "ERROR", "status_code": status}
    )
    assert UnavailableIsAWarning().filter(record)
    assert record.levelname == level


def test_a_health_check_that_says_no_is_no_line_of_its_own():
    fields = {"msg": "Service Unavailable: %s", "status_code": 503, "levelno": logging.ERROR}
    health = logging.makeLogRecord({**fields, "args": ("/auth/healthz",)})
    other = logging.makeLogRecord({**fields, "args": ("/auth/me",)})
    assert not UnavailableIsAWarning().filter(health)
    assert UnavailableIsAWarning().filter(other)


def test_what_each_request_would_say_is_said_once_a_second():
    said = OnceASecond()
    lines = [(0.0, "a"), (0.5, "a"), (0.6, "b"), (0.9, "a"), (1.1, "a"), (1.2, "b"), (1.7, "b")]
    records = [logging.makeLogRecord({"msg": text, "created": 9 + at}) for at, text in lines]
    assert [said.filter(each) for each in records] == [True, False, True, False, True, False, True]
