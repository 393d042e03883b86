"""Fixtures for accounts."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection


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
