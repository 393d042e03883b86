"""What Prometheus is told; docs/metrics.md has the table.

Off, and then nothing here does anything, until `exporter.begin` makes the instruments.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from time import perf_counter
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

HOME = "/timeline/timeline"
# Where `middleware.Told`, and the shortcut before Django, leave the route of a request and the
# status of its answer.
ANSWERED = "twitter.answered"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# The label of an unknown method, and of a path without a route in twitter/urls.py. Each value of a
# label is kept, so clients must not be able to make up values.
OTHER = "other"
UNKNOWN, STATIC, ADMIN = "(unknown)", "(static)", "(admin)"

# Where a home came from: Redis; Redis, after this read had built it; PostgreSQL, because it was
# being built or does not reach so far; PostgreSQL, because Redis is away.
WARM, BUILT, POSTGRES, DEGRADED = SOURCES = ("warm", "built", "postgres", "degraded")
RESULTS = ("hit", "miss")
# How a run of a task ended: all is done, the rest is done later, or it will be tried again.
DONE, CONTINUED, FAILED = ("done", "continued", "failed")

# A warm read takes half a millisecond, and a time-out is over after some 10 seconds.
REQUEST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
# Most take milliseconds; none longer than TASK_SECONDS.
TASK_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
# A tweet is in the last home after some 50 ms, or after the hours that a broker was away.
LAG_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class Instruments:
    """All that is counted. Gauges say how those of several processes become one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str, mode: Any = "mostrecent") -> Gauge:
            return Gauge(name, text, labels, registry=registry, multiprocess_mode=mode)

        def histogram(name: str, text: str, buckets: Any, *labels: str) -> Histogram:
            return Histogram(name, text, labels, registry=registry, buckets=buckets)

        self.requests = counter(
            "twitter_http_requests_total", "Requests answered.", "method", "route", "status"
        )
        self.request_seconds = histogram(
            "twitter_http_request_duration_seconds",
            "From the request, whole, to the beginning of its answer.",
            REQUEST_SECONDS,
            *("method", "route"),
        )
        self.home_reads = counter(
            "twitter_home_reads_total",
            "Home pages, by where they came from.",
            "source",
        )
        self.cache_lookups = counter(
            "twitter_cache_lookups_total",
            "Tweets and users that pages were joined from, by whether Redis had them.",
            "result",
        )
        self.cache_hits, self.cache_misses = map(self.cache_lookups.labels, RESULTS)
        self.without_redis = counter(
            "twitter_redis_failures_total", "How often something went on without Redis."
        )
        self.refused = counter(
            "twitter_limits_refused_total", "Requests refused by a rate limit.", "bucket"
        )
        self.log_ins = counter(
            "twitter_log_ins_total", "Log-ins whose password was looked at.", "kind", "outcome"
        )
        self.web_threads = gauge(
            "twitter_web_threads", "Threads that answer requests.", mode="livesum"
        )
        self.deliveries = counter(
            "twitter_fan_out_deliveries_total", "Homes that tweets were delivered to."
        )
        self.tasks = counter("twitter_tasks_total", "Runs of tasks.", "task", "outcome")
        self.task_seconds = histogram(
            "twitter_task_duration_seconds", "What a run of a task took.", TASK_SECONDS, "task"
        )
        self.lag = histogram(
            "twitter_outbox_lag_seconds",
            "From an event's transaction to the end of a subscriber's task.",
            LAG_SECONDS,
            "task",
        )
        self.worker_processes = gauge("twitter_worker_processes", "Processes that run tasks.")
        self.outbox = gauge(
            "twitter_outbox_deliveries", "Deliveries that are not done, 100,000 at most.", "state"
        )
        self.outbox_oldest = gauge(
            "twitter_outbox_oldest_seconds", "Age of the oldest such delivery.", "state"
        )
        self.dead_letters = gauge("twitter_outbox_dead_letters", "Deliveries given up.")
        self.outbox_looked = gauge(
            "twitter_outbox_looked_timestamp_seconds", "When the outbox was last looked at."
        )
        self.sent = counter(
            "twitter_outbox_sent_total", "Deliveries that the relay sent to the broker.", "task"
        )
        self.relay_turn = gauge(
            "twitter_relay_turn_timestamp_seconds", "When the relay last looked for what is due."
        )
        self.queue = gauge("twitter_queue_messages", "Messages waiting in the broker.", "queue")


# None while metrics are off.
instruments: Instruments | None = None


class _Noted(threading.local):
    """What is noted of the request that this thread answers."""

    source = WARM


_noted = _Noted()

