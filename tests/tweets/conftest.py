"""Fixtures for tweets."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def in_parallel(at_once: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """Return `at_once`, but that it raises what one of the functions raised."""

    def run(*functions: Callable[[], Any]) -> list[Any]:
        results = at_once(*functions)
        for result in results:
            if isinstance(result, Exception):
                raise result
        return results

    return run
