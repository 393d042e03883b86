"""Chaos: people use the real service while its parts are killed, stopped, filled and deceived.

In the end, when all is quiet, what every user was told is compared with what there is.
"""

import argparse
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

import django

from tests.chaos import check, faults, people, report
from tests.chaos.people import Sent, World
from tests.chaos.report import Seen, Span
from tests.chaos.stack import READY_SECONDS, Stack

# A fault takes less than a second to some seconds, and all has time to recover before the next.
SHORTEST_SECONDS, LONGEST_SECONDS = 0.8, 4.0
RECOVERY_SECONDS = 2.5
# PostgreSQL recovers from its log, which takes it some seconds on a busy machine.
SLACK_SECONDS = 20.0
PEOPLE = 10
BEGUN = time.monotonic()


def main(arguments: Sequence[str]) -> int:
    """Run each seed; return 1 if anything is wrong."""
    options = _options(arguments)
    if len(options.seeds) == 1:
        return _run(options, options.seeds[0])
    codes = []
    for seed in options.seeds:  # each in a process of its own, for its servers are others
        command = [sys.executable, "-m", "tests.chaos", "--seeds", str(seed)]
        command += ["--faults", str(options.faults), "--longest", str(options.longest)]
        command += ["--recovery", str(options.recovery)]
        command += ["--only", *options.only] if options.only else []
        command += ["--output", str(options.output)] if options.output else []
        codes.append(subprocess.run(command, check=False).returncode)
    return max(codes)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument(
        "--seeds",
        type=lambda text: [int(part) for part in text.split(",")],
        default=[1, 2, 3],
        help="of chance, comma-separated: what goes wrong, when, and what people do",
    )
    parser.add_argument("--faults", type=int, default=30, help="in each run, one after the other")
    parser.add_argument(
        "--only", nargs="+", choices=sorted(faults.FAULTS), default=[], help="of these faults"
    )
    parser.add_argument("--longest", type=float, default=LONGEST_SECONDS, help="fault, in seconds")
    parser.add_argument(
        "--recovery", type=float, default=RECOVERY_SECONDS, help="after each fault, in seconds"
    )
    parser.add_argument("--output", type=Path, help="folder for a table and a plot of each seed")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace, seed: int) -> int:
    say(f"seed {seed}: the service starts")
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        with Stack(Path(folder)) as stack:
            os.environ.update(stack.environment)
            django.setup()
            _wait_until_it_answers(stack.url)
            world = World(stack.port)
            spans = _suffer(stack, world, options, seed)
            seen = Seen(world, spans, recovery=options.recovery)
            wrong, quiet = _judge(stack, world, seen)
        if wrong:
            _show_logs(Path(folder))
    text = (
        f"Seed {seed}: {len(world.sent):,} requests of {len(world.accounts)} users,"
        f" {len(world.texts):,} tweets; quiet {quiet:.0f} s after the last request;"
        f" {len(wrong)} things wrong.\n\n{report.table(seen.rows())}\n"
        + "".join(f"\n- WRONG: {one}" for one in wrong)
    )
    print(text, flush=True)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / f"chaos-{seed}.md").write_text(text)
        report.draw(world, spans, options.output / f"chaos-{seed}.png", title=f"seed {seed}")
    return 1 if wrong else 0


def _suffer(stack: Stack, world: World, options: argparse.Namespace, seed: int) -> list[Span]:
    """Let people live through one fault after the other, until all is well again."""
    threads = [
        threading.Thread(target=people.live, args=(world, seed * 1_000 + number), daemon=True)
        for number in range(PEOPLE)
    ]
    for thread in threads:
        thread.start()
    time.sleep(RECOVERY_SECONDS)
    chance = random.Random(seed)
    spans = []
    for name in faults.deck(chance, count=options.faults, only=options.only):
        seconds = chance.uniform(SHORTEST_SECONDS, options.longest)
        say(f"seed {seed}: {name}, {seconds:.1f} s")
        begin = time.monotonic()
        faults.FAULTS[name](faults.Context(stack, chance, seconds))
        spans.append(Span(name, begin, time.monotonic()))
        time.sleep(options.recovery)
        for part in stack.ended():
            world.fail(f"{part} ended by itself during: {name}")
            stack.parts[part].start()
    say(f"seed {seed}: all parts run; people come to an end")
    stack.start_all()
    world.stop.set()
    for thread in threads:
        thread.join(people.ANSWER_SECONDS * 2)
        if thread.is_alive():
            world.fail(f"{thread.name} waits for an answer still")
    return spans


def _judge(stack: Stack, world: World, seen: Seen) -> tuple[list[str], float]:
    """Wait until all is quiet and compare; return what is wrong, and the seconds until quiet."""
    begun = time.monotonic()
    wrong = _bad_answers(world, seen)
    try:
        quiet = check.wait_until_quiet()
    except TimeoutError as error:
        wrong.append(str(error))
        quiet = time.monotonic() - begun
    say(f"quiet after {quiet:.0f} s; comparing")
    return [*wrong, *check.check(stack, world)], quiet


def _bad_answers(world: World, seen: Seen) -> list[str]:
    """Return answers that no client may ever get."""
    away = [span for span in seen.spans if span.fault in faults.POSTGRES_AWAY]
    web_away = [span for span in seen.spans if span.fault in faults.WEB_AWAY]
    wrong = []
    for one in world.sent:
        refused = one.status == HTTPStatus.SERVICE_UNAVAILABLE and one.retry_after
        if (one.status >= 500 and not (refused and (one.is_busy or _during(one, away)))) or (
            one.status == people.NO_ANSWER and not _during(one, web_away)
        ):
            what = one.status or "no answer"
            wrong.append(f"{one.method} {one.path}: {what} during: {seen.fault_of(one)}")
    return [f"{len(wrong)} answers, such as {wrong[:5]}"] if wrong else []


def _during(one: Sent, spans: Sequence[Span]) -> bool:
    """Tell whether something went wrong while a request waited, or had only just ended."""
    return any(
        span.begin <= one.at + one.seconds and one.at <= span.end + SLACK_SECONDS for span in spans
    )


def _wait_until_it_answers(url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if urllib.request.urlopen(f"{url}/auth/healthz?ready=1", timeout=10).status == 200:
                return
        time.sleep(0.2)
    raise TimeoutError("the service does not become ready")


def _show_logs(folder: Path) -> None:
    for log in sorted(folder.glob("*.chaos.log")):
        lines = log.read_text(errors="replace").splitlines()
        chosen = [line for line in lines if '"critical"' in line][-5:]
        print(f"--- {log.name}", *chosen, sep="\n", flush=True)


def say(what: str) -> None:
    """Tell how far the run is."""
    print(f"chaos {time.monotonic() - BEGUN:4.0f} s  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
