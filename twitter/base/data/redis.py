"""The ordinary way to Redis, and what to do without it.

The client is django-redis' pooled one, for work that no request waits for. Requests go through
`resp`, which does not wait again and again for a Redis that keeps silent.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import redis
from django_redis import get_redis_connection

from twitter.base.observe import metrics

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger(__name__)


def client() -> redis.Redis:
    """Return the pooled client of the cache; answers are bytes."""
    connection: redis.Redis = get_redis_connection("default")
    return connection


def without_redis(answer: Callable[[], Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function so that it returns `answer()` when Redis is out of reach.

    Postgres holds everything that Redis does, so a reader goes on without it, slower.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except redis.RedisError as error:
                logger.warning("%s goes on without Redis: %s", function.__qualname__, error)
                metrics.went_on_without_redis()
                fallback: R = answer()
                return fallback

        return wrapper

    return decorate
