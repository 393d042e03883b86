"""Where the time of a warm read goes: CPU by process, and by function inside the web process."""

import cProfile
import io
import pstats
import resource
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from tests.bench.bench import Bench
from tests.bench.data import tokens
from tests.bench.figures import Figure, alternate, say
from tests.bench.load import Job, get
from tests.bench.reads import HOME, home_requests, warm_up
from tests.bench.stack import Server, cpu_seconds, server_pids, wait_until_quiet
from twitter.wsgi import application

SHOWN = 30


def measure(bench: Bench, ours: Server, bare: Server) -> list[Figure]:
    """Return the CPU time that each process takes for a warm read, and a bare view's beside it."""
    requests = home_requests(bench)
    warm_up(bench, ours, requests)
    pids = {**ours.pids, **server_pids()}
    if bench.load.pid:
        pids["load generator"] = bench.load.pid
    reads = Spent(bench, Job(port=ours.port, requests=requests, seconds=bench.scale.seconds), pids)
    job = Job(port=bare.port, requests=[get("/constant")], seconds=bench.scale.seconds)
    constant = Spent(bench, job, bare.pids)
    rates = alternate(
        {"reads": reads.run, "bare": constant.run},
        rounds=bench.scale.rounds,
        what="CPU of a warm read",
    )
    return [
        *(
            Figure(
                name=f"cpu_{name.lower().replace(' ', '_')}",
                title=f"CPU of a warm read: {name}",
                unit="µs a read",
                rounds=values,
            )
            for name, values in reads.by_process.items()
        ),
        Figure(
            name="cpu_of_a_bare_view",
            title="CPU of a bare view under the same server: web",
            unit="µs a request",
            rounds=constant.by_process["web"],
        ),
        Figure(
            name="cpu_in_the_application",
            title="CPU of a warm read in the WSGI application, in one process without a server",
            unit="µs a read",
            rounds=in_the_application(bench),
        ),
        Figure(
            name="warm_reads",
            title="warm reads of this machine",
            unit="a second",
            rounds=rates["reads"],
        ),
    ]


class Spent:
    """What processes spend on each request of a job, in µs of CPU, a list of rounds for each."""

    def __init__(self, bench: Bench, job: Job, pids: Mapping[str, int]) -> None:
        self._load, self._job, self._pids = bench.load, job, pids
        self.by_process: dict[str, list[float]] = {name: [] for name in pids}

    def run(self) -> float:
        """Do the job; return its requests a second."""
        before = {name: cpu_seconds(pid) for name, pid in self._pids.items()}
        load = self._load.run(self._job)
        for name, pid in self._pids.items():
            used = (cpu_seconds(pid) - before[name]) / load.requests * 1e6
            self.by_process[name].append(used)
        return load.per_second


def in_the_application(bench: Bench) -> list[float]:
    """Return the µs of CPU that a warm read takes in the WSGI application, for each round.

    No process keeps pages, so each read is as dear as the first by its reader.
    """
    readers = tokens(bench.network.readers)
    _cpu_of(_read, readers)
    turns = list(islice(cycle(readers), bench.scale.calls))
    return [_cpu_of(_read, turns) for _ in range(bench.scale.rounds)]


def profile(bench: Bench) -> str:
    """Return what cProfile says of warm reads through the WSGI application, in this process."""
    say(f"{bench.scale.calls} warm reads under the profiler")
    readers = tokens(bench.network.readers)
    turns = list(islice(cycle(readers), bench.scale.calls))
    _cpu_of(_read, readers)
    spent, profiled = _cpu_of(_read, turns), _profiled(_read, turns)
    return (
        f"{spent:.0f} µs of CPU a read in the WSGI application without the profiler, which makes"
        f" many small calls look dearer than they are.\n{profiled}"
    )


def profile_posts(bench: Bench) -> str:
    """Return what cProfile says of posts through the WSGI application, in this process."""
    say("posts under the profiler")
    writers = list(islice(cycle(tokens(bench.network.readers)), bench.scale.calls // 10))
    _cpu_of(_post, writers)
    spent = _cpu_of(_post, writers)
    profiled = _profiled(_post, writers)
    wait_until_quiet()
    return f"{spent:.0f} µs of CPU a post in the WSGI application without the profiler.\n{profiled}"


def _cpu_of(call: Callable[[str], None], tokens: Sequence[str]) -> float:
    """Return the µs of CPU that each call takes."""
    before = _cpu()
    for token in tokens:
        call(token)
    return (_cpu() - before) / len(tokens) * 1e6


def _profiled(call: Callable[[str], None], tokens: Sequence[str]) -> str:
    profiler = cProfile.Profile()
    profiler.enable()
    for token in tokens:
        call(token)
    profiler.disable()
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(SHOWN)
    return _readable(text.getvalue())


def _readable(text: str) -> str:
    """Take this machine's folders out of paths."""
    lines = []
    for line in text.splitlines():
        columns, space, place = line.rpartition(" ")
        for folder in ("site-packages/", f"{Path.cwd()}/", "lib/python"):
            _, found, rest = place.partition(folder)
            place = rest if found else place
        lines.append(f"{columns}{space}{place}")
    return "\n".join(line for line in lines if line.strip())


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _read(token: str) -> None:
    _call(token, "GET", HOME)


def _post(token: str) -> None:
    _call(token, "POST", "/tweet/create", b'{"text": "Hello, #all of you @somebody"}')


def _call(token: str, method: str, path: str, body: bytes = b"") -> None:
    statuses = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_ACCEPT": "application/json",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
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