# What is not written down yet: the seconds of warm reads, and hits of pages. To count at once takes
# a warm read 30 µs, to note and have it done together some 5. Only web writes it down; elsewhere,
# what is noted is dropped.
_NOTED_MOST = 100_000
_warm_reads: dict[int, deque[float]] = {
    status: deque(maxlen=_NOTED_MOST) for status in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED)
}
_hits: deque[int] = deque(maxlen=_NOTED_MOST)


def measured(application: Application) -> Application:
    """Return a WSGI application whose requests are counted; the same one while metrics are off."""
    if instruments is None:
        return application
    its = instruments
    homes = {source: its.home_reads.labels(source).inc for source in SOURCES}
    # To look an instrument up by its labels costs more than to count.
    known: dict[tuple[str, str, int], tuple[Callable[[], None], Callable[[float], None]]] = {}

    def application_measured(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        _noted.source = WARM
        begun = perf_counter()
        blocks = application(environ, start_response)
        seconds = perf_counter() - begun
        route, status = environ.get(ANSWERED, (UNKNOWN, 500))
        method = environ["REQUEST_METHOD"]
        is_page = route == HOME and status in _warm_reads and method == "GET"
        if is_page and _noted.source == WARM:
            _warm_reads[status].append(seconds)
            return blocks
        if method not in METHODS:
            method = OTHER
        key = (method, route, status)
        if key not in known:
            known[key] = (
                its.requests.labels(method, route, status).inc,
                its.request_seconds.labels(method, route).observe,
            )
        count, observe = known[key]
        count()
        observe(seconds)
        if is_page:
            homes[_noted.source]()
        return blocks

    return application_measured


def write_down() -> None:
    """Count what was only noted. Several threads may do so at once: each takes what is left."""
    if instruments is None:
        return
    observe = instruments.request_seconds.labels("GET", HOME).observe
    for status, noted in _warm_reads.items():
        reads = 0
        while noted:
            with suppress(IndexError):
                observe(noted.popleft())
                reads += 1
        instruments.requests.labels("GET", HOME, status).inc(reads)
        instruments.home_reads.labels(WARM).inc(reads)
    hits = 0
    while _hits:
        with suppress(IndexError):
            hits += _hits.popleft()
    instruments.cache_hits.inc(hits)


def home_came_from(source: str) -> None:
    """Note where the page of a home comes from, if Redis does not simply have it."""
    if _noted.source != DEGRADED:
        _noted.source = source


def went_on_without_redis() -> None:
    """Count that Redis was out of reach, and note it of the request."""
    if instruments:
        instruments.without_redis.inc()
        _noted.source = DEGRADED


def looked_up(*, hits: int, misses: int) -> None:
    """Count what a page was joined from."""
    if instruments:
        if hits:
            _hits.append(hits)
        if misses:
            instruments.cache_misses.inc(misses)


def refused(bucket: str) -> None:
    """Count a request that a rate limit refused."""
    if instruments:
        instruments.refused.labels(bucket).inc()


def logged_in(kind: str, *, succeeded: bool) -> None:
    """Count a log-in whose password was looked at."""
    if instruments:
        instruments.log_ins.labels(kind, "succeeded" if succeeded else "failed").inc()


def web_began(*, threads: int) -> None:
    """Tell how many threads a web process has."""
    if instruments:
        instruments.web_threads.set(threads)


def delivered(homes: int) -> None:
    """Count homes that a tweet was delivered to."""
    if instruments:
        instruments.deliveries.inc(homes)


def task_ran(task: str, outcome: str, *, seconds: float, lag: float | None = None) -> None:
    """Measure a run of a task; `lag`: the age of its event, if it has one, when the run ended."""
    if instruments:
        instruments.tasks.labels(task, outcome).inc()
        instruments.task_seconds.labels(task).observe(seconds)
        if lag is not None and outcome == DONE:
            instruments.lag.labels(task).observe(lag)


def worker_processes(processes: int) -> None:
    """Tell how many processes of this worker run tasks."""
    if instruments:
        instruments.worker_processes.set(processes)


def sent(task: str, deliveries: int) -> None:
    """Count deliveries that the relay sent."""
    if instruments:
        instruments.sent.labels(task).inc(deliveries)


def outbox_is(states: Mapping[str, tuple[int, float]], *, dead: int) -> None:
    """Tell what waits in the outbox: how many deliveries of each state, and how old the oldest."""
    if instruments:
        for state, (deliveries, seconds) in states.items():
            instruments.outbox.labels(state).set(deliveries)
            instruments.outbox_oldest.labels(state).set(seconds)
        instruments.dead_letters.set(dead)
        instruments.outbox_looked.set_to_current_time()


def queue_is(queue: str, messages: int) -> None:
    """Tell how many messages wait in one of the broker's queues."""
    if instruments:
        instruments.queue.labels(queue).set(messages)


def relay_turned() -> None:
    """Tell that the relay goes on."""
    if instruments:
        instruments.relay_turn.set_to_current_time()
