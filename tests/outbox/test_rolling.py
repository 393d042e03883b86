"""While a new version is rolled out, old and new code read the same rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import pytest
from django.db import transaction
from django.utils import timezone

from timelines import tasks as timelines
from timelines.home import services
from tweets.entries import Ref
from tweets.events import TweetPosted
from twitter.events import SUBSCRIPTIONS
from twitter.outbox import checks, events, relay
from twitter.outbox.events import Event, Subscription, UnreadableEvent, publish
from twitter.outbox.models import Delivery
from twitter.outbox.tasks import task

# The rows of version 1.0, which had no versions: event to payload. Lines are added, and go with the
# event; a line that must be changed is a row in flight that is not understood.
ROWS: Mapping[str, Mapping[str, Any]] = {
    "accounts.account_changed": {"account_id": 1},
    "accounts.sessions_revoked": {"account_id": 1},
    "accounts.counters_folded": {"account_ids": [1, 2]},
    "accounts.account_suspended": {"account_id": 1},
    "accounts.account_restored": {"account_id": 1},
    "accounts.account_deleted": {"account_id": 1},
    "accounts.account_purged": {"account_id": 1},
    "accounts.followed": {"follower_id": 1, "followed_id": 2},
    "accounts.unfollowed": {"follower_id": 1, "followed_id": 2},
    "accounts.became_popular": {"account_id": 1},
    "accounts.graph_imported": {},
    "timelines.followers_know": {"account_id": 1},
    "tweets.tweet_posted": {"tweet_id": 1, "author_id": 2, "original_id": 0},
    "tweets.tweet_removed": {"tweet_id": 1, "author_id": 2, "original_id": 3},
    "tweets.tweet_deleted": {"tweet_id": 1},
    "tweets.metrics_folded": {"tweet_ids": [1, 2]},
    "tweets.viewer_changed": {"account_id": 1},
    "tweets.author_purged": {"author_id": 1},
    "tweets.tweets_imported": {"author_ids": [1, 1, 2]},
    "tweets.import_ended": {},
}

seen: list[tuple[Event, int]] = []


@dataclass(frozen=True, kw_only=True)
class Measured(Event):
    name: ClassVar[str] = "tests.measured"
    metres: int


@dataclass(frozen=True, kw_only=True)
class MeasuredBy(Event):
    """The next version: one field more, and the field that was there means the same."""

    name: ClassVar[str] = "tests.measured"
    metres: int
    measured_by: str = "somebody"


@dataclass(frozen=True, kw_only=True)
class MeasuredInFeet(Event):
    """The version after that: what was in metres is in feet."""

    name: ClassVar[str] = "tests.measured"
    version: ClassVar[int] = 2
    length: int

    @classmethod
    def upcast(cls, facts, *, version):
        return {**facts, "length": facts["metres"] * 3}


@task()
def see(event: Measured | MeasuredBy | MeasuredInFeet, *, after: int = 0) -> dict | None:
    seen.append((event, after))
    return None if after == 2 else {"after": after + 1}


@pytest.fixture
def version(monkeypatch):
    """Return a function that has the process be of the version that knows this event."""

    def be(event_type):
        table = {event_type: [Subscription(task=see.name)]}
        monkeypatch.setattr(events, "subscriptions", lambda: table)

    seen.clear()
    return be


def written(event: Event) -> Delivery:
    with transaction.atomic():
        publish(event)
    return Delivery.objects.latest("id")


def step() -> None:
    see.run(delivery_ids=list(Delivery.objects.values_list("id", flat=True)))


def test_rows_of_the_version_before_are_read():
    assert {event_type.name for event_type in SUBSCRIPTIONS} >= ROWS.keys()
    for name, payload in ROWS.items():
        event = events.read(name, payload)
        assert event.name == name
        assert payload.items() <= event.payload().items()


def test_a_row_is_flat_and_of_the_first_version_without_a_version():
    """So the version before events had versions reads it as well."""
    event = TweetPosted(tweet_id=1, author_id=2, original_id=0)
    assert event.payload().items() >= {"tweet_id": 1, "author_id": 2, "original_id": 0}.items()
    assert "version" not in event.payload()


@pytest.mark.usefixtures("commits")
def test_a_fan_out_that_was_under_way_at_the_upgrade_goes_on_where_it_was(monkeypatch):
    """The version before wrote the fan-out's row, and served half of the followers."""
    begun_at = []
    monkeypatch.setattr(services, "fan_out", lambda ref, *, after: begun_at.append((ref, after)))
    row = Delivery.objects.create(
        event="tweets.tweet_posted",
        task=timelines.fan_out.name,
        payload={"tweet_id": 1, "author_id": 2, "original_id": 0, "after": 10_000},
    )
    timelines.fan_out.run(delivery_ids=[row.pk])
    assert begun_at == [(Ref(1, 2), 10_000)]
    assert not Delivery.objects.exists()


