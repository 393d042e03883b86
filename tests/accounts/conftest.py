"""Fixtures for accounts."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import hashers


@pytest.fixture
def limit(settings: Any) -> Callable[..., None]:
    """Return a function that sets the limits of a kind, and no others of it."""

    def set_limits(kind: str, **limits: tuple[int, int]) -> None:
        named = {subject.replace("_", "-"): each for subject, each in limits.items()}
        settings.RATE_LIMITS = settings.RATE_LIMITS | {kind: named}

    return set_limits


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that receives an entry for each time that a password is hashed from now on."""
    made: list[str] = []
    hasher = type(hashers.get_hasher())
    for name in ("encode", "verify"):
        method = getattr(hasher, name)

        def counting(*args: Any, name: str = name, method: Any = method, **options: Any) -> Any:
            made.append(name)
            return method(*args, **options)

        monkeypatch.setattr(hasher, name, counting)
    return made


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
