"""The outbox in the admin: what failed can be tried again."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from accounts.models import Account
from twitter.outbox.models import Delivery

pytestmark = pytest.mark.django_db

LIST = "/admin/outbox/delivery/"


@pytest.fixture
def admin():
    client = Client()
    client.force_login(Account.objects.create_superuser("mod", password="x"))
    return client


@pytest.fixture
def failed():
    return Delivery.objects.create(
        event="tests.happened",
        task="tests.task",
        payload={"number": 1},
        attempts=10,
        failed_at=timezone.now(),
        last_error="ValueError: no luck",
    )


def test_what_waits_and_what_failed_are_listed_apart(admin, failed):
    Delivery.objects.create(event="tests.happened", task="tests.task", payload={})
    for state, count in (("waiting", 1), ("failed", 1), ("", 2)):
        answer = admin.get(LIST, {"state": state} if state else {})
        assert answer.context["cl"].result_count == count
    assert b"no luck" in admin.get(LIST, {"state": "failed"}).content
    assert admin.get(f"{LIST}{failed.pk}/change/").status_code == 200


def test_a_dead_letter_is_tried_again_and_that_is_in_the_audit_log(admin, failed):
    answer = admin.post(LIST, {"action": "retry", "_selected_action": [failed.pk]}, follow=True)
    assert b"1 sent again" in answer.content
    failed.refresh_from_db()
    assert (failed.failed_at, failed.attempts) == (None, 0)
    assert failed.due_at <= timezone.now()
    assert LogEntry.objects.get().change_message == "Tried again: ValueError: no luck"
