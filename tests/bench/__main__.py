"""Runs the bench on the servers that DATABASE_URL and REDIS_URL name, which must be new and empty.

`make bench` brings these up and calls this.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import django

from tests.bench.figures import Figure, number, say
from tests.bench.scale import FULL, QUICK, Scale
from tests.limits import NOBODY_MEETS

if TYPE_CHECKING:  # it wants Django's settings
    from tests.bench.load import LoadGenerator

ROOT = Path(__file__).resolve().parents[2]
AREAS = (
    *("fresh", "fan_out", "counts", "growth", "reads", "cold", "costs", "writes", "population"),
    "verify",
)
# Measured only when it is named: it takes eight minutes more.
APART = ("observability",)
VERIFY = "`manage.py verify_timelines --all`"
# The population alone takes as long as a token is good for.
TOKEN_SECONDS = {"ACCESS_TOKEN_SECONDS": "7200"}


def main(arguments: Sequence[str]) -> int:
    """Measure, write the report, return the exit code: 0, also when a target is missed."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(NOBODY_MEETS | TOKEN_SECONDS)
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--noinput", "--verbosity", "0"],
        cwd=ROOT,
        check=True,
    )
    django.setup()
    from tests.bench import report

    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        run = _Run(QUICK if options.quick else FULL, options, Path(folder))
        try:
            run.run()
        except BaseException:
            run.show_logs()
            raise
    seconds = time.monotonic() - begun
    print(report.table(run.figures))
    missed = [figure for figure in run.figures if figure.met is False]
    for figure in missed:
        print(f"MISSED: {figure.title}: {figure.value:.3g}, wanted {figure.wanted}")
    print(f"{len(missed)} targets missed; {seconds:.0f} s.")
    if options.quick:
        print("It runs. Figures of so short a time say nothing, and neither do targets missed.")
    if output := options.output or (None if options.only or options.quick else ROOT / "docs"):
        report.write(
            output,
            figures=run.figures,
            texts=run.texts,
            graph=options.graph,
            scale=run.scale,
            seconds=seconds,
        )
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--graph",
        type=Path,
        metavar="FILE",
        help="follows to import instead of made ones: follower TAB followed, may be gzipped",
    )
    parser.add_argument(
        "--quick", action="store_true", help="small and short: shows that it runs, no more"
    )
    parser.add_argument(
        "--only", nargs="+", choices=AREAS + APART, help="measure these; docs are then left alone"
    )
    parser.add_argument(
        "--output", type=Path, help="write there instead of docs/ (with --quick or --only: at all)"
    )
    return parser.parse_args(arguments)


class _Run:
    def __init__(self, scale: Scale, options: argparse.Namespace, folder: Path) -> None:
        self.scale = scale
        self.figures: list[Figure] = []
        self.texts: dict[str, str] = {}
        self._chosen = options.only or AREAS
        self._graph: Path | None = options.graph
        self._folder = folder

    def run(self) -> None:
        """Build the data, and measure all that was chosen."""
        from tests.bench import population
        from tests.bench.load import LoadGenerator

        with LoadGenerator() as load:
            if set(self._chosen) - {"population", "verify"}:
                self._network(load)
            if "population" in self._chosen:
                measure = partial(population.measure, self.scale, self._folder, load)
                self._area("population", measure)
                self._text(f"{VERIFY} after the population", _verify())

    def _network(self, load: "LoadGenerator") -> None:
        """Measure all but the population: few readers, who come again and again."""
        from tests.bench import costs, counts, fan_out, latency, observability, reads, writes
        from tests.bench.bench import Bench
        from tests.bench.data import Network
        from tests.bench.stack import baseline, service, wait_until_quiet

        say("accounts, follows and tweets")
        few, many, most = self.scale.tweets
        network = Network(scale=self.scale, graph=self._graph)
        bench = Bench(self.scale, self._folder, network, load)
        if self._graph:  # its import has homes dropped
            with service(self._folder, names=["worker", "relay"]):
                wait_until_quiet()
        growth = latency.Growth(bench)
        network.grow(few)
        self._area("growth", growth.keep)
        self._area("fresh", lambda: fan_out.measure_fresh(bench))
        self._area("fan_out", lambda: fan_out.measure(bench))
        self._area("verify", lambda: self._text(f"{VERIFY} after the fan-outs", _verify()))
        self._area("counts", lambda: counts.measure(bench))
        network.grow(many)
        self._area("growth", growth.keep)
        self._area("observability", lambda: observability.measure(bench))
        with ExitStack() as running:
            ours = running.enter_context(service(bench.folder))
            length = reads.length_of_answers(reads.home_requests(bench), ours)
            bare = running.enter_context(baseline(bench.folder, "bare", answer_length=length))
            self._area("reads", lambda: reads.measure(bench, ours, bare, length))
            self._area("cold", lambda: latency.measure_cold(bench, ours))
            self._area("costs", lambda: costs.measure(bench, ours, bare))
            self._area("writes", lambda: writes.measure(bench, ours, bare))
            self._area("verify", lambda: self._text(f"{VERIFY} at the end", _verify()))
        if "growth" in self._chosen:
            network.grow(most)
            self._area("growth", growth.keep)
            self._area("growth", growth.measure)

    def _area(self, name: str, measure: Callable[[], list[Figure] | None]) -> None:
        if name in self._chosen:
            begun = time.monotonic()
            self._note(measure() or [])
            say(f"{name} took {time.monotonic() - begun:.0f} s")

    def _note(self, figures: list[Figure]) -> None:
        for figure in figures:
            told = f"{number(figure.value)} {figure.unit} {figure.verdict}"
            say(f"{figure.title}: {told if figure.rounds else figure.detail}")
        self.figures += figures

    def _text(self, name: str, text: str) -> None:
        self.texts[name] = text

    def show_logs(self) -> None:
        """Show the last words of the processes that were measured."""
        for log in sorted(self._folder.glob("*.log")):
            tail = log.read_text(errors="replace")[-2_000:].strip()
            if "rror" in tail or "without Redis" in tail:
                say(f"{log.name}:\n{tail}")


def _verify() -> str:
    say("homes against PostgreSQL")
    done = subprocess.run(
        [sys.executable, "manage.py", "verify_timelines", "--all"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return (done.stdout + done.stderr).strip() + f"\nexit code {done.returncode}"


if __name__ == "__main__":
    os.chdir(ROOT)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        sys.exit(130)
