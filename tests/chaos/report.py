"""The table and the plot: what people saw during each fault."""

import bisect
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt

from tests.chaos.people import NO_ANSWER, Sent, World

NO_FAULT = "nothing"


@dataclass(frozen=True)
class Span:
    """When a fault was: seconds of the monotonic clock."""

    fault: str
    begin: float
    end: float


@dataclass(frozen=True)
class Row:
    """What people saw while something went wrong, and for a moment after."""

    fault: str
    times: int
    requests: int
    unavailable: int
    unanswered: int
    p50: float
    p99: float
    slowest: float
    lacking: int
    stale: int


class Seen:
    """Requests of a run, by the fault during which they were sent."""

    def __init__(self, world: World, spans: Sequence[Span], *, recovery: float) -> None:
        self._world = world
        self.spans = spans
        self._begins = [span.begin for span in spans]
        self._recovery = recovery

    def fault_of(self, one: Sent) -> str:
        """Return what went wrong while a request waited for its answer."""
        ended = one.at + one.seconds
        for span in self.spans:
            if span.begin <= ended and one.at <= span.end:
                return span.fault
        return self.fault_at(one.at)

    def fault_at(self, moment: float) -> str:
        """Return what went wrong at a moment, or had just ended."""
        place = bisect.bisect(self._begins, moment) - 1
        if place < 0 or moment > self.spans[place].end + self._recovery:
            return NO_FAULT
        return self.spans[place].fault

    def rows(self) -> list[Row]:
        """Return a row for each fault that there was, and one for the time without."""
        by_fault: dict[str, list[Sent]] = {}
        for one in self._world.sent:
            by_fault.setdefault(self.fault_of(one), []).append(one)
        return [self._row(fault, by_fault[fault]) for fault in sorted(by_fault)]

    def _row(self, fault: str, sent: Sequence[Sent]) -> Row:
        seconds = sorted(one.seconds for one in sent)
        return Row(
            fault=fault,
            times=sum(span.fault == fault for span in self.spans),
            requests=len(sent),
            unavailable=sum(one.status == 503 for one in sent),
            unanswered=sum(one.status == NO_ANSWER for one in sent),
            p50=statistics.median(seconds),
            p99=seconds[int(0.99 * (len(seconds) - 1))],
            slowest=seconds[-1],
            lacking=sum(self.fault_at(moment) == fault for moment in self._world.lacking),
            stale=sum(self.fault_at(moment) == fault for moment in self._world.stale),
        )


def table(rows: Sequence[Row]) -> str:
    """Return the rows in Markdown."""
    head = (
        "| what went wrong | times | requests | 503 | no answer | p50 ms | p99 ms | slowest s | "
        "own tweet not yet shown | gone or not followed any more, still shown |"
    )
    lines = [head, "|---|---|---|---|---|---|---|---|---|---|"]
    lines += [
        f"| {row.fault} | {row.times or ''} | {row.requests:,} | {row.unavailable or ''}"
        f" | {row.unanswered or ''} | {row.p50 * 1000:.0f} | {row.p99 * 1000:,.0f}"
        f" | {row.slowest:.1f} | {row.lacking or ''} | {row.stale or ''} |"
        for row in rows
    ]
    return "\n".join(lines)


def draw(world: World, spans: Sequence[Span], file: Path, *, title: str) -> None:
    """Plot latency and failures over time, with the faults behind them."""
    sent = sorted(world.sent)
    begun = sent[0].at
    figure, axes = plt.subplots(figsize=(14, 5))
    for span in spans:
        axes.axvspan(span.begin - begun, span.end - begun, color="#f4d9b0", lw=0)
        axes.annotate(
            span.fault,
            (span.begin - begun, 1.01),
            rotation=60,
            fontsize=6,
            xycoords=("data", "axes fraction"),
        )
    for label, colour, chosen in (
        ("answered", "#1d6fb8", [one for one in sent if 0 < one.status < 500]),
        ("503", "#c0392b", [one for one in sent if one.status == 503]),
        ("no answer", "#222222", [one for one in sent if one.status == NO_ANSWER]),
    ):
        axes.scatter(
            [one.at - begun for one in chosen],
            [max(one.seconds, 0.0005) * 1000 for one in chosen],
            s=3,
            color=colour,
            label=f"{label} ({len(chosen):,})",
            alpha=0.5,
            lw=0,
        )
    axes.set_yscale("log")
    axes.set_xlabel("seconds")
    axes.set_ylabel("ms to the answer")
    axes.legend(loc="upper right", markerscale=3)
    figure.suptitle(title, y=1.22)
    figure.savefig(file, dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
