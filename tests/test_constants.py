"""Constants that rest on each other: a change of one fails here, and shows what rests on it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from timelines.home import store
from tweets import purging
from tweets.posts import reads
from twitter import events
from twitter.base.data import stamped
from twitter.base.data.ids import time_of
from twitter.base.http import health

WEB_STATEMENT_SECONDS = 10  # the default


def told(expression: str, **environment: str) -> str:
    """Return what a process that is started with these variables makes of an expression."""
    script = f"import django; django.setup(); from twitter import events; print({expression})"
    done = subprocess.run(
        [sys.executable, "-c", f"from django.conf import settings; {script}"],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "twitter.settings", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("seconds", "who", "holds"),
    [
        (1, "client backend", True),
        (29, "client backend", True),
        (31, "client backend", False),
        (29, "autovacuum worker", False),
    ],
)
def test_news_wait_for_whatever_a_request_may_still_write_and_for_nothing_else(seconds, who, holds):
    """No statement begins after 20 seconds, and none takes more than 10."""
    with connection.cursor() as cursor:
        # Found before the real one: a writer that began so long ago.
        cursor.execute(
            "CREATE TEMP TABLE pg_stat_activity ON COMMIT DROP AS"
            " SELECT current_database() AS datname, 0 AS pid, '7'::xid AS backend_xid,"
            " %s AS backend_type,"
            " statement_timestamp() - make_interval(secs => %s) AS xact_start,"
            " statement_timestamp() AS query_start",
            [who, seconds],
        )
        cursor.execute("SELECT statement_timestamp()")
        [(now,)] = cursor.fetchall()
        behind = (now - time_of(reads.settled().id)).total_seconds()
        cursor.execute("DROP TABLE pg_temp.pg_stat_activity")
    assert behind == pytest.approx(seconds if holds else 0, abs=0.9)


def test_the_longest_write_is_what_a_request_may_take():
    longest = settings.REQUEST_SECONDS + WEB_STATEMENT_SECONDS
    assert longest == reads.LONGEST_WRITE_SECONDS == settings.LONGEST_REQUEST_SECONDS
    assert told("settings.LONGEST_REQUEST_SECONDS", WEB_STATEMENT_SECONDS="40") == "60"


def test_what_waits_for_all_to_end_outlasts_requests_tasks_and_builds():
    longest = max(settings.CELERY_TASK_TIME_LIMIT, reads.LONGEST_WRITE_SECONDS)
    assert longest < events.ALL_ENDED_SECONDS < 2 * longest
    assert events.ALL_ENDED_SECONDS > store.BUILD_SECONDS
    assert float(told("events.ALL_ENDED_SECONDS", TASK_SECONDS="5")) > 30
    assert float(told("events.ALL_ENDED_SECONDS", TASK_SECONDS="900")) > 900


def test_a_message_is_sent_again_by_redis_only_after_its_task_must_have_ended():
    timeout = "settings.CELERY_BROKER_TRANSPORT_OPTIONS['visibility_timeout']"
    redis = {"CELERY_BROKER_URL": "redis://127.0.0.1:1/1"}
    assert told(timeout, **redis) == "300"
    assert told(timeout, TASK_SECONDS="900", **redis) == "2250"
    assert settings.CELERY_TASK_SOFT_TIME_LIMIT < settings.CELERY_TASK_TIME_LIMIT


def test_a_build_that_a_request_makes_may_take_as_long_as_the_request():
    assert store.BUILD_SECONDS == reads.LONGEST_WRITE_SECONDS


def test_absence_is_cached_only_of_what_no_request_may_still_commit():
    assert stamped.NEW_SECONDS > reads.LONGEST_WRITE_SECONDS + stamped.FILL_SECONDS


def test_the_mark_of_a_removal_outlasts_every_writer_and_dies_before_the_tombstone():
    assert 100 * events.ALL_ENDED_SECONDS < store.REMOVED_SECONDS
    assert purging.KEEP_TOMBSTONES.total_seconds() > store.REMOVED_SECONDS


def test_a_heartbeat_or_two_may_be_late():
    every = events.EVERY["twitter.outbox.tasks.heartbeat"]
    assert 3 * every <= health.WORKER_OUT_SECONDS <= 6 * every
    assert every > health.LOOK_SECONDS
