"""Degraded, not down: what still works, and how fast, while a part of the real service is away."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from tests.chaos.stack import Stack
from tests.e2e.client import Answer, Client, User, eventually, sign_up
from timelines.home import store
from twitter.base.data.silence import PAUSE_SECONDS

# On a machine that is busy with other tests, too. Nothing may wait for a part that is away longer
# than this, and what waits for a time-out of a second must not do so again and again.
QUICK_SECONDS = 6.0
# Of the web.
PROCESSES, THREADS = 2, 8
# What web processes are told here, and the connect_timeout of the settings.
WEB_STATEMENT_SECONDS, CONNECT_SECONDS = 4, 5
# The SOCKET_TIMEOUT of the settings.
REDIS_SECONDS = 1


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    environment = {"WEB_STATEMENT_SECONDS": str(WEB_STATEMENT_SECONDS)}
    with Stack(tmp_path_factory.mktemp("degraded"), environment=environment) as stack:
        _until_ready(stack)
        yield stack


@pytest.fixture(autouse=True)
def _all_parts_run(stack: Stack) -> Iterator[None]:
    yield
    stack.start_all()
    _until_ready(stack)
    _until_each_process_finds_out()


def _until_each_process_finds_out() -> None:
    """Each web process tries by itself whether a part is back that kept it waiting."""
    time.sleep(REDIS_SECONDS + PAUSE_SECONDS)


@pytest.fixture
def people(stack: Stack) -> tuple[User, User]:
    """Ada, who follows Bob, and has just read the tweet in her home, which Valkey holds."""
    ada, bob = sign_up(stack.url), sign_up(stack.url)
    ada.follow(bob)
    first = bob.tweet("before")
    eventually(lambda: _assert_shown(ada, first))
    eventually(lambda: _assert_kept(stack, ada))
    return ada, bob


def _until_ready(stack: Stack) -> None:
    def is_ready() -> None:
        try:
            Client(stack.url).get("/auth/healthz", ready=1)
        except OSError as error:
            raise AssertionError from error

    eventually(is_ready, seconds=120)


def _assert_shown(reader: User, tweet_id: int) -> None:
    assert tweet_id in reader.home()


def _assert_kept(stack: Stack, reader: User) -> None:
    """Her home is in Redis: a process that Redis kept waiting goes on without it for a moment."""
    reader.home()
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
        assert client.exists(store._key(reader.id))


def _timed(ask: Callable[[], Any]) -> Any:
    begun = time.monotonic()
    answer = ask()
    assert time.monotonic() - begun < QUICK_SECONDS
    return answer


def _read_again(reader: User, *, before: bytes, times: int) -> None:
    """Read a warm home while PostgreSQL is away, quickly each time.

    On a busy machine Valkey, too, may keep a process waiting; that goes on without it for a moment,
    and can't read a home then. It says so, quickly, and reads it afterwards.
    """

    def is_read() -> None:
        assert _timed(lambda: reader.get("/timeline/timeline", status=None)).body == before

    for _ in range(times):
        eventually(is_read)


def _refused(answer: Answer) -> None:
    answer.assert_problem(503)
    assert int(answer.headers["Retry-After"]) > 0


def test_without_postgres_a_warm_home_is_read_and_writes_are_refused_at_once(stack, people):
    ada, bob = people
    before = ada.get("/timeline/timeline").body
    stack.parts["postgres"].kill()
    for _ in range(3):
        _read_again(ada, before=before, times=1)
        _refused(_timed(lambda: bob.post("/tweet/create", {"text": "no"}, status=None)))
        _refused(_timed(lambda: bob.patch("/auth/update", {"name": "no"}, status=None)))
        _refused(_timed(lambda: ada.get(f"/timeline/user/{bob.id}", status=None)))
    stack.parts["postgres"].start()
    again = eventually(lambda: bob.tweet("after"))
    eventually(lambda: _assert_shown(ada, again))
    assert "no" not in [tweet["text"] for tweet in ada.get("/timeline/timeline").data]


def test_after_postgres_was_away_no_worker_process_fails_its_tasks(stack, people):
    """One of two would do, and another try; but most messages are taken by who fails fast."""
    ada, bob = people
    busy = [bob.tweet(f"busy {number}") for number in range(30)]
    stack.parts["postgres"].kill()
    stack.parts["postgres"].start()
    eventually(lambda: bob.tweet("back"))
    eventually(lambda: _assert_shown(ada, busy[-1]))
    log = stack.folder / "worker.chaos.log"
    before = len(log.read_bytes())
    later = [bob.tweet(f"later {number}") for number in range(30)]

    def assert_all_shown() -> None:
        assert set(later) <= set(ada.home(limit=100))

    eventually(assert_all_shown)
    assert b"the connection is" not in log.read_bytes()[before:]


def test_while_postgres_stands_still_requests_wait_for_it_once(stack, people):
    ada, bob = people
    before = ada.get("/timeline/timeline").body
    stack.parts["postgres"].signal(signal.SIGSTOP)

    def post(_: int) -> float:
        begun = time.monotonic()
        _refused(bob.post("/tweet/create", {"text": "no"}, status=None))
        return time.monotonic() - begun

    with ThreadPoolExecutor(THREADS) as threads:
        waited = list(threads.map(post, range(THREADS)))
    assert max(waited) < WEB_STATEMENT_SECONDS + QUICK_SECONDS
    _read_again(ada, before=before, times=5)
    with ThreadPoolExecutor(THREADS) as threads:
        waited = sorted(threads.map(post, range(THREADS)))
    # Of these, only who tries for its process whether PostgreSQL is back has waited.
    assert waited[-PROCESSES - 1] < CONNECT_SECONDS
    stack.parts["postgres"].signal(signal.SIGCONT)
    _until_each_process_finds_out()
    again = eventually(lambda: bob.tweet("after"))
    eventually(lambda: _assert_shown(ada, again))


@pytest.mark.parametrize("silent", [False, True])
def test_without_redis_all_goes_on_and_nobody_waits_again_and_again(stack, people, silent):
    ada, bob = people
    valkey = stack.parts["valkey"]
    if silent:
        valkey.signal(signal.SIGSTOP)
    else:
        valkey.kill()
    begun = time.monotonic()
    for _ in range(5):
        number = bob.tweet("without")
        assert ada.home()[0] == number
        ada.post("/tweet/like", {"tweet_id": str(number)})
        assert str(number) in ada.get(f"/tweet/id/{number}").json["viewer"]["liked"]
        ada.log_in()
        assert ada.profile(bob.id)["username"] == bob.username
    # 35 requests, each of which would ask Redis several times.
    assert time.monotonic() - begun < 5 * QUICK_SECONDS
    if silent:
        valkey.signal(signal.SIGCONT)
    else:
        valkey.start()
    after = bob.tweet("with it again")
    eventually(lambda: _assert_shown(ada, after))


def test_without_worker_and_relay_tweets_are_taken_and_delivered_later(stack, people):
    ada, bob = people
    for name in ("worker", "relay"):
        stack.parts[name].kill()
    later = [bob.tweet(f"later {number}") for number in range(3)]
    assert bob.home()[:3] == later[::-1]

    def assert_not_shown() -> None:  # a process that Valkey keeps waiting reads PostgreSQL
        assert not set(later) & set(ada.home())

    eventually(assert_not_shown)
    for name in ("worker", "relay"):
        stack.parts[name].start()

    def assert_all_shown() -> None:  # two processes deliver them, in any order
        assert ada.home()[:3] == later[::-1]

    eventually(assert_all_shown, seconds=90)
