"""Whatever is sent, the answer is a 4xx problem that names the field, never a 5xx."""

import json
from typing import Any

import pytest

from accounts.models import Account
from accounts.validators import RESERVED_USERNAMES
from tests.accounts.factories import PASSWORD, AccountFactory

# There are more bad values than one may send in a while.
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("without_limits")]

GOOD = {"username": "ada", "password": PASSWORD, "email": "ada@example.org"}
NO_STRING = [None, 5, 1.5, True, [], ["ada"], {}, {"a": 1}]
NO_TEXT = ["a\0b", "\ud800", "\udfff x"]
TURNED = ["a\u202eb", "\u2066a", "a\u2069"]
INVISIBLE = ["\u200b", "\u00ad\u2060 \u200d", "\u2800", "\U000e0041", "\u3164"]

BAD = {
    "username": [
        *NO_STRING, *NO_TEXT, "", " ", "a" * 16, "a" * 60_000, " ada", "ada ", "ada\n", "a b",
        "a-b", "äda", "\u0430da", "\uff41da", "a\u200bb", "ada\u0300", "😀", "a.b", "<b>", "%00",
        *sorted(RESERVED_USERNAMES)[:3], "ADMIN", "Root",
    ],
    "password": [
        *NO_STRING, *NO_TEXT, "", "short", "password", "12345678901", "x" * 129, "x" * 60_000,
    ],
    "email": [
        *NO_STRING, *NO_TEXT, "", "ada", "@", "a@b", "a b@example.org", "ada@example.org\nBcc: b",
        f"{'a' * 250}@example.org", "ada@@example.org", "a@ex\u200bample.org",
        "a@ex\u202eample.org", "a@" + "b." * 20_000 + "org",
    ],
    "name": [
        *NO_STRING, *NO_TEXT, *TURNED, *INVISIBLE, "a" * 51, "a\nb", "a\tb", "a\x1b[0m", "a\x85b",
        "a\u2028b", "\ufeffa", "\ufdd0", "a\u0301\u0302" * 3_500,
    ],
    "bio": [
        *NO_STRING, *NO_TEXT, *TURNED, *INVISIBLE, "a" * 161, "a\x1b[0m", "a\u2029b",
        "a\u0301\u0302" * 3_500,
    ],
}  # fmt: skip


def send(client: Any, method: str, path: str, body: Any) -> Any:
    """Send JSON in ASCII, which can hold lone surrogates."""
    return getattr(client, method)(path, json.dumps(body), content_type="application/json")


@pytest.fixture
def client(api: Any) -> Any:
    return api(AccountFactory(username="Bob").id)


@pytest.mark.parametrize("field", BAD)
def test_signing_up_with_bad_values(field: str, api: Any, assert_problem: Any) -> None:
    for value in BAD[field]:
        assert_problem(send(api(), "post", "/auth/create", {**GOOD, field: value}), 400, field)
    assert not Account.objects.exists()


@pytest.mark.parametrize("field", BAD)
def test_updating_to_bad_values(field: str, client: Any, assert_problem: Any) -> None:
    before = Account.objects.values().get()
    for value in BAD[field]:
        body = {"current_password": PASSWORD, field: value}
        assert_problem(send(client, "patch", "/auth/update", body), 400, field)
    assert Account.objects.values().get() == before


@pytest.mark.parametrize("field", ["username", "password", "email"])
def test_signing_up_without_a_field(field: str, api: Any, assert_problem: Any) -> None:
    body = {key: value for key, value in GOOD.items() if key != field}
    assert_problem(api().post("/auth/create", body), 400, field)


def test_a_password_like_the_username_is_refused(api: Any, assert_problem: Any) -> None:
    body = {**GOOD, "username": "charlesbabbage", "password": "charlesbabbage1"}
    assert_problem(api().post("/auth/create", body), 400, "password")


def test_good_values_at_the_limits_are_taken(api: Any) -> None:
    body = {
        "username": "a_1" * 5,
        "password": " p😀ss " * 16 + " " * 16,
        "email": "  a+b@example.org ",
        "name": " 🏳️‍🌈 ".ljust(52),
        "bio": "ä" * 160,
    }
    answer = api().post("/auth/create", body)
    assert answer.status_code == 201, answer.content
    user = answer.json()["data"]
    assert (user["name"], user["email"]) == ("🏳️‍🌈", "a+b@example.org")
    log_in = {"username": body["username"], "password": body["password"]}
    assert api().post("/auth/token", log_in).status_code == 200


def test_one_address_written_in_two_forms_is_one(api: Any, assert_problem: Any) -> None:
    first = {**GOOD, "email": "ada@ex\u00e4mple.org"}
    assert api().post("/auth/create", first).status_code == 201
    second = {**GOOD, "username": "eve", "email": "ada@exa\u0308mple.org"}
    answer = api().post("/auth/create", second)
    assert "is taken" in answer.json()["detail"]
    assert Account.objects.count() == 1
    log_in = {"username": second["email"], "password": PASSWORD}
    assert api().post("/auth/token", log_in).status_code == 200


