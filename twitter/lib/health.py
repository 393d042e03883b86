"""Health: is this process alive, and are the parts that it needs?"""

import threading
import time
from collections.abc import Callable
from typing import Any

import redis as redis_library
from django.db import DatabaseError, connection
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from twitter.lib import redis
from twitter.lib.requests import query
from twitter.lib.shapes import shape

# A process looks no more often than this, however often it is asked: anybody may ask.
LOOK_SECONDS = 1.0
HEARTBEAT_KEY = "outbox:heartbeat"
STATES = [("ok", "ok"), ("out", "out")]


PARTS = ("postgres", "redis", "worker")


class Look:
    """What was seen of the parts of late, for all threads of a process."""

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
    parts=shape("Parts", **{part: serializers.ChoiceField(STATES) for part in PARTS})(
        required=False, help_text="Only when asked with `?ready=1`."
    ),
)


class HealthQuery(serializers.Serializer[Any]):
    """How far to look."""

    ready = serializers.BooleanField(
        default=False, help_text="Also look at Postgres, Redis and the worker."
    )


class HealthView(APIView):
    """200 while the process answers; with `?ready=1` 503 when a part that it needs is out."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(
        parameters=[HealthQuery],
        responses={200: Health, 503: Health},
    )
    def get(self, request: Request) -> Response:
        """Say how this service is."""
        if not query(HealthQuery, request)["ready"]:
            return Response({"status": "ok"})
        parts = look.parts()
        ready = set(parts.values()) == {"ok"}
        return Response(
            {"status": "ok" if ready else "out", "parts": parts}, status=200 if ready else 503
        )


def _states() -> dict[str, str]:
    return {
        "postgres": _state(_postgres_answers),
        "redis": _state(_redis_answers),
        "worker": _state(_worker_beats),
    }


def _state(answers: Callable[[], bool]) -> str:
    try:
        return "ok" if answers() else "out"
    except (DatabaseError, redis_library.RedisError):
        return "out"


def _postgres_answers() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone() is not None


def _redis_answers() -> bool:
    return bool(redis.client().ping())


def _worker_beats() -> bool:
    """Tell whether a heartbeat went through relay, broker and worker of late."""
    return bool(redis.client().exists(HEARTBEAT_KEY))
