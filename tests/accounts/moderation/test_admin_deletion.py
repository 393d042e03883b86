"""An administrator deletes an account, in the admin or by a command: on a court's order, say."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts import facade
from accounts.models import Account
from accounts.sessions import services
from tests.accounts.factories import PASSWORD, AccountFactory, FollowFactory

pytestmark = pytest.mark.django_db(transaction=True)

REASON = "order 12-34 of the district court"
Way = Callable[[Account, str], Any]


@pytest.fixture
def chief() -> Account:
    account: Account = AccountFactory(username="chief", is_staff=True, is_superuser=True)
    return account


@pytest.fixture
def ada() -> Account:
    account: Account = AccountFactory(username="ada_the_first", email="ada.first@example.org")
    return account


def in_the_admin(account: Account, reason: str, by: str = "chief") -> str:
    client = Client()
    client.force_login(Account.objects.get(username=by))
    form = {"action": "delete_accounts", "_selected_action": [account.pk], "reason": reason}
    return client.post("/admin/accounts/account/", form, follow=True).content.decode()


def by_command(account: Account, reason: str, by: str = "chief") -> str:
    out = StringIO()
    call_command("delete_account", account.username.upper(), by=by, reason=reason, stdout=out)
    return out.getvalue()


WAYS = pytest.mark.parametrize("delete", [in_the_admin, by_command])


@WAYS
@pytest.mark.parametrize("suspended", [False, True])
def test_what_follows_is_what_an_owners_deletion_does(
    delete: Way, suspended: bool, ada: Account, chief: Account, run_outbox: Any, api: Any
) -> None:
    FollowFactory(follower=ada, followed=chief)
    pair = services.log_in(login="ada_the_first", password=PASSWORD, address="192.0.2.1")
    if suspended:
        Account.objects.filter(pk=ada.pk).update(suspended_at=timezone.now())
    delete(ada, REASON)
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {pair.access_token}")
    assert client.get("/auth/me").status_code == 401
    assert not facade.visible([ada.pk])
    run_outbox()
    assert not Account.objects.filter(pk=ada.pk).exists()
    again = {"username": "Ada_The_First", "email": "other@example.org", "password": PASSWORD}
    assert "is taken" in api().post("/auth/create", again).json()["detail"]


@WAYS
def test_the_log_keeps_who_and_why_and_not_whose(
    delete: Way, ada: Account, chief: Account, run_outbox: Any
) -> None:
    in_suspension = {"action": "suspend", "_selected_action": [ada.pk], "reason": "ada was rude"}
    client = Client()
    client.force_login(chief)
    client.post("/admin/accounts/account/", in_suspension)
    delete(ada, REASON)
    run_outbox()
    entries = LogEntry.objects.order_by("id").values_list(
        "user_id", "object_id", "object_repr", "change_message"
    )
    assert list(entries) == [
        (chief.pk, None, "a deleted account", "Suspended"),
        (chief.pk, None, "a deleted account", f"Deleted: {REASON}"),
    ]
    assert "order 12-34" in client.get("/admin/admin/logentry/").content.decode()
    out = StringIO()
    words = ["ada_the_first", "ada.first@example.org"]
    call_command("verify_deletion", str(ada.pk), word=words, stdout=out)
    assert "Nothing is left" in out.getvalue()


def test_a_moderator_who_is_no_superuser_cannot(ada: Account, chief: Account) -> None:
    moderator = AccountFactory(username="moderator", is_staff=True)
    moderator.user_permissions.set(Permission.objects.all())
    client = Client()
    client.force_login(moderator)
    assert "delete_accounts" not in client.get("/admin/accounts/account/").content.decode()
    in_the_admin(ada, REASON, by="moderator")
    with pytest.raises(CommandError, match="Only an administrator"):
        by_command(ada, REASON, by="moderator")
    assert facade.visible([ada.pk])
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("who", ["chief", "moderator", "former"])
def test_who_acts_or_acted_for_the_service_stays_in_the_log(who: str, chief: Account) -> None:
    AccountFactory(username="moderator", is_staff=True)
    former = AccountFactory(username="former")
    LogEntry.objects.create(user=former, action_flag=2, change_message="Suspended: spam")
    account = Account.objects.get(username=who)
    assert "cannot be deleted" in in_the_admin(account, REASON)
    with pytest.raises(CommandError, match="cannot be deleted"):
        by_command(account, REASON)
    assert facade.visible([account.pk])


@pytest.mark.parametrize("reason", ["", "  ", "\u200b", "x" * 501, "a\u202eb"])
def test_it_takes_a_reason(reason: str, ada: Account, chief: Account) -> None:
    assert "Delete for ever" in in_the_admin(ada, reason)
    with pytest.raises(CommandError, match="--reason: "):
        by_command(ada, reason)
    assert facade.visible([ada.pk])


def test_who_is_not_there_is_named(ada: Account, chief: Account) -> None:
    with pytest.raises(CommandError, match="There is no user nobody"):
        call_command("delete_account", "nobody", by="chief", reason=REASON)
    with pytest.raises(CommandError, match="--by: there is no user nobody"):
        by_command(ada, REASON, by="nobody")
    by_command(ada, REASON)
    with pytest.raises(CommandError, match="There is no such user"):
        by_command(ada, REASON)
