"""Every kind of problem is in docs/errors.md, and nginx names them as the service does."""

import json
import re
from pathlib import Path

import pytest
from django.utils import timezone

from accounts.models import Account
from accounts.sessions.tokens import issue_access_token
from tests.accounts.factories import PASSWORD, AccountFactory
from twitter.base.http.problems import KIND_OF, Kind

PROOF = {"current_password": PASSWORD}
ROOT = Path(__file__).parents[3]
ROW = re.compile(r"^\| `(/problems/[a-z-]+)` \| ([\d, ]+) \|", re.MULTILINE)
NAMED = dict(ROW.findall((ROOT / "docs" / "errors.md").read_text(encoding="utf-8")))


def test_the_documentation_lists_every_kind_and_no_other():
    assert set(NAMED) == {kind.uri for kind in Kind}


def test_the_documentation_has_the_status_of_each_kind():
    for status, kind in KIND_OF.items():
        if status != 417:  # `Expect`, which no client of an API sends
            assert str(status) in NAMED[kind.uri].split(", "), kind


@pytest.mark.parametrize(("name", "attribute"), [("type", "uri"), ("title", "title")])
def test_nginx_names_them_alike(name, attribute):
    text = (ROOT / "config" / "nginx.conf").read_text(encoding="utf-8")
    [block] = re.findall(rf"map \$status \$problem_{name} {{(.*?)}}", text, re.DOTALL)
    found = dict(re.findall(r'(\w+)\s+"([^"]*)";', block))
    assert found.pop("default") == getattr(KIND_OF[400], attribute)
    assert found
    for status, value in found.items():
        assert value == getattr(KIND_OF[int(status)], attribute), status


def kind_of(answer):
    problem = json.loads(answer.content)
    assert answer["Content-Type"] == "application/problem+json"
    assert problem["status"] == answer.status_code
    return answer.status_code, problem["type"].removeprefix("/problems/")


@pytest.mark.django_db
def test_tokens_are_refused_by_kind(api, make_account, monkeypatch):
    ann = make_account("ann")
    assert kind_of(api().get("/auth/me")) == (401, "unauthenticated")
    forged = api()
    forged.credentials(HTTP_AUTHORIZATION="Bearer forged")
    assert kind_of(forged.get("/auth/me")) == (401, "invalid-token")
    with monkeypatch.context() as past:
        past.setattr("time.time", lambda: 1_000_000_000)
        old = issue_access_token(account_id=ann, session_id=1, generation=0)
    late = api()
    late.credentials(HTTP_AUTHORIZATION=f"Bearer {old}")
    assert kind_of(late.get("/auth/me")) == (401, "expired-token")
    client = api(ann)
    assert client.get("/auth/me").status_code == 200
    Account.objects.filter(id=ann).update(suspended_at=timezone.now())
    refresh = {"refresh_token": "1.x"}
    assert kind_of(api().post("/auth/token/refresh", refresh)) == (401, "invalid-token")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("post", "/tweet/create", {"text": ""}, (400, "invalid-input")),
        ("get", "/tweet/id/7", None, (404, "not-found")),
        ("put", "/tweet/create", None, (405, "method-not-allowed")),
        ("post", "/auth/token", {"username": "x", "password": "y"}, (401, "wrong-password")),
        ("patch", "/auth/update", {"username": "BOB", **PROOF}, (409, "username-taken")),
        ("patch", "/auth/update", {"email": "BOB@example.com", **PROOF}, (409, "email-taken")),
        (
            "patch",
            "/auth/update",
            {"password": "an entirely new one", "current_password": "x"},
            (400, "wrong-password"),
        ),
    ],
)
def test_a_kind_is_told_by_its_type(api, make_account, method, path, body, expected):
    make_account("bob")
    client = api(AccountFactory().pk)
    answer = getattr(client, method)(path, body) if body else getattr(client, method)(path)
    assert kind_of(answer) == expected
    if expected[0] in (400, 409):
        assert answer.json()["errors"].keys() <= {*body, "current_password"}


@pytest.mark.django_db
def test_a_key_with_another_body_and_a_body_that_is_too_long_have_kinds(api, make_account):
    client = api(make_account("ann"))
    key = {"HTTP_IDEMPOTENCY_KEY": "k"}
    assert client.post("/tweet/create", {"text": "one"}, **key).status_code == 201
    again = client.post("/tweet/create", {"text": "two"}, **key)
    assert kind_of(again) == (422, "idempotency-key-reused")
    assert kind_of(client.post("/tweet/create", {"text": "x" * 99_999})) == (413, "too-large")
    broken = client.generic("POST", "/tweet/create", b"{", content_type="application/json")
    assert kind_of(broken) == (400, "invalid-request")
