"""After a deletion nothing is left, in PostgreSQL, in Redis and in the outbox."""

import json
import struct
from datetime import timedelta

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session as AdminSession
from django.test import Client
from django.utils import timezone

from accounts.events import AccountPurged
from accounts.models import Account, AccountCounterDelta, AccountCounters, Follow, ReservedLogin
from accounts.tasks import sweep_account
from tests.accounts.factories import PASSWORD, AccountFactory
from tests.privacy.conftest import ADA, ADAS_EMAIL, verify
from tweets.reactions import marks
from twitter.base.http import limits
from twitter.outbox.models import Delivery

pytestmark = pytest.mark.usefixtures("commits")


def delete(person) -> None:
    answer = person.api.delete(f"/auth/delete/{person.id}", {"password": PASSWORD})
    assert answer.status_code == 200, answer.content


def test_a_deletion_leaves_nothing(ada, bob, run_outbox):
    run_outbox()
    ada.ask("get", "/timeline/timeline")
    bob.ask("get", "/timeline/timeline")
    before = verify(ada.id, ADA, ADAS_EMAIL)
    for place in (
        "accounts_account.id",
        "accounts_account.username",
        "accounts_account.email",
        "accounts_follow.follower_id",
        "accounts_session.account_id",
        "django_admin_log.object_id",
        "django_admin_log.object_repr",
        "django_admin_log.change_message",
        "tweets_tweet.author_id",
        "tweets_like.account_id",
        "tweets_bookmark.account_id",
        "tweets_bookmark.author_id",
        "tweets_firstanswer.account_id",
        "tweets_tombstone.author_id",
        f"home:4:{{{ada.id}}}",
        marks.VALUES.key(ada.id),
        f"limit:known:{ada.id}",
        limits.digest(ada.id),
    ):
        assert place in before, (place, before)
    delete(ada)
    run_outbox()
    assert verify(ada.id, ADA, ADAS_EMAIL) == ""
    assert ReservedLogin.objects.count() == 2  # which nothing tells from others
    # What bob wrote is his, though it names her, and so is what he sees.
    texts = {tweet["text"] for tweet in bob.ask("get", "/timeline/timeline")["data"]}
    assert texts == {"Hello @ada_lovelace"}


def test_the_audit_log_still_tells_what_moderators_did(ada, moderator, run_outbox):
    _, chief = moderator
    delete(ada)
    run_outbox()
    entries = LogEntry.objects.values_list("user_id", "object_id", "object_repr", "change_message")
    assert set(entries) == {
        (chief.pk, None, "a deleted account", "Suspended"),
        (chief.pk, None, "a deleted account", "Suspension lifted"),
        (chief.pk, None, "a tweet", "Hidden"),
    }


def test_what_moderators_noted_of_others_stays_as_it_is(ada, bob, run_outbox):
    kept = LogEntry.objects.create(
        user_id=AccountFactory().pk,
        content_type=ContentType.objects.get_for_model(Account),
        object_id=str(bob.id),
        object_repr="@bob_by_name",
        action_flag=CHANGE,
        change_message="Suspended: rude",
    )
    delete(ada)
    run_outbox()
    kept.refresh_from_db()
    assert (kept.object_id, kept.change_message) == (str(bob.id), "Suspended: rude")


def test_entries_of_a_removed_follow_and_of_django_are_anonymised_as_well(
    ada, bob, moderator, run_outbox
):
    client, _ = moderator
    follow = Follow.objects.get(follower_id=ada.id)
    data = {"action": "remove_follow", "_selected_action": [follow.pk], "reason": "ada asked"}
    client.post("/admin/accounts/follow/", data)
    assert LogEntry.objects.filter(object_repr=f"{ada.id} follows {bob.id}").exists()
    LogEntry.objects.create(
        user_id=moderator[1].pk,
        content_type=ContentType.objects.get_for_model(Account),
        object_id=str(ada.id),
        object_repr=f"@{ADA}",
        action_flag=CHANGE,
        change_message=json.dumps([{"added": {}}]),
    )
    delete(ada)
    run_outbox()
    assert verify(ada.id, ADA) == ""
    assert LogEntry.objects.filter(change_message='[{"added": {}}]').exists()


def test_sessions_of_the_admin_end(ada, account, moderator, run_outbox):
    """Somebody who was of the staff once."""
    client = Client()
    client.force_login(account)
    assert "django_session.session_data" in verify(ada.id)
    assert AdminSession.objects.count() == 2
    delete(ada)
    run_outbox()
    assert verify(ada.id) == ""
    assert AdminSession.objects.count() == 1  # the moderator's


def test_what_comes_in_during_the_purge_is_swept_away(ada, run_outbox, valkey):
    delete(ada)
    while Account.objects.filter(id=ada.id).exists():
        run_one(Delivery.objects.exclude(event="accounts.account_purged").order_by("id").first())
    sweeps = Delivery.objects.filter(event="accounts.account_purged")
    assert all(sweep.due_at > timezone.now() for sweep in sweeps)
    AccountCounters.objects.create(account_id=ada.id)  # by a folding that was under way
    AccountCounterDelta.objects.create(account_id=ada.id, tweet_count=-1)
    valkey.lpush(f"home:4:{{{ada.id}}}", "9223372036854775807")  # by a read that took long
    valkey.set(f"newest:{ada.id}", struct.pack("<2q", 1, 1023))
    valkey.set(marks.VALUES.key(ada.id), struct.pack("<2q", 0, 0))
    failed = Delivery.objects.create(
        event="x", task="x", payload={"ids": [7, ada.id]}, failed_at=timezone.now()
    )
    other = Delivery.objects.create(
        event="x", task="x", payload={"ids": [7, ada.id * 10]}, failed_at=timezone.now()
    )
    unsent = Delivery.objects.create(
        event="accounts.email_replaced",
        task="accounts.tasks.tell_former_address",
        payload={"account_id": ada.id, "former_email": ADAS_EMAIL},
        due_at=timezone.now() + timedelta(minutes=10),
    )
    sweep_account(AccountPurged(account_id=ada.id))
    assert not Delivery.objects.filter(id=unsent.pk).exists()
    run_outbox()
    assert verify(ada.id, ADA, ADAS_EMAIL) == ""
    assert not Delivery.objects.filter(id=failed.pk).exists()
    assert Delivery.objects.filter(id=other.pk).exists()


def run_one(delivery) -> None:
    from celery import current_app

    current_app.loader.import_default_modules()
    current_app.tasks[delivery.task](delivery_ids=[delivery.pk])


def test_that_an_account_is_gone_is_cached_for_as_long_as_its_tokens_last(ada, valkey, settings):
    delete(ada)
    assert ada.api.get("/auth/me").status_code == 401
    assert 0 < valkey.ttl(f"state:{{{ada.id}}}") <= settings.ACCESS_TOKEN_SECONDS
