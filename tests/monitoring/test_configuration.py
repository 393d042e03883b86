"""What is shipped for Prometheus, Alertmanager and Grafana, as far as it can be judged at rest."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.monitoring.observers import AMTOOL, CONFIG, PROMTOOL
from tests.monitoring.queries import ALERTS, DASHBOARD, alert_queries, panel_queries, selectors
from tests.test_readme import ROOT, rows

HERE = Path(__file__).parent
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")

needs_prometheus = pytest.mark.skipif(
    PROMTOOL is None, reason="needs `apt-get install prometheus`, which has promtool"
)
needs_alertmanager = pytest.mark.skipif(
    AMTOOL is None, reason="needs `apt-get install prometheus-alertmanager`, which has amtool"
)


def run(*command: object) -> None:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
def test_prometheus_takes_its_configuration_and_the_alerts():
    run(PROMTOOL, "check", "config", CONFIG / "prometheus.yml")


@needs_prometheus
def test_each_alert_fires_when_it_should_and_not_before():
    run(PROMTOOL, "test", "rules", HERE / "alerts.test.yml")
    tested = (HERE / "alerts.test.yml").read_text()
    for alert in ALERTS:
        assert re.search(rf"alertname: {alert['alert']}\b", tested), alert["alert"]


@needs_alertmanager
def test_alertmanager_takes_its_configuration():
    run(AMTOOL, "check-config", CONFIG / "alertmanager.yml")


def test_alertmanager_silences_alerts_that_there_are():
    names = {alert["alert"] for alert in ALERTS}
    for rule in yaml.safe_load((CONFIG / "alertmanager.yml").read_text())["inhibit_rules"]:
        for [matcher] in (rule["source_matchers"], rule["target_matchers"]):
            assert set(re.findall(r"[A-Z]\w+", matcher)) <= names


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_how_bad_it_is_and_where_to_read_on(alert):
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"].keys() == {"summary", "runbook"}
    assert alert["annotations"]["runbook"] == f"docs/runbook.md#{alert['alert'].lower()}"


def test_the_runbook_has_a_section_for_each_alert_and_for_nothing_else_but_servers():
    before, _, rest = RUNBOOK.partition("\n## Servers\n")
    _, _, after = rest.partition("\n## Watching\n")
    sections = re.findall(r"^### (\w+)$", before + after, re.MULTILINE)
    assert sections == [alert["alert"] for alert in ALERTS]


def test_the_dashboard_is_provisioned_and_its_panels_have_a_source():
    folder = CONFIG / "grafana" / "provisioning"
    [source] = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels:
        for named in re.findall(r"Alerts?: ([\w, ]+)", panel["description"]):
            assert set(named.split(", ")) <= {alert["alert"] for alert in ALERTS}


def test_every_metric_is_shown_or_watched():
    documented = {
        re.findall("`([^`]+)`", cells[0])[0]
        for cells in rows((ROOT / "docs" / "metrics.md").read_text(encoding="utf-8"))
        if cells[0].startswith("`twitter_")
    }
    asked = {
        re.sub("_(bucket|sum|count)$", "", selector.metric)
        for query in (*panel_queries(), *alert_queries())
        for selector in selectors(query.expression)
    }
    assert documented == asked - {"up"}
