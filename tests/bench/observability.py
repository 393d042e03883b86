"""What it costs a warm read that somebody watches."""

from collections.abc import Mapping

from deploy.local.ports import free_port
from tests.bench.bench import Bench
from tests.bench.figures import Figure, alternate, number, ratios
from tests.bench.load import Job
from tests.bench.reads import home_requests, warm_up
from tests.bench.stack import Server, service


def measure_metrics(bench: Bench) -> list[Figure]:
    """Return the figure of warm reads with metrics, against those without."""
    return [
        _against_unwatched(
            bench,
            name="home_with_metrics",
            title="warm home with metrics against without",
            environment={"METRICS_PORT": str(free_port())},
        )
    ]


def _against_unwatched(
    bench: Bench, *, name: str, title: str, environment: Mapping[str, str]
) -> Figure:
    """Measure warm reads of two services in turns, one of them with these variables."""
    requests = home_requests(bench)

    def rate(server: Server) -> float:
        job = Job(port=server.port, requests=requests, seconds=bench.scale.seconds)
        return bench.load.run(job).per_second

    with (
        service(bench.folder, names=["web"]) as unwatched,
        service(bench.folder, names=["web"], environment=environment) as watched,
    ):
        for server in (unwatched, watched):
            warm_up(bench, server, requests)
        rates = alternate(
            {"with": lambda: rate(watched), "without": lambda: rate(unwatched)},
            rounds=bench.scale.rounds,
            what=title,
        )
    return Figure(
        name=name,
        title=title,
        unit="of its requests/s",
        rounds=ratios(rates["with"], rates["without"]),
        target=0.95,
        detail=" against ".join(number(sorted(each)[len(each) // 2]) for each in rates.values())
        + " requests/s",
        facts=rates,
    )
