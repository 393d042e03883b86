"""Metrics: the table is what there is, labels are of our making, and off is off."""

import os
import re
import runpy
from pathlib import Path

import pytest
from django.core.handlers.wsgi import WSGIHandler
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from tests.test_readme import ROOT, rows
from twitter.base import serving
from twitter.base.observe import exporter, metrics

TABLE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


@pytest.fixture
def ask(counted, rf):
    """Return a function that has the whole application answer, counted."""
    application = metrics.measured(WSGIHandler())

    def do(method, path, **headers):
        environ = rf.generic(method, path, **headers).environ
        blocks = application(environ, lambda status, headers, error=None: None)
        b"".join(blocks)
        blocks.close()

    return do


def test_the_table_is_what_is_counted():
    instruments = vars(metrics.Instruments(CollectorRegistry())).values()
    there_are = {}
    for each in instruments:
        assert isinstance(each, MetricWrapperBase)
        if not each._labelvalues:
            name = f"{each._name}_total" if each._type == "counter" else each._name
            there_are[name] = (each._type, set(each._labelnames))
    documented = {
        re.findall("`([^`]+)`", cells[0])[0]: (cells[1], set(re.findall("`([^`]+)`", cells[2])))
        for cells in rows(TABLE)
        if cells[0].startswith("`twitter_")
    }
    assert documented == there_are


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", "/auth/healthz", ("GET", "/auth/healthz", "200")),
        ("GET", "/auth/id/17", ("GET", "/auth/id/<id:user_id>", "401")),
        ("GET", "/auth/17/nothing", ("GET", metrics.UNKNOWN, "404")),
        ("BREW", "/auth/healthz", ("other", "/auth/healthz", "405")),
        ("GET", "/admin/accounts/account/17/change/", ("GET", metrics.ADMIN, "302")),
        ("GET", "/static/nothing.css", ("GET", metrics.STATIC, "404")),
        ("GET", "/timeline/timeline", ("GET", "/timeline/timeline", "401")),
    ],
)
def test_routes_are_patterns_and_never_what_a_client_wrote(counted, ask, method, path, labels):
    ask(method, path)
    named = dict(zip(("method", "route", "status"), labels, strict=True))
    assert counted("twitter_http_requests_total", **named) == 1
    del named["status"]
    assert counted("twitter_http_request_duration_seconds_count", **named) == 1


@pytest.mark.django_db
def test_what_is_refused_before_it_is_routed_has_its_route(counted, ask, settings):
    settings.RATE_LIMITS = {
        **settings.RATE_LIMITS,
        "reads": {"user": None, "token": None, "address": (1, 60)},
    }
    for _ in range(3):
        ask("GET", "/timeline/update")
    labels = {"method": "GET", "route": "/timeline/update"}
    assert counted("twitter_http_requests_total", **labels, status="429") == 2
    assert counted("twitter_limits_refused_total", bucket="reads-per-address") == 2


def test_off_nothing_is_wrapped_and_nothing_is_served(monkeypatch):
    monkeypatch.delenv("METRICS_PORT", raising=False)
    exporter.begin()
    exporter.serve()
    exporter.join()
    assert metrics.instruments is None

    def application(environ, start_response):
        return []

    assert metrics.measured(application) is application


def test_an_empty_host_is_every_address(monkeypatch):
    begun = []
    monkeypatch.setenv("WEB_HOST", "")
    monkeypatch.setattr(serving, "HOST", runpy.run_path(serving.__file__)["HOST"])
    monkeypatch.setattr(metrics, "instruments", object())
    monkeypatch.setattr(exporter, "_folder", ".")
    monkeypatch.setattr(exporter, "start_http_server", lambda port, host, _: begun.append(host))
    exporter.serve()
    assert begun == ["0.0.0.0"]


def test_a_process_goes_on_with_the_counts_of_the_one_before(monkeypatch, tmp_path):
    from prometheus_client import values
    from prometheus_client.multiprocess import MultiProcessCollector

    monkeypatch.setattr(exporter, "_MEMORY", str(tmp_path))
    monkeypatch.setattr(exporter, "_name", "main")
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setattr(metrics, "instruments", None)
    monkeypatch.setenv("METRICS_PORT", "1")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    exporter.begin()
    folder = Path(exporter._folder)
    assert folder.parent == tmp_path
    collector = MultiProcessCollector(CollectorRegistry(), str(folder))

    def counts():
        return {
            sample.name: sample.value for family in collector.collect() for sample in family.samples
        }

    def join_and_count():
        exporter.join()
        threads = counts().get("twitter_web_threads", 0)
        metrics.delivered(5)
        metrics.instruments.web_threads.set(4)
        return exporter._lock, threads

    first, _ = join_and_count()
    second, _ = join_and_count()
    assert counts()["twitter_web_threads"] == 8
    os.close(first)  # as when its process has ended
    third, threads = join_and_count()
    assert threads == 4, "gauges of the first process are gone with it"
    assert counts()["twitter_fan_out_deliveries_total"] == 15
    assert counts()["twitter_web_threads"] == 8
    assert len(list(folder.glob("counter_child-*.db"))) == 2
    os.close(second)
    os.close(third)
