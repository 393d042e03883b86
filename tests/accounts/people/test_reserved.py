"""A deleted account's username and e-mail address are free after 30 days only."""

import time
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.utils import timezone

from accounts import purging
from accounts.models import Account, ReservedLogin
from accounts.people import reserved, services
from tests.accounts.factories import PASSWORD, AccountFactory
from twitter.base.http.errors import Conflict

pytestmark = pytest.mark.django_db

USERNAME, EMAIL = "Left_by_Ada", "Ada.Left@example.org"


@pytest.fixture
def ada() -> Account:
    account: Account = AccountFactory(username=USERNAME, email=EMAIL)
    return account


def delete(account: Account) -> None:
    Account.objects.filter(id=account.pk).update(deleted_at=timezone.now())
    while not purging.purge_account(account.pk):
        pass
    assert not Account.objects.filter(id=account.pk).exists()


def sign_up(api: Any, **changes: str) -> Any:
    form = {"username": "other", "email": "other@example.org", "password": PASSWORD}
    return api().post("/auth/create", form | changes)


@pytest.mark.parametrize(
    ("field", "value"), [("username", USERNAME.upper()), ("email", EMAIL.lower())]
)
def test_no_one_takes_them_and_the_answer_is_the_one_of_taken(
    field: str, value: str, ada: Account, api: Any
) -> None:
    taken = sign_up(api, **{field: value})
    delete(ada)
    answer = sign_up(api, **{field: value})
    assert (answer.status_code, answer.content) == (409, taken.content)
    with pytest.raises(Conflict, match="is taken"):
        services.update(
            account_id=AccountFactory().pk,
            session_id=1,
            changes={field: value},
            current_password=PASSWORD,
        )
    with pytest.raises(Conflict, match="is taken"):
        services.moderate(account_id=AccountFactory().pk, changes={field: value})
    assert sign_up(api).status_code == 201
    assert Account.objects.filter(username__iexact=USERNAME).count() == 0


def test_the_admin_and_commands_do_not_take_them_either(ada: Account) -> None:
    delete(ada)
    client = Client()
    client.force_login(AccountFactory(username="chief", is_staff=True, is_superuser=True))
    form = {"username": USERNAME, "name": "Ada", "password1": PASSWORD, "password2": PASSWORD}
    answer = client.post("/admin/accounts/account/add/", form, follow=True)
    assert b"This username is taken." in answer.content
    with pytest.raises(Conflict, match="is taken"):
        services.create_admin(username=USERNAME, password=PASSWORD)


def test_after_30_days_they_are_free(ada: Account, api: Any) -> None:
    delete(ada)
    both = {"username": USERNAME, "email": EMAIL}
    ReservedLogin.objects.update(until=F("until") - timedelta(days=30) + timedelta(seconds=30))
    assert sign_up(api, **both).status_code == 409
    ReservedLogin.objects.update(until=F("until") - timedelta(seconds=30))
    assert sign_up(api, **both).status_code == 201
    assert not purging.delete_expired()
    assert not ReservedLogin.objects.exists()


def test_they_are_reserved_again_when_they_are_deleted_again(ada: Account) -> None:
    delete(ada)
    ReservedLogin.objects.update(until=timezone.now())
    delete(AccountFactory(username=USERNAME.lower(), email=EMAIL.lower()))
    assert ReservedLogin.objects.filter(until__gt=timezone.now() + timedelta(days=29)).count() == 2


def test_nothing_is_stored_that_tells_them_without_the_key(ada: Account, settings: Any) -> None:
    delete(ada)
    digests = set(ReservedLogin.objects.values_list("digest", flat=True))
    assert all(len(digest) == 64 and digest.isalnum() for digest in digests)
    settings.SECRET_KEY = "another" * 8
    assert not reserved.is_reserved("username", USERNAME)


def test_an_account_without_an_address_reserves_its_name_only() -> None:
    delete(AccountFactory(username="no_mail", email=None))
    assert ReservedLogin.objects.count() == 1
    assert not reserved.is_reserved("email", None)


@pytest.mark.django_db(transaction=True)
def test_who_signs_up_while_the_account_is_purged_does_not_slip_through(
    api: Any, at_once: Any
) -> None:
    for number in range(5):
        name = f"Left{number}"
        account = AccountFactory(username=name)
        Account.objects.filter(id=account.pk).update(deleted_at=timezone.now())

        def purge(account: Account = account) -> bool:
            return purging.purge_account(account.pk)

        def sign_up_again(name: str = name, number: int = number) -> int:
            email = f"other{number}@example.org"
            status: int = sign_up(api, username=name.lower(), email=email).status_code
            return status

        assert at_once(purge, sign_up_again) == [True, 409]
        assert not Account.objects.filter(username__iexact=name).exists()


@pytest.mark.django_db(transaction=True)
def test_who_waits_for_the_purge_finds_the_name_reserved(
    api: Any, at_once: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sign-up is sent while the purge has deleted the row, and has not committed yet."""
    account = AccountFactory(username=USERNAME)
    Account.objects.filter(id=account.pk).update(deleted_at=timezone.now())
    waiting = Event()
    publish = purging.publish

    def late(*events: Any) -> None:
        waiting.set()
        wait_for_a_lock()
        publish(*events)

    def sign_up_again() -> int:
        assert waiting.wait(10)
        status: int = sign_up(api, username=USERNAME).status_code
        return status

    monkeypatch.setattr(purging, "publish", late)
    assert at_once(lambda: purging.purge_account(account.pk), sign_up_again) == [True, 409]
    assert not Account.objects.filter(username__iexact=USERNAME).exists()


def wait_for_a_lock() -> None:
    """Return when another connection to this database waits for a lock."""
    for _ in range(500):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    pytest.fail("no connection waits")
