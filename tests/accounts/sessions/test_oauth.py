"""A log-in as OAuth 2 has it: a form in, bare tokens out (RFC 6749, section 4.3)."""

from urllib.parse import urlencode

import pytest
from django.utils import timezone

from tests.accounts.factories import PASSWORD, AccountFactory

pytestmark = pytest.mark.django_db

FORM = "application/x-www-form-urlencoded"
GOOD = {"grant_type": "password", "username": "ada", "password": PASSWORD}


@pytest.fixture(autouse=True)
def ada():
    return AccountFactory(username="ada")


@pytest.fixture
def send(client):
    """Return a function that sends a form to the token endpoint."""

    def send(form, content_type=FORM, **headers):
        return client.post("/auth/token", urlencode(form), content_type=content_type, **headers)

    return send


def test_a_form_gets_bare_tokens_that_work(send, client, ada):
    answer = send({**GOOD, "scope": "", "client_id": "", "audience": "who cares"})
    assert answer.status_code == 200
    tokens = answer.json()
    assert tokens.keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert tokens["token_type"] == "Bearer"
    assert answer["Cache-Control"] == "no-store"
    me = client.get("/auth/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert me.json()["data"]["id"] == str(ada.pk)


def test_what_a_client_says_of_itself_does_not_matter(send):
    assert send(GOOD, HTTP_AUTHORIZATION="Basic dW5kZWZpbmVkOg==").status_code == 200
    assert send(GOOD, content_type=f"{FORM}; charset=utf-8").status_code == 200


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({**GOOD, "password": "wrong"}, "invalid_grant"),
        ({**GOOD, "username": "nobody"}, "invalid_grant"),
        ({**GOOD, "grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({**GOOD, "grant_type": ""}, "invalid_request"),
        ({"username": "ada", "password": PASSWORD}, "invalid_request"),
        ({**GOOD, "username": ""}, "invalid_request"),
        ({**GOOD, "password": "x" * 200}, "invalid_request"),
        ({**GOOD, "scope": "read"}, "invalid_scope"),
        ([*GOOD.items(), ("username", "bob")], "invalid_request"),
        ({"x": "y"}, "invalid_request"),
    ],
)
def test_errors_are_problems_with_the_members_of_oauth(send, form, error):
    answer = send(form)
    assert answer.status_code == 400
    body = answer.json()
    assert answer["Content-Type"] == "application/problem+json"
    assert body["error"] == error
    assert body["error_description"] == body["detail"]
    kind = "wrong-password" if error == "invalid_grant" else "invalid-request"
    assert body["type"] == f"/problems/{kind}"


def test_who_is_suspended_is_told_so(send, ada):
    type(ada).objects.filter(id=ada.pk).update(suspended_at=timezone.now())
    assert send(GOOD).json()["type"] == "/problems/suspended"
    assert send({**GOOD, "password": "wrong"}).json()["type"] == "/problems/wrong-password"


def test_guesses_are_counted_as_those_in_json(send, limit):
    limit("log-ins", account_and_address=(2, 60), account=(100, 60), address=(100, 60))
    statuses = [send({**GOOD, "password": "wrong"}).status_code for _ in range(3)]
    assert statuses == [400, 400, 429]


def test_a_long_form_and_other_endpoints_are_refused(send, client):
    assert send({**GOOD, "x": "y" * 70_000}).status_code == 413
    assert client.post("/auth/token/refresh", "a=b", content_type=FORM).status_code == 415
