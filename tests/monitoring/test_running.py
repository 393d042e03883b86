"""The service, Prometheus and Alertmanager, all real: queries find something, alerts arrive.

`make run` as anybody would start it, with METRICS_PORT.
"""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from celery import current_app

from deploy.local.ports import free_port
from tests.deploy import stack
from tests.e2e.client import Client, User, sign_up
from tests.monitoring.observers import (
    ALERTMANAGER,
    PROMETHEUS,
    Prometheus,
    Webhook,
    eventually,
    get,
    watching,
)
from tests.monitoring.queries import (
    ADDED,
    Query,
    alert_queries,
    grouped_by,
    panel_queries,
    selectors,
)
from twitter.base.observe import metrics
from twitter.outbox import watch

pytestmark = pytest.mark.skipif(
    PROMETHEUS is None or ALERTMANAGER is None,
    reason="needs `apt-get install prometheus prometheus-alertmanager`",
)

ROLES = ("web", "worker", "relay")
DEAD_LETTER = """
    INSERT INTO outbox_delivery
        (event, task, payload, due_at, sends, attempts, last_error, failed_at)
    VALUES ('tweets.tweet_posted', 'timelines.tasks.fan_out', '{}', now(), 1, 20, 'Error', now())"""


@pytest.fixture(scope="module")
def port() -> int:
    """Return the first of three free ports in a row."""
    return free_port()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[stack.Stack]:
    folder = tmp_path_factory.mktemp("service")
    settings = {"METRICS_PORT": str(port), "RATE_LIMIT_EXPORTS_PER_USER": "1/86400"}
    with stack.running(
        folder / "state", folder / "output", PORT=str(free_port()), **settings
    ) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory, service: stack.Stack, port: int
) -> Iterator[tuple[Prometheus, Webhook]]:
    """Return those who watch; the service has done a little of all that it does."""
    jobs = ("read-api", "worker", "relay", "write-api")
    targets = dict(zip(jobs, (port, port + 1, port + 2, port), strict=True))
    with watching(tmp_path_factory.mktemp("watching"), targets) as both:
        eventually(lambda: len(both[0].query("up == 1")) == len(targets))
        use(service.url)
        yield both


@pytest.fixture
def prometheus(watched: tuple[Prometheus, Webhook]) -> Prometheus:
    return watched[0]


def use(url: str) -> User:
    ada, bob = sign_up(url), sign_up(url)
    bob.follow(ada)
    ada.tweet("Hello")
    for _ in range(3):
        bob.home()
    for status in (200, 429):
        bob.get("/auth/export", status=status)
    bob.get("/nowhere/17", status=404)
    wrong = {"username": ada.username, "password": "not it"}
    Client(url).post("/auth/token", wrong, status=401)
    return bob


def names(query: Query) -> str:
    return query.place


KNOWN_VALUES = {
    "source": set(metrics.SOURCES),
    "result": set(metrics.RESULTS),
    "outcome": {"succeeded", "failed", metrics.DONE, metrics.CONTINUED},
    "state": set(watch.STATES),
    "route": {metrics.HOME},
    "job": {"read-api", "write-api", "worker", "relay"},
}


@pytest.mark.parametrize("query", [*panel_queries(), *alert_queries()], ids=names)
def test_what_is_asked_for_is_exported(prometheus: Prometheus, query: Query) -> None:
    current_app.loader.import_default_modules()
    known_values = {**KNOWN_VALUES, "task": set(current_app.tasks)}
    all_labels = set()
    assert selectors(query.expression)
    for metric, matchers in selectors(query.expression):
        series = eventually(lambda metric=metric: prometheus.ask("series", **{"match[]": metric}))
        labels = {label for one in series for label in one}
        all_labels |= labels
        assert {label for label, _, _ in matchers} <= labels, metric
        for label, operator, value in matchers:
            if operator in {"=", "!="}:
                assert value in known_values[label], (metric, label)
    assert grouped_by(query.expression) | query.shown <= all_labels | ADDED


@pytest.mark.parametrize("query", [*panel_queries()], ids=names)
def test_a_panel_shows_something(prometheus: Prometheus, query: Query) -> None:
    assert eventually(lambda: prometheus.query(query.expression))


def test_one_tweet_and_its_reading_are_counted(prometheus: Prometheus, service, port: int) -> None:
    def total(expression: str) -> float:
        found = prometheus.query(f"sum({expression.replace('JOB', 'read-api')})")
        return float(found[0]["value"][1]) if found else 0.0

    warm = 'twitter_home_reads_total{job="JOB", source="warm"}'
    built = 'twitter_home_reads_total{job="JOB", source="built"}'
    asked = 'twitter_http_requests_total{job="JOB", route="/timeline/timeline", status="200"}'
    before = [total(each) for each in (warm, built, asked)]
    lag = total('twitter_outbox_lag_seconds_count{task="timelines.tasks.fan_out"}')
    use(service.url)
    eventually(lambda: [total(each) for each in (warm, built, asked)] != before)
    eventually(lambda: total(asked) == before[2] + 3)
    after = [total(each) for each in (warm, built, asked)]
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 1, 3]
    eventually(
        lambda: total('twitter_outbox_lag_seconds_count{task="timelines.tasks.fan_out"}') > lag
    )


def test_a_process_that_is_killed_takes_no_counts_with_it(service: stack.Stack, port: int) -> None:
    before = requests(port)
    assert before > 10
    [worker] = service.processes()["gunicorn"].children()
    worker.kill()
    eventually(lambda: answers(service.url))
    assert requests(port) > before
    assert sample(port, "twitter_web_threads") == 4
    [new] = service.processes()["gunicorn"].children()
    files = {Path(file.path).name for file in new.memory_maps() if file.path.endswith(".db")}
    assert {"counter_child-0.db", "histogram_child-0.db"} <= files


def answers(url: str) -> bool:
    try:
        return Client(url).get("/auth/healthz").status == 200
    except OSError:
        return False


def requests(port: int) -> float:
    return sum(float(line.split()[-1]) for line in lines(port, "twitter_http_requests_total"))


def sample(port: int, metric: str) -> float:
    [line] = lines(port, metric)
    return float(line.split()[-1])


def lines(port: int, metric: str) -> list[str]:
    return [line for line in get(port, "/metrics").splitlines() if line.startswith(metric)]


def test_the_people_on_duty_are_told_of_a_dead_letter_and_of_its_end(
    watched: tuple[Prometheus, Webhook], service: stack.Stack
) -> None:
    _, webhook = watched
    with psycopg.connect(service.servers()["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(DEAD_LETTER)
        told = eventually(lambda: webhook.alert("DeadLetters", status="firing"))
        assert told["labels"]["severity"] == "warning"
        assert told["annotations"]["summary"].startswith("1 deliveries were given up")
        assert told["annotations"]["runbook"] == "docs/runbook.md#deadletters"
        connection.execute("DELETE FROM outbox_delivery WHERE failed_at IS NOT NULL")
        eventually(lambda: webhook.alert("DeadLetters", status="resolved"))
