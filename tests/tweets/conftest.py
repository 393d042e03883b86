"""Fixtures for tweets."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from tests.conftest import assert_commits


@pytest.fixture
def in_parallel() -> Callable[..., list[Any]]:
    """Return a function that runs others all at once, each with a connection of its own."""

    def run_one(function: Callable[[], Any]) -> Any:
        try:
            return function()
        finally:
            connection.close()

    def run(*functions: Callable[[], Any]) -> list[Any]:
        assert_commits()
        with ThreadPoolExecutor(len(functions)) as pool:
            return list(pool.map(run_one, functions))

    return run
