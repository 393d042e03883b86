"""Ada, who did everything that one can do, and Bob."""

from dataclasses import dataclass
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import Account
from tests.accounts.factories import PASSWORD, AccountFactory

ADA, ADAS_EMAIL = "ada_lovelace", "lovelace@example.org"


def verify(account_id: int, *words: str) -> str:
    """Return what the command says: "" when nothing is left, else the places."""
    out = StringIO()
    options = ["--word", *words] if words else []
    try:
        call_command("verify_deletion", str(account_id), *options, stdout=out)
    except CommandError as error:
        return str(error) if error.returncode == 1 else f"exit code {error.returncode}"
    assert out.getvalue() == f"Nothing is left of account {account_id}.\n"
    return ""


@dataclass
class Person:
    """An account, and a client with a token of it."""

    id: int
    api: APIClient

    def ask(self, method, path, status=200, **body):
        answer = getattr(self.api, method)(path, body)
        assert answer.status_code == status, answer.content
        return answer.json()

    def tweet(self, text, **headers):
        answer = self.api.post("/tweet/create", {"text": text}, headers=headers)
        assert answer.status_code == 201, answer.content
        return answer.json()["data"]["id"]


@pytest.fixture
def join(api):
    """Return a function that makes an account."""

    def make(**profile) -> Person:
        account = AccountFactory(**profile)
        return Person(account.pk, api(account.pk))

    return make


@pytest.fixture
def bob(join):
    return join(username="bob_by_name", email="bob@example.org", bio="I know @ada_lovelace.")


@pytest.fixture
def moderator():
    """Return the admin's client, and whose it is."""
    chief = AccountFactory(username="chief", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(chief)
    return client, chief


@pytest.fixture
def ada(join, bob, moderator):
    """Return somebody of whom there is something in every table, and in Redis."""
    ada = join(username=ADA, email=ADAS_EMAIL, name="Ada Lovelace", bio="Countess.")
    bobs = bob.tweet("Hello @ada_lovelace")
    first, hidden = ada.tweet("one", **{"Idempotency-Key": "key-1"}), ada.tweet("two")
    gone = ada.tweet("three")
    ada.ask("post", "/auth/follow", user_id=str(bob.id))
    bob.ask("post", "/auth/follow", user_id=str(ada.id))
    ada.ask("post", "/tweet/like", tweet_id=bobs)
    ada.ask("post", "/tweet/bookmark", tweet_id=bobs)
    bob.ask("post", "/tweet/bookmark", tweet_id=first)
    ada.ask("post", "/tweet/retweet", 201, tweet_id=bobs)
    bob.ask("post", "/tweet/retweet", 201, tweet_id=first)
    ada.ask("delete", f"/tweet/delete/{gone}")
    client, _ = moderator
    for path, action, number in (
        ("/admin/tweets/tweet/", "hide", hidden),
        ("/admin/accounts/account/", "suspend", ada.id),
        ("/admin/accounts/account/", "lift", ada.id),
    ):
        data = {"action": action, "_selected_action": [number], "reason": f"@{ADA} knows why"}
        assert client.post(path, data).status_code == 302
    # The suspension has ended what log-ins there were.
    tokens = ada.ask("post", "/auth/token", username=ADA, password=PASSWORD)["data"]
    ada.api.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['access_token']}")
    ada.ask("get", "/timeline/timeline")
    bob.ask("get", "/timeline/timeline")
    return ada


@pytest.fixture
def account(ada):
    return Account.objects.get(id=ada.id)
