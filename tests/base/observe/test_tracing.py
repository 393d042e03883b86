"""Traces within one process: who is sampled, what is carried on, and a collector that is away.

Those of the whole service are in tests/deploy/test_tracing.py.
"""

import pytest

from tests.asking import ask, request
from tests.otlp import Receiver
from tweets.models import Tweet
from twitter import wsgi
from twitter.base.observe import spans, tracing
from twitter.outbox import relay
from twitter.outbox.models import Delivery

pytestmark = pytest.mark.usefixtures("commits")

FOREIGN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def traced(receiver, monkeypatch):
    """Return a function that traces this process with a sampler, from then on."""
    monkeypatch.setattr(tracing, "_traces", None)

    def start(sampler: str, **variables: str) -> None:
        environment = {**receiver.environment, "OTEL_TRACES_SAMPLER": sampler, **variables}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        tracing.start("test")

    yield start
    tracing.stop()


def post(account_id: int, **changes) -> None:
    from io import BytesIO

    body = b'{"text": "Hello"}'
    status, _, answer = ask(
        wsgi.application,
        request(
            account_id,
            REQUEST_METHOD="POST",
            PATH_INFO="/tweet/create",
            CONTENT_TYPE="application/json",
            CONTENT_LENGTH=str(len(body)),
            **{"wsgi.input": BytesIO(body), **changes},
        ),
    )
    assert status == "201 Created", answer


def test_what_is_not_sampled_leaves_nothing(traced, receiver, make_account, run_outbox):
    traced("always_off")
    post(make_account("ann"))
    assert list(Delivery.objects.values_list("traceparent", flat=True)) == [None]
    run_outbox()
    tracing.stop()
    assert receiver.spans == []


def test_a_ratio_samples_so_many(traced, receiver, make_account):
    traced("parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0.5")
    account = make_account("ann")
    for _ in range(64):
        ask(wsgi.application, request(account, PATH_INFO="/auth/me"))
    tracing.stop()
    assert 10 < len(receiver.spans) < 54  # all but one in 10^8 times


def test_a_client_cannot_have_itself_traced(traced, receiver, make_account):
    traced("parentbased_always_off")
    post(make_account("ann"), HTTP_TRACEPARENT=FOREIGN)
    tracing.stop()
    assert receiver.spans == []


def test_a_delivery_carries_on_the_trace_of_its_post(traced, receiver, make_account, run_outbox):
    traced("always_on")
    post(make_account("ann"))
    [delivery] = Delivery.objects.all()
    run_outbox()
    tracing.stop()
    _, trace_id, parent_id, _ = delivery.traceparent.split("-")
    publish = next(span for span in receiver.spans if span.name == "publish")
    assert (publish.trace_id, publish.id) == (trace_id, parent_id)
    [process] = [span for span in receiver.spans if span.name.startswith("process ")]
    assert (process.trace_id, process.parent_id) == (trace_id, parent_id)
    assert process.attributes["twitter.tweet_id"] == Tweet.objects.get().pk


def test_what_a_relay_sends_together_is_a_span_in_each_trace(
    traced, receiver, make_account, monkeypatch
):
    traced("always_on")
    for name in ("ann", "bob"):
        post(make_account(name))
    monkeypatch.setattr(relay.current_app.tasks["timelines.tasks.fan_out"], "apply_async", dict)
    assert relay.send_due() == 2
    tracing.stop()
    sends = [span for span in receiver.spans if span.name == "send timelines.tasks.fan_out"]
    assert len({span.trace_id for span in sends}) == 2


def test_a_request_that_fails_tells_what_kind_of_error_it_was(
    traced, receiver, make_account, monkeypatch
):
    traced("always_on")

    def fail(**_):
        raise LookupError("a secret")

    monkeypatch.setattr("tweets.posts.services.post", fail)
    with pytest.raises(AssertionError, match="500"):
        post(make_account("ann"))
    tracing.stop()
    [span] = receiver.spans
    assert span.failed
    assert span.attributes["error.type"] == "LookupError"
    assert span.attributes["http.response.status_code"] == 500
    assert "secret" not in repr(span)


def test_a_collector_that_is_away_harms_nobody(traced, make_account, monkeypatch):
    traced("always_on", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    monkeypatch.setattr(spans, "STOP_SECONDS", 0.1)
    post(make_account("ann"))
    tracing.stop()  # it returns, while the exporter would try again for seconds


def test_without_traces_nothing_is_done(monkeypatch):
    monkeypatch.setattr(tracing, "_traces", None)
    assert tracing.traceparent() is None
    with tracing.request("GET") as one, tracing.span("two", parent=FOREIGN) as two:
        tracing.note(number=1)
        tracing.failed(ValueError())
    with tracing.spans("three", parents=[FOREIGN]):
        assert (one, two) == (None, None)
    tracing.stop()
