"""What a password costs to check, and that an answer tells no more than it should."""

import time
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import Account
from accounts.people import services
from accounts.sessions.tokens import issue_access_token
from tests.accounts.factories import PASSWORD, AccountFactory
from twitter.base.http.errors import TooBusy

pytestmark = pytest.mark.django_db

TOO_LONG = "x" * 129


@pytest.fixture(autouse=True)
def people() -> None:
    """Store an account of each kind."""
    AccountFactory(username="ada")
    AccountFactory(username="chief", is_staff=True)
    AccountFactory(username="gone", is_staff=True, deleted_at=timezone.now())
    AccountFactory(username="barred", is_staff=True, suspended_at=timezone.now())
    Account.objects.create_user("imported", is_staff=True)


def ask_api(username: str, password: str) -> Any:
    body = {"username": username, "password": password}
    return APIClient().post("/auth/token", body)


def ask_admin(username: str, password: str) -> Any:
    return Client().post("/admin/login/", {"username": username, "password": password})


@pytest.mark.parametrize("ask", [ask_api, ask_admin])
@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("nobody", PASSWORD),
        ("ada", "wrong"),
        ("chief", "wrong"),
        ("gone", PASSWORD),
        ("barred", PASSWORD),
        ("imported", PASSWORD),
        ("x" * 300, PASSWORD),
        ("nobody@example.org", PASSWORD),
        ("chief@example.org", "wrong"),
    ],
)
def test_a_refused_log_in_costs_one_hash(
    ask: Any, username: str, password: str, hashes: list[str]
) -> None:
    if ask is ask_api and len(username) > 254:
        return  # refused as no login at all
    answer = ask(username, password)
    assert len(hashes) == 1
    refused = 403 if username == "barred" else 401
    assert answer.status_code == (refused if ask is ask_api else 200)


def test_the_admin_hashes_once_for_those_who_are_not_of_the_staff(hashes: list[str]) -> None:
    assert b"staff account" in ask_admin("ada", PASSWORD).content
    assert len(hashes) == 1


@pytest.mark.parametrize("ask", [ask_api, ask_admin])
@pytest.mark.parametrize("username", ["ada", "chief", "nobody"])
def test_a_password_that_nobody_can_have_is_not_hashed(
    ask: Any, username: str, hashes: list[str]
) -> None:
    assert ask(username, TOO_LONG).status_code == (400 if ask is ask_api else 200)
    assert hashes == []


@pytest.mark.parametrize("ask", [ask_api, ask_admin])
@pytest.mark.parametrize("username", ["ada", "chief", "nobody"])
def test_who_is_refused_by_a_limit_costs_no_hash(
    ask: Any, username: str, hashes: list[str], limit: Any
) -> None:
    for kind in ("log-ins", "admin-log-ins"):
        limit(kind, account_and_address=(1, 900))
    ask(username, "wrong")
    hashes.clear()
    assert b"Too many attempts to log in" in ask(username, "wrong").content
    assert hashes == []


@pytest.mark.parametrize(
    "taken", [{}, {"username": "ADA"}, {"email": "ada@example.org"}], ids=["free", "name", "email"]
)
def test_signing_up_costs_one_hash_whatever_is_taken(
    taken: dict[str, str], hashes: list[str]
) -> None:
    body = {"username": "eve", "email": "eve@example.org", "password": PASSWORD}
    answer = APIClient().post("/auth/create", body | taken)
    assert answer.status_code == (409 if taken else 201)
    assert len(hashes) == 1


def test_no_password_is_set_that_could_not_log_in() -> None:
    client = Client()
    client.force_login(Account.objects.get(username="chief"))
    form = {"old_password": PASSWORD, "new_password1": TOO_LONG, "new_password2": TOO_LONG}
    assert b"at most 128 characters" in client.post("/admin/password_change/", form).content
    assert ask_admin("chief", PASSWORD).status_code == 302


def logged_in(username: str, session_id: int = 1) -> APIClient:
    account = Account.objects.get(username=username)
    token = issue_access_token(account_id=account.pk, session_id=session_id, generation=0)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def change(client: APIClient, current: str, new: str = "an entirely new one") -> Any:
    return client.patch("/auth/update", {"password": new, "current_password": current})


def delete(client: APIClient, password: str) -> Any:
    account_id = Account.objects.get(username="ada").pk
    return client.delete(f"/auth/delete/{account_id}", {"password": password})


@pytest.mark.parametrize("ways", [(change,), (delete,), (change, delete)])
def test_a_stolen_token_does_not_let_guess_the_password(
    ways: Any, limit: Any, hashes: list[str], assert_problem: Any
) -> None:
    limit("password-checks", token=(4, 900))
    thief = logged_in("ada")
    for number in range(4):
        assert ways[number % len(ways)](thief, "wrong").status_code == 400
    hashes.clear()
    for way in (change, delete):
        refusal = way(thief, PASSWORD)
        assert_problem(refusal, 429)
        assert 0 < int(refusal["Retry-After"]) <= 900
    assert hashes == []
    assert thief.patch("/auth/update", {"name": "Eve"}).status_code == 200
    # The owner is not locked out, in a log-in of their own.
    assert change(logged_in("ada", session_id=2), PASSWORD).status_code == 200


def test_only_failures_count_and_a_success_resets_the_count(limit: Any) -> None:
    limit("password-checks", token=(2, 900))
    ada = logged_in("ada")
    for _ in range(3):
        assert change(ada, "wrong").status_code == 400
        assert change(ada, PASSWORD, new="12345").status_code == 400  # the new one is too weak
    assert change(ada, "wrong").status_code == 400
    assert change(ada, "wrong").status_code == 400
    assert change(ada, PASSWORD).status_code == 429


def test_whose_an_email_address_is_cannot_be_tried_out_at_will(limit: Any) -> None:
    limit("email-changes", user=(2, 3600))
    ada = logged_in("ada")
    statuses = [
        ada.patch("/auth/update", {"email": email, "current_password": PASSWORD}).status_code
        for email in ("chief@example.org", "CHIEF@example.org", "eve@example.org")
    ]
    assert statuses == [409, 409, 429]
    # Without the password no one learns it.
    guess = {"email": "chief@example.org", "current_password": "wrong"}
    assert set(ada.patch("/auth/update", guess).json()["errors"]) == {"current_password"}
    assert ada.patch("/auth/update", {"email": "ADA@example.org"}).status_code == 200  # as it was
    assert ada.patch("/auth/update", {"bio": "Hello."}).status_code == 200
    assert Account.objects.get(username="ada").email == "ADA@example.org"


@pytest.mark.django_db(transaction=True)
def test_guesses_at_once_are_counted_each(limit: Any, at_once: Any) -> None:
    limit("password-checks", token=(2, 900))
    ada = Account.objects.get(username="ada")

    def guess() -> None:
        while True:
            try:
                services.delete(account_id=ada.pk, by_id=ada.pk, session_id=1, password="wrong")
            except TooBusy:
                time.sleep(0.01)  # two are hashed at once, the others come again

    refusals = sorted(type(error).__name__ for error in at_once(*[guess] * 5))
    assert refusals == ["Invalid"] * 2 + ["TooMany"] * 3
