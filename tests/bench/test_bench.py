"""The bench itself: its smallest form ends, with every figure; its parts do what they say."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from deploy.local import bootstrap
from deploy.local.supervisor import Supervisor
from tests.bench.figures import Figure, alternate, number, ratios
from tests.bench.load import Client, Job, LoadError, LoadGenerator, get
from tests.bench.mixes import Deck, Mix

ROOT = Path(__file__).resolve().parents[2]
# Not fan-outs, growth and what watching costs, which would take a minute more; `make bench
# ARGS="--quick"` runs them too.
AREAS = ("counts", "reads", "cold", "costs", "writes", "population", "verify")
WAYS, MIXES = ("pool", "run"), ("reads", "some", "many")
# Each figure of these, and whether it has a target.
FIGURES = {
    "home_against_default": True,
    "home_against_same": False,
    "home_against_plain": True,
    "home_against_best_sql": True,
    "load_generator": False,
    "sql_of_a_warm_read": True,
    "round_trips_of_a_warm_read": True,
    "round_trips_with_merged_authors": True,
    "cold_against_warm": True,
    "any_cold_against_warm": False,
    "miss_against_warm": False,
    "deep_against_warm": False,
    "many_against_warm": False,
    "author_against_warm": False,
    "cpu_web": False,
    "cpu_worker": False,
    "cpu_relay": False,
    "cpu_postgresql": False,
    "cpu_valkey": False,
    "cpu_load_generator": False,
    "cpu_of_a_bare_view": False,
    "warm_reads": False,
    "post_against_insert": True,
    "posts_done_against_insert": True,
    "cpu_of_a_post": True,
    "plain_post_against_insert": False,
    "one_liked_against_many": True,
    "wrong_like_counts": True,
    "different_tweets": True,
    "deliveries_of_a_post": True,
    "bytes_of_a_home": True,
    "cpu_in_the_application": True,
    "hit_rate_in_a_process": False,
    "cpu_in_the_application_off": False,
    **{f"population_{way}_{mix}": True for way, mix in product(WAYS, MIXES)},
    **{f"p99_{way}_{mix}": mix != "reads" for way, mix in product(WAYS, MIXES)},
    "bare_under_granian": False,
    "bare_under_gthread": False,
    **{f"cpu_of_a_read_{way}": False for way in WAYS},
    **{f"reads_for_a_core_{way}": False for way in WAYS},
    **{f"cpu_of_a_post_{way}": False for way in WAYS},
    "valkey_cpu_of_a_read": True,
    "population_nginx": False,
    "not_modified": False,
    "memory_of_a_web_process": True,
}
# These are not measured where there is no nginx, no ETag, or nothing that a process keeps.
PERHAPS = {
    *("population_nginx", "not_modified"),
    *("hit_rate_in_a_process", "cpu_in_the_application_off"),
}


def test_the_smallest_bench_has_every_figure_and_leaves_homes_right(tmp_path: Path) -> None:
    options = ["--quick", "--only", *AREAS, "--output", str(tmp_path)]
    done = subprocess.run(
        bootstrap.command("bench", "python", "-m", "deploy.local", "bench", *options),
        cwd=ROOT,
        env={**os.environ, "WEB_WORKERS": "1"},
        capture_output=True,
        text=True,
        timeout=420,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    written = json.loads((tmp_path / "benchmarks.json").read_text())
    figures = {figure["name"]: figure for figure in written["figures"]}
    assert {name: figure["target"] is not None for name, figure in figures.items()} == FIGURES
    for name, figure in figures.items():
        if figure["rounds"]:
            assert figure["min"] <= figure["value"] <= figure["max"]
        else:
            assert name in PERHAPS
            assert figure["detail"]
    assert figures["wrong_like_counts"]["value"] == 0
    verified = [text for title, text in written["texts"].items() if "verify_timelines" in title]
    assert len(verified) == 3
    for text in verified:
        assert " homes compared, 0 differ." in text
    assert not any(text.startswith("0 ") for text in verified[1:])
    sql = figures["sql_of_a_warm_read"]["detail"]
    assert "600 likes: 0" in sql
    document = (tmp_path / "benchmarks.md").read_text()
    assert "| warm home against the plain Django way | ≥ 12 | **" in document
    assert len(list((tmp_path / "benchmarks").glob("*.png"))) == 3


def test_a_figure_is_the_median_and_knows_its_target() -> None:
    figure = Figure(name="n", title="t", unit="u", rounds=[1, 5, 3], target=3)
    assert (figure.value, figure.met, figure.wanted) == (3, True, "≥ 3")
    most = Figure(name="n", title="t", unit="u", rounds=[3.5], target=3, most=True)
    assert (most.met, most.verdict, most.wanted) == (False, "missed", "≤ 3")
    assert Figure(name="n", title="t", unit="u", rounds=[1]).met is None
    assert [number(value) for value in (0, 0.12345, 12.345, 1234.5)] == [
        "0",
        "0.123",
        "12.3",
        "1,234",
    ]


def test_contestants_take_turns_in_going_first() -> None:
    calls: list[str] = []

    def contestant(name: str, value: float) -> float:
        calls.append(name)
        return value

    results = alternate(
        {"a": lambda: contestant("a", 1), "b": lambda: contestant("b", 2)}, rounds=2, what="test"
    )
    assert calls == ["a", "b", "b", "a"]
    assert ratios(results["a"], results["b"]) == [0.5, 0.5]


APP = """
import json, time
stalled = []
def application(environ, start_response):
    path = environ["PATH_INFO"]
    token = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
    if path == "/stalling" and not stalled:
        stalled.append(time.sleep(0.5))
    if environ.get("HTTP_IF_NONE_MATCH"):
        start_response("304 Not Modified", [])
        return []
    if path == "/page":
        body = json.dumps({"data": [{"id": "of " + token}]}, separators=(",", ":")).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    if path == "/tweet/like" and json.load(environ["wsgi.input"]) != {"tweet_id": "of " + token}:
        path = "/broken"
    status = "500 Internal Server Error" if path == "/broken" else "200 OK"
    body = path.encode() * 10_000
    start_response(status, [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.fixture(params=["gthread", "sync"])
def port(request: pytest.FixtureRequest, tmp_path: Path, unused_port: int) -> Iterator[int]:
    """Return where gunicorn serves APP; the sync worker closes after each answer."""
    (tmp_path / "answering.py").write_text(APP)
    supervisor = Supervisor()
    command = [sys.executable, "-m", "gunicorn", "--chdir", str(tmp_path), "-k", request.param]
    command += ["--bind", f"127.0.0.1:{unused_port}", "--no-control-socket", "answering"]
    supervisor.start("web", command, log=tmp_path / "log")
    try:
        supervisor.wait(lambda: _listens(unused_port), seconds=30)
        yield unused_port
    finally:
        supervisor.__exit__(None, None, None)


@pytest.fixture
def unused_port() -> int:
    from deploy.local.ports import free_port

    return free_port()


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_load_generator_sends_each_request_once_and_counts_errors(port: int) -> None:
    with LoadGenerator() as load:
        done = load.run(Job(port=port, requests=[get("/hello")] * 300, connections=4))
        assert done.requests == 300
        assert done.bytes > 300 * 60_000
        assert 0 < done.p50 <= done.p99
        with pytest.raises(LoadError, match="answered 500"):
            load.run(Job(port=port, requests=[get("/hello")] * 99 + [get("/broken")]))
        timed = load.run(Job(port=port, requests=[get("/hello")], seconds=0.3))
        assert timed.requests >= 50
        load.begin(Job(port=port, requests=[get("/hello")], seconds=600))
        load.stop()
        assert load.result().seconds < 60


def deck(folder: Path) -> Deck:
    readers, authors = [f"reader{number}" for number in range(50)], ["author1", "author2"]
    return Deck.of(folder / "deck", readers=readers, authors=authors, texts=["Hello", "there"])


def test_a_mix_likes_what_its_reader_has_just_read(port: int, tmp_path: Path) -> None:
    mix = Mix(
        deck=deck(tmp_path),
        path="/page",
        reads_at=port,
        writes_at=port,
        posts=0.2,
        likes=0.2,
        seconds=0.5,
        lanes=4,
    )
    with LoadGenerator() as load:
        done = load.run(mix)  # the server answers 500 to a like of another page's tweet
    assert done.requests >= 50
    assert done.posts
    assert done.likes
    assert done.reads > max(done.posts, done.likes)


def test_an_open_load_does_not_wait_for_a_server_that_stands_still(
    port: int, tmp_path: Path
) -> None:
    mix = Mix(
        deck=deck(tmp_path),
        path="/stalling",
        reads_at=port,
        writes_at=port,
        seconds=0.8,
        rate=100,
        lanes=4,
    )
    with LoadGenerator() as load:
        done = load.run(mix)
    assert done.reads == 80
    # Most were due in that half second, though four at a time were sent.
    assert done.p50 > 50


def test_an_answer_that_says_not_modified_has_no_body(port: int) -> None:
    requests = [get("/hello", 'If-None-Match: "it"')] * 100
    with LoadGenerator() as load:
        done = load.run(Job(port=port, requests=requests, connections=4))
    assert done.requests == 100
    assert done.bytes < 100 * 500


def test_the_client_returns_bodies_and_refuses_errors(port: int) -> None:
    client = Client(port)
    assert client.body(get("/hello")) == b"/hello" * 10_000
    assert client.seconds(get("/hello")) > 0
    with pytest.raises(LoadError, match="answered 500"):
        client.body(get("/broken"))
    client.close()
