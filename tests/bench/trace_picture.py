"""Draws the trace of one tweet, from its POST to the last of many homes.

    python3 deploy/local/bootstrap.py bench python -m deploy.local with -- \\
        .venv-bench/bin/python -m tests.bench.trace_picture FILE.png

It needs servers that are new and empty, as `make bench` does.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import django
import matplotlib as mpl

from tests.bench.figures import say
from tests.otlp import Receiver, Span

mpl.use("agg")
from matplotlib import pyplot as plt
from matplotlib.patches import Patch

FOLLOWERS = 25_000
SOURCES = 4
POSTS = 5
COLOURS = {"twitter-web": "#1d6fb8", "twitter-relay": "#e08a1e", "twitter-worker": "#3a9a5b"}


def main(file: Path) -> None:
    """Let somebody with many followers post, and draw what came of the last post."""
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], check=True)
    django.setup()
    with tempfile.TemporaryDirectory() as folder:
        trace = _trace(Path(folder))
    _draw(trace, file)


def _trace(folder: Path) -> list[Span]:
    from tests.bench.data import tokens
    from tests.bench.followers import Star
    from tests.bench.load import Client, post
    from tests.bench.stack import service, wait_until_quiet

    star = Star("t", followers=FOLLOWERS, sources=SOURCES, place=0)
    with Receiver() as receiver:
        environment = receiver.environment | {"OTEL_TRACES_SAMPLER": "always_on"}
        with service(folder, environment=environment) as ours:
            request = post("/tweet/create", b'{"text": "Hello!"}', token=tokens([star.id])[0])
            for _ in range(POSTS):  # the first find nothing warm
                Client(ours.port).body(request)
                wait_until_quiet()
        posts = [span for span in receiver.spans if span.name == "POST /tweet/create"]
        return receiver.trace(max(posts, key=lambda span: span.begun).trace_id)


def _in_order(
    trace: Sequence[Span], parent_id: str = "", depth: int = 0
) -> Iterator[tuple[int, Span]]:
    """Yield spans, each followed by what is below it, and how deep they are."""
    for span in trace:
        if span.parent_id == parent_id:
            yield depth, span
            yield from _in_order(trace, span.id, depth + 1)


def _draw(trace: Sequence[Span], file: Path) -> None:
    rows = list(_in_order(trace))
    begin = min(span.begun for span in trace)
    figure, axes = plt.subplots(figsize=(11, 1.2 + 0.36 * len(rows)))
    for place, (_, span) in enumerate(rows):
        begun, ended = ((moment - begin) / 1e6 for moment in (span.begun, span.ended))
        axes.barh(place, ended - begun, left=begun, color=COLOURS[span.service], height=0.62)
        followers = span.attributes.get("twitter.followers")
        told = f"{ended - begun:.1f} ms" + (f", {followers:,} homes" if followers else "")
        axes.annotate(
            told, (ended, place), xytext=(5, 0), textcoords="offset points", va="center", size=8
        )
    labels = ["    " * depth + span.name for depth, span in rows]
    axes.set_yticks(range(len(rows)), labels=labels, ha="left", size=9, family="monospace")
    axes.tick_params(axis="y", length=0, pad=330)
    axes.invert_yaxis()
    axes.set_xlim(left=0, right=1.35 * max(span.ended - begin for span in trace) / 1e6)
    axes.set_xlabel("ms after the request arrived")
    axes.spines[["top", "right"]].set_visible(False)
    handles = [Patch(color=colour, label=name) for name, colour in COLOURS.items()]
    axes.legend(handles=handles, frameon=False, loc="upper right")
    figure.suptitle(f"A tweet on its way to {FOLLOWERS:,} followers")
    figure.tight_layout()
    figure.savefig(file, dpi=110, metadata={"Software": None})
    say(f"{file}: {len(trace)} spans")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "twitter.settings")
    main(Path(sys.argv[1]))
