"""Whether the service is set up right: variables, servers, clocks, memory, disk."""

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celery import current_app
from django.conf import settings
from django.core import checks
from django.db import connection

from twitter.base.data import redis
from twitter.base.environment import misspelt
from twitter.operations.findings import Finding, fine, judged, warning, wrong

# Older ones were not tried.
OLDEST_POSTGRESQL = 14
# Stamps of cached values compare the clocks of PostgreSQL and Redis (twitter/base/data/stamped.py).
CLOCK_SECONDS = 1.0
CONNECTIONS = 5
FREE_PART = 0.1


def variables() -> Iterator[Finding]:
    """Find variables that look misspelt. What makes no sense was refused before this ran."""
    found = list(misspelt())
    for name, meant in found:
        yield wrong("variables", f"{name} is no variable; is {meant} meant?")
    if not found:
        yield fine("variables", f"make sense; TWITTER_ENV is {_environment()}")


def _environment() -> str:
    return "production" if settings.PRODUCTION else "development"


def django_checks() -> Iterator[Finding]:
    """Find what Django's own checks say, in production those for a deployment too."""
    messages = checks.run_checks(include_deployment_checks=settings.PRODUCTION)
    told = [message for message in messages if not message.is_silenced()]
    for message in told:
        finding = wrong if message.is_serious() else warning
        yield finding("checks", f"{message.id}: {' '.join(message.msg.split())}")
    if not told:
        yield fine("checks", "Django has nothing to say")


def postgresql() -> Iterator[Finding]:
    """Find whether the service can work with this PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version_num')::int / 10000,"
            " current_setting('server_encoding'), current_setting('max_connections')::int,"
            " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
            " current_setting('shared_preload_libraries')"
        )
        version, encoding, most, used, libraries = cursor.fetchone()
    yield judged(
        "postgresql",
        f"version {version}, {encoding}",
        right=version >= OLDEST_POSTGRESQL and encoding == "UTF8",
    )
    spare = most - used
    yield (fine if spare > most / 10 else wrong)(
        "postgresql", f"{spare} of {most} connections are free"
    )
    if "pg_stat_statements" not in libraries:
        yield warning(
            "postgresql", "pg_stat_statements is not loaded: slow statements can't be found later"
        )


def clocks() -> Iterator[Finding]:
    """Find how far the clocks of PostgreSQL, Redis and this machine are apart."""
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        postgresql_time = float(cursor.fetchone()[0])
    seconds, microseconds = redis.client().time()
    took = time.time() - before
    redis_time = seconds + microseconds / 1_000_000
    apart = max(0.0, abs(redis_time - postgresql_time) - took)
    ours = max(0.0, abs(before - postgresql_time) - took)
    text = (
        f"PostgreSQL's and Redis' are {apart:.1f} s apart, PostgreSQL's and this one's {ours:.1f} s"
    )
    yield judged("clocks", text, right=max(apart, ours) <= CLOCK_SECONDS)


def redis_server() -> Iterator[Finding]:
    """Find whether Redis is one server, may be written to, and evicts only what it may."""
    pool = redis.client().connection_pool
    seen: list[Mapping[str, Any]] = []
    for _ in range(CONNECTIONS):
        pool.disconnect()  # the next command connects again, by the same name
        seen.append(redis.client().info())
    ids = {info.get("master_replid") for info in seen}
    if None in ids:
        yield wrong("redis", "INFO does not tell master_replid, without which it can't be used")
    if len(ids) > 1:
        yield wrong("redis", f"{CONNECTIONS} connections led to {len(ids)} servers with other data")
    if any(info["role"] != "master" for info in seen):
        yield wrong("redis", "the address leads to a replica, which takes no writes")
    if len(ids) == 1 and seen[0]["role"] == "master":
        yield fine("redis", f"one primary, {seen[0]['redis_version']}")
    yield _memory(seen[-1])


def _memory(info: Mapping[str, Any]) -> Finding:
    policy, limit = info.get("maxmemory_policy", "unknown"), int(info.get("maxmemory", 0))
    places = {_place(settings.CELERY_BROKER_URL), _place(settings.REDIS_URL)}
    queues_too = settings.BROKER_IS_REDIS and len(places) == 1
    if policy.startswith("allkeys") and queues_too:
        return wrong(
            "redis", f"maxmemory-policy {policy} may throw out messages: take volatile-lfu"
        )
    if policy == "noeviction" and limit:
        return wrong(
            "redis", "maxmemory-policy noeviction: a full cache stops all: take volatile-lfu"
        )
    if not limit:
        return warning("redis", "maxmemory is not set: it grows until the machine has no more")
    return fine("redis", f"maxmemory {limit:,} bytes, {policy}")


def _place(url: str) -> tuple[str | None, int]:
    """Return which server an address of Redis leads to: its host and port."""
    address = urlsplit(url)
    return address.hostname, address.port or 6379


def broker() -> Iterator[Finding]:
    """Find whether the broker answers."""
    with current_app.connection_for_write() as link:
        link.ensure_connection(max_retries=0, timeout=5)
        yield fine("broker", str(link.transport.driver_type))


def disk() -> Iterator[Finding]:
    """Find how much room there is where PostgreSQL writes, if that is on this machine."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT CASE WHEN pg_has_role('pg_read_all_settings', 'MEMBER')"
            " THEN current_setting('data_directory') ELSE '' END"
        )
        [folder] = cursor.fetchone()
    if not folder or not os.access(Path(folder).parent, os.X_OK) or not Path(folder).exists():
        yield warning("disk", "PostgreSQL's is not seen from here: watch its free space")
        return
    usage = shutil.disk_usage(folder)
    yield judged(
        "disk",
        f"{usage.free / 2**30:,.1f} GB of {usage.total / 2**30:,.1f} GB are free",
        right=usage.free > usage.total * FREE_PART,
    )
