"""What the dashboard and the alerts ask Prometheus, taken apart."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from tests.monitoring.observers import CONFIG, RULES, WINDOW

DASHBOARD: dict[str, Any] = json.loads(
    (CONFIG / "grafana" / "dashboards" / "twitter.json").read_text(encoding="utf-8")
)
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES)["groups"] for rule in group["rules"]
]
# What Prometheus adds to what it scrapes.
ADDED = {"job", "instance", "le", "__name__"}


class Query(NamedTuple):
    """An expression, where it stands, and the labels that its title or legend shows."""

    place: str
    expression: str
    shown: frozenset[str]


class Selector(NamedTuple):
    """A metric in an expression, with its matchers: label, operator, value."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]


def panel_queries() -> Iterator[Query]:
    """Yield the queries of the dashboard's panels, which Grafana gives a window."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"].replace("$__rate_interval", WINDOW)
            shown = re.findall(r"\{\{\s*(\w+)\s*\}\}", target["legendFormat"])
            yield Query(panel["title"], expression, frozenset(shown))


def alert_queries() -> Iterator[Query]:
    """Yield the expressions of the alerts."""
    for alert in ALERTS:
        shown = re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"])
        yield Query(alert["alert"], alert["expr"], frozenset(shown))


def selectors(expression: str) -> list[Selector]:
    """Return the metrics that an expression names."""
    found = []
    names = r"(?<![\w$\"/.])(up|twitter_\w+)\b(?:\{([^}]*)\})?"
    for metric, matchers in re.findall(names, expression):
        each = re.findall(r"(\w+)\s*(=~|!~|!=|=)\s*\"([^\"]*)\"", matchers)
        found.append(Selector(metric, tuple(each)))
    return found


def grouped_by(expression: str) -> set[str]:
    """Return the labels that an expression groups by."""
    groups = re.findall(r"\bby\s*\(([^)]*)\)", expression)
    return {label.strip() for group in groups for label in group.split(",")}
