"""The same reads through nginx, with the shipped configuration and the read pool behind it."""

import http.client
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil

from tests.bench.figures import Figure, number, ratios
from tests.bench.load import Job, LoadGenerator, get
from tests.bench.reads import HOME
from tests.bench.scale import Scale
from tests.bench.stack import Server, cpu_seconds
from tests.deploy import proxy

# Readers of these rows.
READERS = 500
# A 304 is a head alone; the page would have some 12 KB.
HEAD_BYTES = 2_000

NO_NGINX = "no nginx on this machine: not measured"
NO_ETAG = "no ETag in the answers: not measured"


class Nginx:
    """What is measured through nginx; nothing, if `port` is None."""

    def __init__(self, port: int | None) -> None:
        self._port = port
        self._cpu: list[float] = []  # µs of nginx for each read
        self._bytes = 0.0
        self._tagged: list[bytes] = []

    def contestants(
        self, load: LoadGenerator, scale: Scale, readers: Sequence[str]
    ) -> dict[str, Callable[[], float]]:
        """Return what takes turns with all else, by name."""
        if self._port is None:
            return {}
        few = readers[:: max(len(readers) // READERS, 1)]
        found: dict[str, Callable[[], float]] = {"nginx": partial(self._reads, load, scale, few)}
        if self._etag(few[0]):
            found["304"] = partial(self._not_modified, load, scale, few)
        return found

    def _reads(self, load: LoadGenerator, scale: Scale, readers: Sequence[str]) -> float:
        requests = [get(HOME, token=token) for token in readers]
        job = Job(port=self._port or 0, requests=requests, seconds=scale.seconds)
        before = _spent()
        done = load.run(job)
        self._cpu.append((_spent() - before) / done.requests * 1e6)
        return done.per_second

    def _not_modified(self, load: LoadGenerator, scale: Scale, readers: Sequence[str]) -> float:
        """Ask with the ETags just got: other rows have posts, which change pages."""
        requests = [
            get(HOME, "Accept-Encoding: gzip", f"If-None-Match: {self._etag(token)}", token=token)
            for token in readers
        ]
        done = load.run(Job(port=self._port or 0, requests=requests, seconds=scale.seconds))
        self._bytes = done.bytes / done.requests
        if self._bytes > HEAD_BYTES:
            raise AssertionError(f"a 304 has {self._bytes:,.0f} bytes")
        return done.per_second

    def _etag(self, token: str) -> str | None:
        """Return the ETag of a home as a client gets it, compressed."""
        asked = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            asked.request(
                "GET", HOME, headers={"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
            )
            answer = asked.getresponse()
            answer.read()
            if answer.status != 200 or answer.headers["Content-Encoding"] != "gzip":
                raise AssertionError(f"nginx answered {answer.status} {answer.headers}")
            return answer.headers["ETag"]
        finally:
            asked.close()

    def figures(self, rates: Mapping[str, list[float]], *, bare: str) -> list[Figure]:
        """Return the rows; what was not measured says why."""
        reads, fresh = rates.get("nginx", []), rates.get("304", [])
        told = NO_NGINX
        if reads:
            told = f"{_middle(reads)} against {_middle(rates[bare])} requests/s;"
            told += f" µs of nginx's CPU a read: {_middle(self._cpu)}"
        not_modified = NO_ETAG if reads else NO_NGINX
        if fresh:
            not_modified = f"{_middle(fresh)} against {_middle(reads)} requests/s;"
            not_modified += f" {self._bytes:,.0f} bytes each"
        return [
            Figure(
                name="population_nginx",
                title="any reader's home, reads only: nginx and read pool, against a bare view",
                unit="of its requests/s",
                rounds=ratios(reads, rates[bare]) if reads else [],
                detail=told,
                facts={"ours": reads},
            ),
            Figure(
                name="not_modified",
                title="304 through nginx with gzip, against the page through nginx",
                unit="of its requests/s",
                rounds=ratios(fresh, reads) if fresh else [],
                detail=not_modified,
            ),
        ]


@contextmanager
def in_front(folder: Path, reads: Server, writes: Server) -> Iterator[Nginx]:
    """Run nginx in front of both pools, if this machine has one."""
    if not proxy.NGINX:
        yield Nginx(None)
        return
    with proxy.in_front(folder / "nginx", read=[reads.port], write=[writes.port]) as running:
        yield Nginx(running.port)


def _spent() -> float:
    """Return the CPU seconds of the nginx that this process has started."""
    mine = psutil.Process().children()
    return sum(cpu_seconds(child.pid) for child in mine if child.name() == "nginx")


def _middle(values: Sequence[float]) -> str:
    return number(statistics.median(values))
