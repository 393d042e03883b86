"""Health: is this process alive, and are the parts that it needs?"""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import redis as redis_library
from django.db import DatabaseError, connection
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from twitter.base.data import redis
from twitter.base.data.postgresql.trouble import refusals
from twitter.base.http.requests import query
from twitter.base.http.schema import HEALTH, invalid, problems
from twitter.base.http.shapes import shape

# A process looks no more often than this, however often it is asked: anybody may ask.
LOOK_SECONDS = 1.0
# Both hold when the part was last seen, in seconds since 1970, and expire when it has not been seen
# for so many seconds: what a worker writes when the relay's heartbeat reaches it, and the relay's.
HEARTBEAT_KEY, WORKER_OUT_SECONDS = "outbox:heartbeat", 30
RELAY_KEY, RELAY_OUT_SECONDS = "outbox:relay", 20
STATES = [("ok", "ok"), ("out", "out")]
POSTGRES_STATES = [*STATES, ("read-only", "read-only")]


PARTS = ("postgres", "redis", "relay", "worker")
NO_BOOLEAN = invalid("ready", "Must be a valid boolean.")


class Look:
    """What was last seen of the parts, for all threads of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._again = 0.0  # of the monotonic clock: when to look again
        self._parts: dict[str, str] = {}

    def parts(self) -> dict[str, str]:
        """Return the state of each part; while one thread looks, others get what was seen last."""
        if self._lock.acquire(blocking=not self._parts):
            try:
                if time.monotonic() >= self._again:
                    self._parts = _states()
                    self._again = time.monotonic() + LOOK_SECONDS
            finally:
                self._lock.release()
        return self._parts


look = Look()

Health = shape(
    "Health",
    example={"status": "ok", "parts": dict.fromkeys(PARTS, "ok")},
    status=serializers.ChoiceField(STATES),
    parts=shape(
        "Parts",
        postgres=serializers.ChoiceField(
            POSTGRES_STATES,
            help_text="`read-only`: it refuses writes, and this process is there to write.",
        ),
        **{part: serializers.ChoiceField(STATES) for part in PARTS[1:]},
    )(required=False, help_text="Only when asked with `?ready=1`."),
)


class HealthQuery(serializers.Serializer[Any]):
    """How far to look."""

    ready = serializers.BooleanField(
        default=False, help_text="Also look at PostgreSQL, Redis, relay and worker."
    )


class HealthView(APIView):
    """200 while the process answers; with `?ready=1` 503 when a part that it needs is out."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(
        tags=[HEALTH],
        parameters=[HealthQuery],
        responses={200: Health, 503: Health, **problems(NO_BOOLEAN)},
    )
    def get(self, request: Request) -> Response:
        """Say how this service is.

        200 while the process answers: what a load balancer asks. With `ready=1` 503 when
        PostgreSQL, Redis or the worker is out: what a monitor asks. Not counted by rate limits.
        """
        if not query(HealthQuery, request)["ready"]:
            return Response({"status": "ok"})
        parts = look.parts()
        ready = set(parts.values()) == {"ok"}
        return Response(
            {"status": "ok" if ready else "out", "parts": parts}, status=200 if ready else 503
        )


def _states() -> dict[str, str]:
    return {
        "postgres": _state(_postgres),
        "redis": _state(_redis),
        "relay": _state(partial(_seen, RELAY_KEY)),
        "worker": _state(partial(_seen, HEARTBEAT_KEY)),
    }


def _state(look_at: Callable[[], str]) -> str:
    try:
        return look_at()
    except (DatabaseError, redis_library.RedisError):
        return "out"


def _postgres() -> str:
    """Tell whether PostgreSQL answers, and takes writes from roles that may write at all."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',"
            " has_table_privilege('django_migrations', 'INSERT')"
        )
        refuses, may_write = cursor.fetchone()
    return "read-only" if may_write and (refuses or refusals.recent()) else "ok"


def _redis() -> str:
    return "ok" if redis.client().ping() else "out"


def _seen(key: str) -> str:
    return "ok" if redis.client().exists(key) else "out"


# Each service has these.
ROUTES = (
    path("healthz", HealthView.as_view()),
    path("helthz", HealthView.as_view(schema=None)),  # clients exist that spell it so
)
