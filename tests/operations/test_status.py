"""`manage.py status` and `doctor`: what is away, waits too long or is set wrong is told."""

import re
from datetime import timedelta
from io import StringIO

import pytest
import redis
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now

from twitter.operations import status as status_module
from twitter.outbox.management.commands.relay import show_relay
from twitter.outbox.models import Delivery
from twitter.outbox.tasks import heartbeat

pytestmark = pytest.mark.django_db


@pytest.fixture
def status():
    """Return a function that runs the command: its exit code, and its lines by subject."""

    def run(command="status"):
        output, code = StringIO(), 0
        try:
            call_command(command, stdout=output)
        except SystemExit as ended:
            code = ended.code
        run.output = output.getvalue()
        lines = re.findall(r"^(\w+) +(\w+) +(.+)$", output.getvalue(), re.MULTILINE)
        return code, {subject: (level, text) for level, subject, text in lines}

    return run


@pytest.fixture
def all_there():
    show_relay()
    heartbeat()


def test_all_is_well(status, all_there):
    code, lines = status()
    assert code == 0
    assert {level for level, _ in lines.values()} == {"ok"}
    assert lines["migrations"] == ("ok", "all applied")
    assert re.match(r"twitter [\d.]+, Django [\d.]+", lines["code"][1])
    assert re.match(r"\d+\.\d+, .*B, \d+ of \d+ connections$", lines["postgresql"][1])
    assert re.match(r"valkey [\d.]+, \d+ MB of no limit, master", lines["redis"][1])
    assert re.match(r"seen \d s ago", lines["worker"][1])
    assert re.match(r"default \d+, fan_out \d+, heartbeat \d+", lines["queues"][1])


def test_what_it_reads_is_in_the_image():
    ignored = (status_module.PROJECT.parent / ".dockerignore").read_text().splitlines()
    assert f"!{status_module.PROJECT.name}" in ignored


def test_a_worker_or_a_relay_that_is_away_is_named(status):
    show_relay()
    code, lines = status()
    assert code == 1
    assert lines["relay"][0] == "ok"
    assert lines["worker"] == ("WRONG", "not for 30 s")


def test_what_waits_fails_and_was_given_up_is_told(status, all_there):
    def stored(**fields):
        Delivery.objects.create(event="e", task="t", payload={}, **fields)

    later = Now() + timedelta(seconds=60)
    stored(due_at=Now() - timedelta(seconds=100))
    stored(due_at=later, sends=1)
    stored(due_at=later, sends=1, attempts=1, last_error="E")
    code, lines = status()
    assert code == 1
    assert re.match(r"1 due \(the oldest for \d+ s\), 1 failing .*1 sent", lines["outbox"][1])
    assert lines["outbox"][0] == "WRONG"
    assert lines["failing"][0] == "warning"
    Delivery.objects.all().delete()
    stored(due_at=later, failed_at=Now())
    code, lines = status()
    assert (code, lines["dead"]) == (1, ("WRONG", "1 deliveries were given up"))


def test_migrations_that_wait_are_named(status, all_there):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app IN ('outbox', 'privacy')")
    code, lines = status()
    assert code == 1
    assert lines["migrations"][0] == "WRONG"
    assert "outbox.0001_initial" in lines["migrations"][1]


def test_without_redis_the_rest_is_told(status, all_there, redis_gone):
    redis_gone()
    code, lines = status()
    assert code == 1
    assert {subject for subject, (level, _) in lines.items() if level == "WRONG"} == {
        "redis",
        "processes",
    }
    assert lines["outbox"][0] == "ok"


# --- doctor ---------------------------------------------------------------------------------------
def test_the_doctor_finds_nothing_wrong_here(status):
    code, lines = status("doctor")
    assert code == 0
    assert {"variables", "checks", "postgresql", "redis", "broker", "clocks", "disk"} == set(lines)


def test_the_doctor_names_what_is_misspelt(status, monkeypatch):
    monkeypatch.setenv("RATE_LIMIT_READS_PER_USR", "1/1")
    code, lines = status("doctor")
    assert code == 1
    assert lines["variables"] == (
        "WRONG",
        "RATE_LIMIT_READS_PER_USR is no variable; is RATE_LIMIT_READS_PER_USER meant?",
    )


def test_the_doctor_says_that_clocks_are_apart(status, monkeypatch):
    time = redis.Redis.time

    def fast(self):
        seconds, microseconds = time(self)
        return seconds + 3, microseconds

    monkeypatch.setattr(redis.Redis, "time", fast)
    code, lines = status("doctor")
    assert code == 1
    assert re.match(r"PostgreSQL's and Redis' are [23]\.\d s apart", lines["clocks"][1])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, "may throw out messages"),
        ({"maxmemory_policy": "noeviction", "maxmemory": 1_000}, "a full cache stops all"),
        ({"role": "slave"}, "leads to a replica"),
    ],
)
def test_the_doctor_looks_at_redis(status, monkeypatch, changes, text):
    info = redis.Redis.info
    monkeypatch.setattr(redis.Redis, "info", lambda self: {**info(self), **changes})
    code, _ = status("doctor")
    assert code == 1
    assert text in status.output


@pytest.mark.parametrize(
    ("cache", "queues", "shared"),
    [
        ("redis://one:6379/0", "redis://other:6379/0", False),
        ("redis://:secret@one:6379/0", "redis://:secret@other:6379/0", False),
        ("redis://one/0", "redis://:secret@one:6379/1", True),
    ],
)
def test_the_doctor_tells_servers_apart_by_host_and_port(
    status, monkeypatch, settings, cache, queues, shared
):
    info = redis.Redis.info
    evicting = {"maxmemory_policy": "allkeys-lru", "maxmemory": 1_000}
    monkeypatch.setattr(redis.Redis, "info", lambda self: {**info(self), **evicting})
    settings.REDIS_URL, settings.CELERY_BROKER_URL = cache, queues
    settings.BROKER_IS_REDIS = True
    status("doctor")
    assert ("may throw out messages" in status.output) == shared


def test_the_doctor_finds_a_name_that_leads_to_several_servers(status, monkeypatch):
    info, ids = redis.Redis.info, iter("abcdefgh")
    monkeypatch.setattr(
        redis.Redis, "info", lambda self: {**info(self), "master_replid": next(ids)}
    )
    code, _ = status("doctor")
    assert code == 1
    assert "5 connections led to 5 servers with other data" in status.output
