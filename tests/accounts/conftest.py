"""Fixtures for accounts."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import redis
from django.db import connection
from redis.backoff import NoBackoff
from redis.retry import Retry

from twitter.lib import redis as project_redis


@pytest.fixture
def at_once() -> Callable[..., list[Any]]:
    """Return a function that calls others at the same time, each on a connection of its own.

    Returns what they return or raise, in order.
    """

    def run(*calls: Callable[[], Any]) -> list[Any]:
        barrier = Barrier(len(calls))

        def run_one(call: Callable[[], Any]) -> Any:
            try:
                connection.ensure_connection()
                barrier.wait(10)
                return call()
            except Exception as error:  # noqa: BLE001
                return error
            finally:
                connection.close()

        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(run_one, calls))

    return run


@pytest.fixture
def redis_gone(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function after which Redis is out of reach."""

    def go() -> None:
        nowhere = redis.Redis(port=1, retry=Retry(NoBackoff(), 0))
        monkeypatch.setattr(project_redis, "client", lambda: nowhere)

    return go


def assert_problem(answer: Any, status: int, *fields: str) -> None:
    """Assert that an answer is a problem of that status that names these fields, and only these."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert set(problem.get("errors", {})) == set(fields), problem


@pytest.fixture(name="assert_problem")
def _assert_problem() -> Callable[..., None]:
    return assert_problem
