"""Figures: ratios against a baseline that was measured in turns with what it is a baseline of."""

import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

_BEGUN = time.monotonic()


@dataclass(kw_only=True)
class Figure:
    """One row: the median of `rounds`, and the target that it should meet, if there is one.

    `most` turns the target round: the value may be so much at most. `detail` says, in absolute
    numbers of this machine, what the value was computed from; without rounds, why there are none.
    """

    name: str
    title: str
    unit: str
    rounds: Sequence[float]
    target: float | None = None
    most: bool = False
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The median; NaN if it was not measured."""
        return statistics.median(self.rounds) if self.rounds else math.nan

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None or not self.rounds:
            return None
        return self.value <= self.target if self.most else self.value >= self.target

    @property
    def verdict(self) -> str:
        """The same in a word."""
        return {True: "met", False: "missed", None: ""}[self.met]

    @property
    def wanted(self) -> str:
        """The target in words."""
        if self.target is None:
            return ""
        return f"{'≤' if self.most else '≥'} {number(self.target)}"

    def as_json(self) -> dict[str, Any]:
        """Everything, for benchmarks.json."""
        return {
            **asdict(self),
            "rounds": list(self.rounds),
            "value": self.value if self.rounds else None,
            "min": min(self.rounds, default=None),
            "max": max(self.rounds, default=None),
            "met": self.met,
        }


def number(value: float) -> str:
    """Write a number so that it can be read: three digits that count."""
    if math.isnan(value):
        return "-"
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def alternate(
    contestants: Mapping[str, Callable[[], float]], *, rounds: int, what: str
) -> dict[str, list[float]]:
    """Measure all contestants once in each round, each round beginning with the next one.

    What drifts (the machine's clock, its neighbours) so meets all alike.
    """
    names = list(contestants)
    results: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        say(f"{what}: round {turn + 1} of {rounds}")
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            results[name].append(contestants[name]())
    return results


def ratios(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """Return the ratio of each round."""
    return [a / b for a, b in zip(one, other, strict=True)]


def say(line: str) -> None:
    """Show progress."""
    minutes, seconds = divmod(int(time.monotonic() - _BEGUN), 60)
    print(f"bench {minutes}:{seconds:02}  {line}", file=sys.stderr, flush=True)