@pytest.mark.parametrize("field", ["name", "bio"])
def test_what_others_read_is_stored_in_its_normal_form(field: str, client: Any) -> None:
    kept = "\u0645\u064e\u0631\u200c\u062d\u0628\u0627 \u200f👩\u200d👩\u200d👧"
    answer = client.patch("/auth/update", {field: f" A\u0308da {kept}\u2003"})
    assert answer.json()["data"][field] == f"Äda {kept}"


def test_what_is_short_enough_in_its_normal_form_is_taken(client: Any) -> None:
    name = "\u03b1\u0314\u0342\u0345" * 50  # four code points that become one
    assert client.patch("/auth/update", {"name": name}).json()["data"]["name"] == "\u1f87" * 50
    assert client.patch("/auth/update", {"name": name + "a"}).status_code == 400


@pytest.mark.parametrize("empty", ["", "   ", "\u2003"])
def test_the_username_is_shown_for_a_name_that_is_empty(empty: str, client: Any, api: Any) -> None:
    assert client.patch("/auth/update", {"name": empty}).json()["data"]["name"] == "Bob"
    client.patch("/auth/update", {"username": "Bobby", "current_password": PASSWORD})
    account = Account.objects.get()
    assert account.name == ""
    assert client.get(f"/auth/id/{account.pk}").json()["data"]["name"] == "Bobby"
    answer = api().post("/auth/create", {**GOOD, "name": empty})
    assert (answer.status_code, answer.json()["data"]["name"]) == (201, "ada")


@pytest.mark.parametrize("field", ["username", "password"])
def test_logging_in_with_bad_values(field: str, api: Any, assert_problem: Any) -> None:
    for value in [*NO_STRING, *NO_TEXT, "", "x" * 60_000]:
        body = {"username": "a", "password": "b", field: value}
        assert_problem(send(api(), "post", "/auth/token", body), 400, field)


@pytest.mark.parametrize("path", ["token/refresh", "token/revoke"])
def test_bad_refresh_tokens(path: str, api: Any, assert_problem: Any) -> None:
    for value in [*NO_STRING, *NO_TEXT, "", "x" * 60_000]:
        answer = send(api(), "post", f"/auth/{path}", {"refresh_token": value})
        assert_problem(answer, 400, "refresh_token")
    for value in ["x", "1.2", "é" * 20, f"1.{'a' * 65}", f"{10**15}.{'a' * 65}"]:
        answer = send(api(), "post", f"/auth/{path}", {"refresh_token": value})
        assert answer.status_code == (401 if path == "token/refresh" else 200)


@pytest.mark.parametrize("method", ["post", "delete"])
def test_bad_user_ids(method: str, client: Any, assert_problem: Any) -> None:
    path = "/auth/follow" if method == "post" else "/auth/unfollow"
    for value in [
        None, True, 1.5, [], {}, "", " ", "x", "-1", 0, -1, "0", "1e3", "٣", "a\0b", "\ud800",
        2**53, 2**63, 10**400, "9" * 400, "1 ", "0x1",
    ]:  # fmt: skip
        assert_problem(send(client, method, path, {"user_id": value}), 400, "user_id")
    assert_problem(send(client, method, path, {}), 400, "user_id")


@pytest.mark.parametrize(
    "body", [b"{", b"[1", b"nonsense", b"\xff\xfe", b'{"a": NaN}', b'{"a":' * 5_000, b"1" * 5_000]
)
def test_what_is_no_json(body: bytes, api: Any, assert_problem: Any) -> None:
    for path in ("create", "token", "token/refresh", "token/revoke"):
        answer = api().post(f"/auth/{path}", body, content_type="application/json")
        assert_problem(answer, 400)


@pytest.mark.parametrize("body", [b"[]", b"5", b'"text"', b"null", b"true", b"[[1]]"])
def test_json_that_is_no_object(body: bytes, client: Any) -> None:
    for method, path in (
        ("post", "create"),
        ("post", "token"),
        ("post", "follow"),
        ("patch", "update"),
        ("delete", "unfollow"),
    ):
        answer = getattr(client, method)(f"/auth/{path}", body, content_type="application/json")
        assert answer.status_code == 400, (method, path, answer.content)
        assert answer["Content-Type"] == "application/problem+json"


def test_other_content_types_and_huge_bodies(api: Any, assert_problem: Any) -> None:
    assert_problem(api().post("/auth/create", b"<a/>", content_type="text/xml"), 415)
    body = b'{"username": "' + b"a" * 100_000 + b'"}'
    assert_problem(api().post("/auth/create", body, content_type="application/json"), 413)


def test_bad_pages(client: Any, assert_problem: Any) -> None:
    bob = Account.objects.get()
    for query, field in {
        "limit=0": "limit",
        "limit=101": "limit",
        "limit=-1": "limit",
        "limit=x": "limit",
        "cursor=0": "cursor",
        "cursor=-5": "cursor",
        "cursor=x": "cursor",
        f"cursor={2**63}": "cursor",
        "cursor=a%00b": "cursor",
    }.items():
        for side in ("followers", "following"):
            assert_problem(client.get(f"/auth/{side}/{bob.id}?{query}"), 400, field)


def test_other_methods_are_405(client: Any, assert_problem: Any) -> None:
    for path in ("create", "me", "follow", "update"):
        assert_problem(client.put(f"/auth/{path}", {}), 405)
