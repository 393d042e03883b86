"""What is kept for a while only goes in bounded steps, all of it, and at once."""

from datetime import timedelta
from typing import Any

import pytest
from celery.app.task import Task
from django.contrib.sessions.models import Session as AdminSession
from django.utils import timezone

from accounts import tasks as accounts
from accounts.models import ReservedLogin, Session
from tests.accounts.factories import AccountFactory
from tweets import purging
from tweets import tasks as tweets
from tweets.models import FirstAnswer, Tombstone
from twitter.base import declared
from twitter.base.data import expiry
from twitter.outbox.events import periodic_tasks

pytestmark = pytest.mark.django_db

PERIODIC = (accounts.delete_expired, tweets.delete_expired)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that receives the name of each task that is sent from now on."""
    names: list[str] = []

    def note(self: Any, *args: Any, **options: Any) -> None:
        names.append(self.name)

    monkeypatch.setattr(Task, "apply_async", note)
    return names


def store(number: int, *, is_over: bool) -> None:
    """Store so many rows of each kind."""
    account = AccountFactory()
    end = timezone.now() + timedelta(seconds=-1 if is_over else 60)
    keep = purging.KEEP_ANSWERS, purging.KEEP_TOMBSTONES
    ids = range(account.pk, account.pk + number)
    Session.objects.bulk_create(
        Session(account=account, family_hash="", token_hash="", expires_at=end) for _ in ids
    )
    AdminSession.objects.bulk_create(
        AdminSession(session_key=str(key), session_data="", expire_date=end) for key in ids
    )
    ReservedLogin.objects.bulk_create(ReservedLogin(digest=str(key), until=end) for key in ids)
    FirstAnswer.objects.bulk_create(
        FirstAnswer(account=account, key=str(key), request_hash=b"", created_at=end - keep[0])
        for key in ids
    )
    Tombstone.objects.bulk_create(
        Tombstone(tweet_id=key, author_id=1, removed_at=end - keep[1]) for key in ids
    )


def left() -> list[int]:
    kinds: Any = (Session, AdminSession, ReservedLogin, FirstAnswer, Tombstone)
    return [kind.objects.count() for kind in kinds]


def test_a_run_that_leaves_something_has_the_next_step_sent_at_once(
    sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "STEP", 4)
    store(10, is_over=True)
    store(3, is_over=False)
    expected = [9, 5, 3]
    for count in expected:
        for task in PERIODIC:
            task()
        assert left() == [count] * 5
    assert sent == [task.name for task in PERIODIC] * 2


def test_all_of_them_are_on_the_clock() -> None:
    assert {task.name for task in PERIODIC} <= periodic_tasks().keys()


def test_a_step_costs_a_statement_for_each_kind_however_much_there_is(
    sql_statements: list[str], sent: list[str]
) -> None:
    store(50, is_over=True)
    sql_statements.clear()
    for task in PERIODIC:
        task()
    assert left() == [0] * 5
    assert len([each for each in sql_statements if each.startswith("DELETE")]) == 5
    assert all("LIMIT 5000" in each for each in sql_statements if each.startswith("DELETE"))
    assert sent == []


def test_the_purge_of_an_author_takes_first_answers_away_in_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(declared, "STEP", 4)
    store(10, is_over=False)
    [author] = FirstAnswer.objects.values_list("account_id", flat=True).distinct()
    for count in (6, 2, 0):
        assert not purging.purge_author(author)
        assert FirstAnswer.objects.count() == count
    assert purging.purge_author(author)
