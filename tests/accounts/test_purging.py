"""Purging deletes a deleted account's rows step by step."""

from typing import Any

import pytest

from accounts import facade, purging
from accounts.models import Account, AccountCounterDelta, AccountCounters, Follow, Session
from accounts.people import counters as people_counters
from accounts.people import services as people_services
from accounts.people.reads import profiles
from accounts.sessions import reads
from accounts.sessions import services as sessions_services
from tests.accounts.factories import PASSWORD, AccountFactory, FollowFactory
from twitter.base import declared

pytestmark = pytest.mark.usefixtures("commits")


def test_an_account_that_is_not_deleted_is_left_alone() -> None:
    follow = FollowFactory()
    assert purging.purge_account(follow.follower_id)
    assert Follow.objects.exists()
    assert purging.purge_account(1)


def test_nothing_is_left_and_the_others_counters_are_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(declared, "STEP", 2)
    ada = AccountFactory(username="ada", email="ada@example.org")
    followers = [follow.follower for follow in FollowFactory.create_batch(5, followed=ada)]
    followees = [follow.followed for follow in FollowFactory.create_batch(3, follower=ada)]
    sessions_services.log_in(address="192.0.2.1", login="ada", password=PASSWORD)
    people_counters.fold_counters()
    others = [account.id for account in followers + followees]
    facade.cards(others)
    people_services.delete(account_id=ada.id, by_id=ada.id, session_id=1, password=PASSWORD)
    steps = 1
    while not purging.purge_account(ada.id):
        steps += 1
    assert steps == 4
    assert purging.purge_account(ada.id)
    assert not Follow.objects.exists()
    assert not Session.objects.exists()
    assert not Account.objects.filter(id=ada.id).exists()
    assert not AccountCounters.objects.filter(account_id=ada.id).exists()
    assert not AccountCounterDelta.objects.filter(account_id=ada.id).exists()
    for profile in profiles(others).values():
        assert (profile.followers_count, profile.following_count) == (0, 0)
    people_counters.fold_counters()
    people_services.refresh_cards(others)  # as the folding has it done after its commit
    for card in facade.cards(others).values():
        assert b'"followers_count":0,"following_count":0' in card


def test_deleting_runs_through_all_apps(run_outbox: Any) -> None:
    ada = AccountFactory()
    FollowFactory(follower=ada)
    people_services.delete(account_id=ada.id, by_id=ada.id, session_id=1, password=PASSWORD)
    run_outbox()
    assert not Account.objects.filter(id=ada.id).exists()
    assert not Follow.objects.exists()


def test_a_count_that_changes_costs_no_one_the_state_that_tokens_are_checked_against(
    sql_statements: list[str],
) -> None:
    ada = AccountFactory()
    others = [
        *(follow.follower for follow in FollowFactory.create_batch(2, followed=ada)),
        *(follow.followed for follow in FollowFactory.create_batch(2, follower=ada)),
    ]
    for other in others:
        reads.account_state(other.pk)
    facade.cards([other.pk for other in others])
    people_services.delete(account_id=ada.id, by_id=ada.id, session_id=1, password=PASSWORD)
    while not purging.purge_account(ada.id):
        pass
    sql_statements.clear()
    for other in others:
        assert reads.account_state(other.pk).active
    assert sql_statements == []
    people_counters.fold_counters()
    people_services.refresh_cards([other.pk for other in others])  # as the folding has it done
    for card in facade.cards([other.pk for other in others]).values():
        assert b'"followers_count":0,"following_count":0' in card