@pytest.mark.usefixtures("commits")
def test_a_field_that_was_added_breaks_neither_the_old_version_nor_the_new(version):
    """The row goes from the old to the new version and back, a step in each."""
    version(Measured)
    written(Measured(metres=5))
    version(MeasuredBy)
    step()
    version(Measured)
    step()
    version(MeasuredBy)
    step()
    assert not Delivery.objects.exists()
    version(MeasuredBy)
    written(MeasuredBy(metres=6, measured_by="ada"))
    version(Measured)
    step()
    version(MeasuredBy)
    step()
    assert seen == [
        (MeasuredBy(metres=5, measured_by="somebody"), 0),
        (Measured(metres=5), 1),
        (MeasuredBy(metres=5, measured_by="somebody"), 2),
        (Measured(metres=6), 0),
        (MeasuredBy(metres=6, measured_by="ada"), 1),
    ]


@pytest.mark.usefixtures("commits")
def test_what_means_something_else_is_translated_by_new_code_and_left_alone_by_old(version):
    version(Measured)
    written(Measured(metres=5))
    version(MeasuredInFeet)
    step()
    assert seen == [(MeasuredInFeet(length=15), 0)]
    Delivery.objects.all().delete()
    row = written(MeasuredInFeet(length=30))
    seen.clear()
    version(Measured)
    step()
    assert seen == []
    row.refresh_from_db()
    assert row.last_error == "UnreadableEvent: tests.measured of version 2"
    assert row.failed_at is None
    version(MeasuredInFeet)
    step()
    assert seen == [(MeasuredInFeet(length=30), 0)]


@pytest.mark.django_db(transaction=True)
def test_an_event_that_only_newer_code_knows_waits_and_holds_up_no_other(version, monkeypatch):
    version(Measured)
    written(Measured(metres=1))
    row = Delivery.objects.create(event="tests.unheard_of", task=see.name, payload={})
    sent = []
    monkeypatch.setattr(see, "apply_async", lambda kwargs, retry: sent.append(kwargs))
    assert relay.send_due() == 2
    see.run(**sent[0])
    assert [event for event, _ in seen] == [Measured(metres=1)]
    row.refresh_from_db()
    assert row.last_error == "UnreadableEvent: tests.unheard_of"
    with pytest.raises(UnreadableEvent):
        events.read(row.event, row.payload)


@pytest.mark.django_db(transaction=True)
def test_a_task_that_only_newer_code_has_waits_and_holds_up_no_other(version, monkeypatch, caplog):
    """An old relay goes on beside new web servers."""
    version(Measured)
    row = Delivery.objects.create(event=Measured.name, task="tests.no_such_task", payload={})
    written(Measured(metres=1))
    sent = []
    monkeypatch.setattr(see, "apply_async", lambda kwargs, retry: sent.append(kwargs))
    assert relay.send_due() == 2
    assert len(sent) == 1
    assert "tests.no_such_task is left to a newer relay" in caplog.text
    row.refresh_from_db()
    assert row.due_at > timezone.now()
    assert row.failed_at is None
    assert relay.send_due() == 0


class OfFeet(Protocol):
    length: int


@task()
def take_metres(event: Measured) -> None:
    pass


@task()
def take_feet(event: OfFeet, *, after: int = 0) -> None:
    pass


@task()
def keep_length(event: MeasuredInFeet, *, length: int = 0) -> None:
    pass


@pytest.mark.parametrize(
    ("function", "event_type", "fits"),
    [
        (take_metres, Measured, True),
        (take_metres, MeasuredInFeet, False),
        (take_feet, MeasuredInFeet, True),
        (take_feet, Measured, False),
        (see, Measured, True),
        (keep_length, MeasuredInFeet, False),  # a field, and what a step keeps
    ],
)
def test_a_task_that_does_not_take_its_event_is_a_failed_check(
    monkeypatch, function, event_type, fits
):
    table = {event_type: [Subscription(task=function.name)]}
    monkeypatch.setattr(checks, "subscriptions", lambda: table)
    assert [error.id for error in checks.tasks_take_their_events()] == ["outbox.E002"] * (not fits)
