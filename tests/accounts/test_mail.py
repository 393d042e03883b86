"""The former e-mail address learns that it was replaced, and no log learns the address."""

from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected
from typing import Any

import pytest
from celery import current_app
from django.core import mail

from accounts.models import Account
from accounts.people import services
from tests.accounts.factories import PASSWORD, AccountFactory
from twitter.outbox.models import Delivery

pytestmark = pytest.mark.django_db

FORMER, NEW = "ada.former@example.org", "ada.new@example.org"


@pytest.fixture
def ada() -> Account:
    account: Account = AccountFactory(username="ada", email=FORMER)
    return account


def change(api: Any, ada: Account, **changes: Any) -> None:
    answer = api(ada.pk).patch("/auth/update", {"current_password": PASSWORD, **changes})
    assert answer.status_code == 200, answer.content


def deliver() -> None:
    current_app.loader.import_default_modules()
    for delivery in Delivery.objects.filter(event="accounts.email_replaced"):
        current_app.tasks[delivery.task](delivery_ids=[delivery.pk])


def test_the_former_address_is_told_and_not_the_new_one(api: Any, ada: Account) -> None:
    change(api, ada, email=NEW, username="Ada_2")
    deliver()
    [sent] = mail.outbox
    assert (sent.to, sent.cc, sent.bcc) == ([FORMER], [], [])
    assert "@Ada_2" in sent.body
    assert NEW not in sent.message().as_string()
    assert sent.message()["Auto-Submitted"] == "auto-generated"
    assert not Delivery.objects.filter(event="accounts.email_replaced").exists()


@pytest.mark.parametrize("changes", [{"email": FORMER.upper()}, {"username": "other"}])
def test_who_keeps_the_address_gets_no_mail(
    api: Any, ada: Account, changes: dict[str, str]
) -> None:
    change(api, ada, **changes)
    assert not Delivery.objects.filter(event="accounts.email_replaced").exists()


def test_what_a_moderator_changes_is_told_as_well(ada: Account) -> None:
    services.moderate(account_id=ada.pk, changes={"email": None})
    deliver()
    assert [sent.to for sent in mail.outbox] == [[FORMER]]


@pytest.mark.parametrize(
    "error",
    [SMTPRecipientsRefused({FORMER: (550, b"no such user")}), SMTPServerDisconnected(), OSError()],
)
def test_a_mail_that_was_not_sent_is_tried_again_and_its_address_is_not_logged(
    api: Any,
    ada: Account,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise error

    change(api, ada, email=NEW)
    with monkeypatch.context() as patched:
        patched.setattr("django.core.mail.EmailMessage.send", refuse)
        deliver()
    delivery = Delivery.objects.get(event="accounts.email_replaced")
    assert delivery.attempts == 1
    assert type(error).__name__ in delivery.last_error
    assert FORMER not in caplog.text + delivery.last_error
    deliver()
    assert len(mail.outbox) == 1


def test_an_account_that_is_gone_meanwhile_sends_no_mail(api: Any, ada: Account) -> None:
    change(api, ada, email=NEW)
    Delivery.objects.filter(event="accounts.account_changed").delete()
    Account.objects.filter(pk=ada.pk).delete()
    deliver()
    assert mail.outbox == []
    assert not Delivery.objects.filter(event="accounts.email_replaced").exists()
