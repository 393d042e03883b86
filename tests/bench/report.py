"""The report: a JSON file, and the generated parts of benchmarks.md."""

import json
import os
import platform
import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
from django.db import connection

from tests.bench import plots
from tests.bench.figures import Figure, number
from tests.bench.scale import Scale
from twitter.base.data import redis

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
PACKAGES = ("django", "djangorestframework", "gunicorn", "psycopg", "redis", "hiredis", "celery")


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table: first those with a target, the population's first."""
    lines = [
        "| figure | target | reached | min to max | | measured here |",
        "|---|---|---|---|---|---|",
    ]
    for figure in sorted(figures, key=_place):
        spread = ""
        if len(figure.rounds) > 1:
            spread = f"{number(min(figure.rounds))} to {number(max(figure.rounds))}"
        lines.append(
            f"| {figure.title} | {figure.wanted} | **{number(figure.value)}** {figure.unit}"
            f" | {spread} | {figure.verdict} | {figure.detail} |"
        )
    return "\n".join(lines)


def _place(figure: Figure) -> tuple[bool, bool]:
    return figure.target is None, not figure.name.startswith("population_")


def write(
    folder: Path,
    *,
    figures: Sequence[Figure],
    texts: Mapping[str, str],
    graph: Path | None,
    scale: Scale,
    seconds: float,
) -> None:
    """Write benchmarks.json, the plots, and the generated parts of benchmarks.md.

    What people wrote in benchmarks.md stays. A run with a graph has its own files and part.
    """
    suffix = "-graph" if graph else ""
    folder.mkdir(parents=True, exist_ok=True)
    where = machine()
    (folder / f"benchmarks{suffix}.json").write_text(
        json.dumps(
            {
                "scale": scale.name,
                "graph": graph.name if graph else None,
                "machine": where,
                "seconds": round(seconds),
                "figures": [figure.as_json() for figure in figures],
                "texts": dict(texts),
            },
            indent=1,
            ensure_ascii=False,
        )
        + "\n",
        encoding="utf-8",
    )
    images = plots.draw(figures, folder / "benchmarks", suffix=suffix)
    document = folder / DOCUMENT.name
    if not document.exists():
        shutil.copy(DOCUMENT, document)
    part = _part(figures, texts, where=where, seconds=seconds, images=images, scale=scale)
    document.write_text(
        _replaced(document.read_text(encoding="utf-8"), f"bench{suffix}", part), encoding="utf-8"
    )


def _part(
    figures: Sequence[Figure],
    texts: Mapping[str, str],
    *,
    where: Mapping[str, str],
    seconds: float,
    images: Mapping[str, str],
    scale: Scale,
) -> str:
    about = ", ".join(f"{name} {value}" for name, value in where.items())
    parts = [
        *_for_a_core({figure.name: figure.value for figure in figures}),
        f"One run of {seconds:.0f} s, scale *{scale.name}*. {about}.",
        table(figures),
        *(f"![{title}](benchmarks/{name})" for name, title in images.items()),
    ]
    parts += [f"{title}:\n\n```\n{text}\n```" for title, text in texts.items()]
    return "\n\n".join(parts)


def _for_a_core(values: Mapping[str, float]) -> list[str]:
    """Return what a reader gets for a core, if that was measured."""
    pool, run = (values.get(f"reads_for_a_core_{way}") for way in ("pool", "run"))
    if pool is None or run is None:
        return []
    told = f"{number(pool)} through the read pool, {number(run)} from `make run`"
    return [f"**Reads of any reader's home that a core serves in a second: {told}.**"]


def _replaced(document: str, name: str, part: str) -> str:
    begin, end = f"<!-- {name}: written by `make bench` -->", f"<!-- {name}: end -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(document):
        raise ValueError(f"benchmarks.md has no part {begin} … {end}")
    return pattern.sub(lambda _: f"{begin}\n\n{part}\n\n{end}", document)


def machine() -> dict[str, str]:
    """Return what the figures were measured on and with."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        row = cursor.fetchone()
    info = redis.client().info("server")
    return {
        "on": datetime.now(UTC).date().isoformat(),
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GB",
        "Python": platform.python_version(),
        "PostgreSQL": row[0] if row else "",
        "Valkey": str(info.get("valkey_version", info["redis_version"])),
        **{package: version(package) for package in PACKAGES},
    }


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()
