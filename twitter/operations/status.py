"""How the service is right now: versions, migrations, who runs, what waits."""

import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from twitter.base.data import redis
from twitter.base.http.health import HEARTBEAT_KEY, RELAY_KEY, RELAY_OUT_SECONDS, WORKER_OUT_SECONDS
from twitter.operations.findings import Finding, fine, judged, warning
from twitter.outbox import watch

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
# What is due is sent within a second or two; the alert DeliveriesNotSent comes after as much.
DUE_SECONDS = 60
# No more names than this; the rest is a number.
NAMES = 5


def code() -> Iterator[Finding]:
    """Find the version of the service and of what it is made with."""
    version = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["version"]
    yield fine("code", f"twitter {version}, Django {django.__version__}")


def postgresql() -> Iterator[Finding]:
    """Find its version, size and connections, and the migrations that it lacks."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version'),"
            " pg_size_pretty(pg_database_size(current_database())),"
            " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
            " current_setting('max_connections')::int,"
            " pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'"
        )
        version, size, used, most, read_only = cursor.fetchone()
    yield judged(
        "postgresql",
        f"{version}, {size}, {used} of {most} connections"
        + (", takes no writes" if read_only else ""),
        right=not read_only,
    )
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    yield judged(
        "migrations", _listed([str(one) for one, _ in plan]) or "all applied", right=not plan
    )


def _listed(names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return f"{len(names)} to apply: {', '.join(names[:NAMES])}{more}"


def redis_server() -> Iterator[Finding]:
    """Find its version, memory and role."""
    info: dict[str, Any] = redis.client().info()
    name = info.get("server_name", "redis")
    version = info.get(f"{name}_version", info["redis_version"])
    limit = int(info.get("maxmemory", 0))
    yield judged(
        "redis",
        f"{name} {version}, {_mebibytes(info['used_memory'])} of"
        f" {_mebibytes(limit) if limit else 'no limit'}, {info['role']},"
        f" up for {info['uptime_in_seconds']} s",
        right=info["role"] == "master",
    )


def _mebibytes(number: int) -> str:
    return f"{number / 2**20:,.0f} MB"


def processes() -> Iterator[Finding]:
    """Find when relay and worker were last seen."""
    parts = {
        "relay": (RELAY_KEY, RELAY_OUT_SECONDS),
        "worker": (HEARTBEAT_KEY, WORKER_OUT_SECONDS),
    }
    for subject, (key, seconds) in parts.items():
        at = redis.client().get(key)
        text = f"seen {max(0, time.time() - int(at)):.0f} s ago" if at else f"not for {seconds} s"
        yield judged(subject, text, right=at is not None)


def outbox() -> Iterator[Finding]:
    """Find what waits in the outbox, how long, and what was given up."""
    states, dead = watch.outbox()
    late = states["due"][1] > DUE_SECONDS
    text = ", ".join(
        f"{number} {state}" + (f" (the oldest for {age:.0f} s)" if number else "")
        for state, (number, age) in states.items()
    )
    yield judged("outbox", text, right=not late)
    if states["failing"][0]:
        yield warning("failing", "the admin has the last error of each under Deliveries")
    yield judged("dead", f"{dead} deliveries were given up" if dead else "none", right=not dead)


def queues() -> Iterator[Finding]:
    """Find how many messages wait in each queue of the broker."""
    lengths = watch.queue_lengths()
    yield fine("queues", ", ".join(f"{queue} {number}" for queue, number in lengths.items()))
