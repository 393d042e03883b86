"""The WSGI application in this process, without a server around it."""

import gc
import io
import random
import resource
from collections.abc import Sequence
from functools import _lru_cache_wrapper
from typing import TYPE_CHECKING, Any

from tests.bench.data import SEED
from tests.bench.figures import Figure, alternate, say
from tests.bench.reads import HOME
from tests.bench.scale import Scale
from twitter.wsgi import application

OURS = ("accounts", "tweets", "timelines", "twitter")
WARM_UPS = 50

if TYPE_CHECKING:
    Cache = _lru_cache_wrapper[Any]


def measure(scale: Scale, tokens: Sequence[str]) -> list[Figure]:
    """Return what a read takes of a home that this process has not served, each reader once."""
    say("reads in one process without a server")
    order = random.Random(SEED).sample(tokens, len(tokens))
    fresh = iter(order)
    _cpu_of([next(fresh) for _ in range(WARM_UPS)])
    calls = min(scale.calls, (len(order) - WARM_UPS) // (2 * scale.rounds))
    caches = _caches()
    spent = alternate(
        {
            "as it is": lambda: _cpu_of([next(fresh) for _ in range(calls)]),
            "off": lambda: _cpu_of([next(fresh) for _ in range(calls)], without=caches),
        },
        rounds=scale.rounds,
        what="the WSGI application",
    )
    return [
        Figure(
            name="cpu_in_the_application",
            title="CPU in the WSGI application of a home that this process has not served before",
            unit="µs",
            rounds=spent["as it is"],
            target=300,
            most=True,
            detail=f"{calls} readers each round, each once",
        ),
        *_of_caches(order, scale, caches, spent["off"]),
    ]


def _of_caches(
    tokens: Sequence[str], scale: Scale, caches: Sequence["Cache"], off: Sequence[float]
) -> list[Figure]:
    """Return how often what a process keeps is of use, and what a read takes without it."""
    for cache in caches:
        cache.cache_clear()
    _cpu_of(random.Random(SEED).choices(tokens, k=scale.calls * scale.rounds))
    used = {
        f"{cache.__module__}.{cache.__name__}": cache.cache_info().hits / asked
        for cache in caches
        if (asked := cache.cache_info().hits + cache.cache_info().misses)
    }
    told = ", ".join(f"{name} {rate:.0%}" for name, rate in used.items())
    return [
        Figure(
            name="hit_rate_in_a_process",
            title="hits of what a process keeps, the worst of it, readers at random",
            unit="of the reads",
            rounds=[min(used.values())] if used else [],
            detail=told or "nothing is kept",
        ),
        Figure(
            name="cpu_in_the_application_off",
            title="CPU in the WSGI application without what a process keeps",
            unit="µs",
            rounds=off if used else [],
            detail="" if used else "nothing is kept",
        ),
    ]


def _caches() -> list["Cache"]:
    return [
        each
        for each in gc.get_objects()
        if isinstance(each, _lru_cache_wrapper)
        and each.__module__.partition(".")[0] in OURS
        and each.cache_info().maxsize
    ]


def _cpu_of(tokens: Sequence[str], *, without: Sequence["Cache"] = ()) -> float:
    """Return the µs of CPU that each read takes."""
    before = _cpu()
    for token in tokens:
        for cache in without:
            cache.cache_clear()
        _read(token)
    return (_cpu() - before) / len(tokens) * 1e6


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _read(token: str) -> None:
    statuses = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": HOME,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_ACCEPT": "application/json",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    answer: Any = application(environ, lambda status, headers, error=None: statuses.append(status))
    b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    if not statuses[0].startswith("20"):
        raise AssertionError(f"answered {statuses[0]}")
