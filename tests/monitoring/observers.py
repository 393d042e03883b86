"""A real Prometheus and a real Alertmanager with the shipped configuration, in a hurry.

What differs from config/: where the parts are, and that seconds pass instead of minutes.
"""

import http.client
import http.server
import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from deploy.local.ports import free_port
from deploy.local.supervisor import Supervisor

CONFIG = Path(__file__).resolve().parents[2] / "config"
RULES = (CONFIG / "alerts.yml").read_text(encoding="utf-8")
PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")
ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
AMTOOL = shutil.which("amtool")
WINDOW = "1m"  # of rates: shorter than in earnest, longer than the tests take
START_SECONDS = 60.0


class Prometheus:
    """One that runs; `query` asks it."""

    def __init__(self, port: int) -> None:
        self.port = port

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what an expression gives now: each with `metric`, its labels, and `value`."""
        found: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return found

    def ask(self, what: str, **options: Any) -> Any:
        """Return the data of an answer of its API; it must be no error."""
        answer = json.loads(get(self.port, f"/api/v1/{what}?{urlencode(options, doseq=True)}"))
        assert answer["status"] == "success", (options, answer)
        return answer["data"]


class Webhook:
    """What Alertmanager notifies."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        received = self.received

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.extend(json.loads(body)["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def alert(self, name: str, *, status: str) -> dict[str, Any] | None:
        """Return a notification of an alert that is `firing` or `resolved`, if there was one."""
        found = (
            one
            for one in self.received
            if one["labels"]["alertname"] == name and one["status"] == status
        )
        return next(found, None)


@contextmanager
def watching(folder: Path, targets: Mapping[str, int]) -> Iterator[tuple[Prometheus, Webhook]]:
    """Run both; `targets` are the ports of the jobs in config/prometheus.yml."""
    webhook = Webhook()
    port, alertmanager_port = free_port(), free_port()
    (folder / "alerts.yml").write_text(_in_a_hurry(RULES))
    _write(folder / "prometheus.yml", _scraping(targets, alertmanager_port))
    _write(folder / "alertmanager.yml", _notifying(webhook.url))
    supervisor = Supervisor()
    with ExitStack() as ending:
        ending.callback(webhook.server.server_close)
        ending.callback(webhook.server.shutdown)
        ending.push(supervisor)
        supervisor.start(
            "alertmanager",
            [
                str(ALERTMANAGER),
                f"--config.file={folder}/alertmanager.yml",
                f"--storage.path={folder}/alertmanager",
                f"--web.listen-address=127.0.0.1:{alertmanager_port}",
                "--cluster.listen-address=",
            ],
            log=folder / "alertmanager.log",
        )
        supervisor.start(
            "prometheus",
            [
                str(PROMETHEUS),
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/prometheus",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            log=folder / "prometheus.log",
        )
        for each in (port, alertmanager_port):
            supervisor.wait(lambda each=each: _is_ready(each), seconds=START_SECONDS)  # type: ignore[misc]
        yield Prometheus(port), webhook


def _scraping(targets: Mapping[str, int], alertmanager_port: int) -> Any:
    shipped = yaml.safe_load((CONFIG / "prometheus.yml").read_text(encoding="utf-8"))
    shipped["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for job in shipped["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{targets[job['job_name']]}"]}]
    [alertmanager] = shipped["alerting"]["alertmanagers"]
    alertmanager["static_configs"] = [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]
    return shipped


def _notifying(url: str) -> Any:
    shipped = yaml.safe_load((CONFIG / "alertmanager.yml").read_text(encoding="utf-8"))
    shipped["route"] |= {"group_wait": "0s", "group_interval": "1s"}
    shipped["receivers"][0]["webhook_configs"] = [{"url": url, "send_resolved": True}]
    return shipped


def _in_a_hurry(rules: str) -> str:
    return re.sub(r"\[\d+m\]", f"[{WINDOW}]", re.sub(r"\bfor: \d+m", "for: 1s", rules))


def _write(path: Path, settings: Any) -> None:
    path.write_text(yaml.safe_dump(settings))


def _is_ready(port: int) -> bool:
    try:
        get(port, "/-/ready")
    except (OSError, AssertionError, http.client.HTTPException):
        return False
    return True


def get(port: int, target: str) -> str:
    """Return the body of an answer, which must be a good one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read().decode()
    finally:
        connection.close()
    assert answer.status == 200, body
    return body


def eventually(found: Callable[[], Any], *, seconds: float = 60.0) -> Any:
    """Return what is found as soon as it is something."""
    deadline = time.monotonic() + seconds
    while not (something := found()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.2)
    return something
