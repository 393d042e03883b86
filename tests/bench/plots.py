"""The plots of the report: few, and each about one thing."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt

from tests.bench.figures import Figure, number

OURS, OTHER = "#1d6fb8", "#b9bec6"
# How bars of the service begin.
SERVICE = ("this service", "read pool", "make run")


def draw(figures: Sequence[Figure], folder: Path, *, suffix: str) -> dict[str, str]:
    """Write what can be drawn of these figures; return the files' names and titles."""
    found = {figure.name: figure for figure in figures}
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for name, (title, plot) in PLOTS.items():
        try:
            made = plot(found)
        except KeyError:  # it was not measured this time
            continue
        made.suptitle(title)
        made.tight_layout()
        file = f"{name}{suffix}.png"
        made.savefig(folder / file, dpi=120, metadata={"Software": None})
        plt.close(made)
        drawn[file] = title
    return drawn


def _throughput(found: dict[str, Figure]) -> Any:
    default = found["home_against_default"]
    bars = {
        "bare view, service's server": found["home_against_same"].facts["baseline"],
        "bare view, gunicorn's default": default.facts["baseline"],
        "this service": default.facts["ours"],
        "best single SQL, orjson": found["home_against_best_sql"].facts["baseline"],
        "plain Django, DRF": found["home_against_plain"].facts["baseline"],
    }
    return _bars(bars, "requests a second")


def _population(found: dict[str, Figure]) -> Any:
    bars = {
        "bare view, Granian": found["bare_under_granian"].facts["ours"],
        "bare view, gthread": found["bare_under_gthread"].facts["ours"],
        "bare view, gunicorn's default": found["population_run_reads"].facts["baseline"],
    }
    for way, title in (("pool", "read pool"), ("run", "make run")):
        for mix, told in (("reads", "reads"), ("some", "1 % post, 4 % like"), ("many", "5 % post")):
            bars[f"{title}, {told}"] = found[f"population_{way}_{mix}"].facts["ours"]
    return _bars(bars, "requests a second")


def _bars(bars: dict[str, Sequence[float]], label: str) -> Any:
    figure, axes = plt.subplots(figsize=(8, 0.6 + 0.5 * len(bars)))
    middles = {name: statistics.median(values) for name, values in bars.items()}
    errors = [
        [middles[name] - min(values) for name, values in bars.items()],
        [max(values) - middles[name] for name, values in bars.items()],
    ]
    colours = [OURS if name.split(",")[0] in SERVICE else OTHER for name in bars]
    axes.barh(list(bars), list(middles.values()), xerr=errors, color=colours, height=0.7)
    for place, (name, values) in enumerate(bars.items()):
        end = (max(values), place)
        axes.annotate(
            number(middles[name]), end, xytext=(6, 0), textcoords="offset points", va="center"
        )
    axes.margins(x=0.12)
    axes.set_xlim(left=0)
    axes.invert_yaxis()
    axes.set_xlabel(f"{label} (median; lines from the slowest to the fastest round)")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _growth(found: dict[str, Figure]) -> Any:
    steps = found["latency_as_followees_grow"].facts["steps"]
    figure, axes = plt.subplots(figsize=(8, 3.4))
    for tweets, medians in steps.items():
        middles = [statistics.median(values) for values in medians.values()]
        axes.plot(list(medians), middles, marker="o", label=f"{tweets:,} tweets")
    axes.set_xscale("log")
    axes.set_xticks(list(medians), labels=list(medians))
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("followees of the reader")
    axes.set_ylabel("p50 of a warm read, ms")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _fan_out(found: dict[str, Figure]) -> Any:
    facts = found["fan_out_against_zadd"].facts
    return _bars(
        {
            "this service, outbox to home": facts["service"],
            "this service, called directly": facts["bare"],
            "pipelined ZADD": facts["sets"],
        },
        "deliveries a second",
    )


def _costs(found: dict[str, Figure]) -> Any:
    names = ("web", "Valkey", "PostgreSQL", "load generator")
    spent = {name: found[f"cpu_{name.lower().replace(' ', '_')}"].rounds for name in names} | {
        "(a bare view, web)": found["cpu_of_a_bare_view"].rounds
    }
    return _bars(spent, "µs of CPU a request")


PLOTS = {
    "population": ("Any reader's home, 20 tweets, 16 connections", _population),
    "throughput": ("Homes of 500 readers, 20 tweets, 16 connections", _throughput),
    "growth": ("A warm read, by followees of the reader and tweets there are", _growth),
    "fan_out": ("Fan-out with one worker process", _fan_out),
    "costs": ("What a warm read takes", _costs),
}
