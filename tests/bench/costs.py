"""Where the time of a warm read goes: CPU by process."""

from collections.abc import Mapping

from tests.bench.bench import Bench
from tests.bench.figures import Figure, alternate
from tests.bench.load import Job, get
from tests.bench.reads import home_requests, warm_up
from tests.bench.stack import Server, cpu_seconds, server_pids


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
