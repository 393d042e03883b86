"""Fixtures for accounts."""

from collections.abc import Callable
from typing import Any

import pytest


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
