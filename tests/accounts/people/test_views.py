"""Each endpoint over HTTP: what it answers, and to whom."""

import re
from pathlib import Path
from typing import Any

import pytest

from accounts.models import Account, Follow
from accounts.people import services
from accounts.people.cards import SHAPE_VERSION
from accounts.sessions import services as sessions_services
from tests.accounts.factories import PASSWORD, AccountFactory, FollowFactory, hashed
from twitter.base.data.ids import id_at
from twitter.base.data.stamped import STAMP

pytestmark = pytest.mark.usefixtures("commits")

SIGN_UP = {"username": "Ada", "password": PASSWORD, "email": "ada@example.org"}


@pytest.fixture
def ada() -> Account:
    account: Account = AccountFactory(username="Ada", email="ada@example.org", name="Ada L.")
    return account


@pytest.fixture
def client(ada: Account, api: Any) -> Any:
    return api(ada.id)


def test_signing_up_answers_the_owner(api: Any) -> None:
    answer = api().post("/auth/create", {**SIGN_UP, "bio": "Poetical\nscience. 😀"})
    assert answer.status_code == 201
    user = answer.json()["data"]
    ada = Account.objects.get()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", user.pop("created_at"))
    assert user == {
        "id": str(ada.id),
        "username": "Ada",
        "name": "Ada",
        "bio": "Poetical\nscience. 😀",
        "public_metrics": {"followers_count": 0, "following_count": 0, "tweet_count": 0},
        "email": "ada@example.org",
    }
    assert ada.password.startswith("argon2")
    assert sessions_services.log_in(address="192.0.2.1", login="ada", password=PASSWORD)


@pytest.mark.django_db(transaction=True)
def test_two_sign_ups_at_once_for_one_name(api: Any, at_once: Any, assert_problem: Any) -> None:
    def sign_up(username: str, email: str) -> Any:
        return lambda: api().post(
            "/auth/create", {**SIGN_UP, "username": username, "email": f"{email}@example.org"}
        )

    answers = at_once(sign_up("Ada", "a"), sign_up("aDA", "b"))
    won, lost = sorted(answers, key=lambda answer: int(answer.status_code))
    assert won.status_code == 201
    assert_problem(lost, 409, "username")
    answers = at_once(sign_up("bob", "Same"), sign_up("cat", "same"))
    won, lost = sorted(answers, key=lambda answer: int(answer.status_code))
    assert won.status_code == 201
    assert_problem(lost, 409, "email")


def test_logging_in_refreshing_and_logging_out(ada: Account, api: Any, assert_problem: Any) -> None:
    first = api().post("/auth/token", {"username": "ADA@example.org", "password": PASSWORD})
    assert first.status_code == 200
    assert first["Cache-Control"] == "no-store"
    tokens = first.json()["data"]
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    body = {"refresh_token": tokens["refresh_token"]}
    second = api().post("/auth/token/refresh", body).json()["data"]
    assert second.keys() == tokens.keys()
    again = api().post("/auth/token/refresh", body).json()["data"]
    assert again["refresh_token"] == second["refresh_token"]
    client = api()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {second['access_token']}")
    assert client.get("/auth/me").json()["data"]["id"] == str(ada.id)
    for _ in range(2):
        answer = api().post("/auth/token/revoke", {"refresh_token": second["refresh_token"]})
        assert (answer.status_code, answer.json()) == (200, {"data": {"revoked": True}})
    assert_problem(client.get("/auth/me"), 401)
    assert_problem(api().post("/auth/token/refresh", body), 401)


def test_a_wrong_log_in_is_401(ada: Account, api: Any, assert_problem: Any) -> None:
    assert_problem(api().post("/auth/token", {"username": "ada", "password": "wrong"}), 401)
    assert_problem(api().post("/auth/token", {"username": "nobody", "password": "wrong"}), 401)


def test_open_endpoints_do_not_look_at_a_token(ada: Account, api: Any) -> None:
    client = api()
    client.credentials(HTTP_AUTHORIZATION="Bearer expired")
    answer = client.post("/auth/token", {"username": "ada", "password": PASSWORD})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "me"),
        ("get", "id/1"),
        ("get", "name/ada"),
        ("patch", "update"),
        ("delete", "delete/1"),
        ("post", "follow"),
        ("delete", "unfollow"),
        ("get", "followers/1"),
        ("get", "following/1"),
    ],
)
def test_the_rest_needs_a_token(method: str, path: str, api: Any, assert_problem: Any) -> None:
    assert_problem(getattr(api(), method)(f"/auth/{path}"), 401)


def test_the_card_is_the_same_cold_and_warm_and_by_id_and_name(ada: Account, client: Any) -> None:
    paths = (f"id/{ada.id}", f"id/{ada.id}", "name/ADA", "name/ada")
    bodies = {client.get(f"/auth/{path}").content for path in paths}
    assert len(bodies) == 1
    mine = client.get("/auth/me").json()["data"]
    assert mine.pop("email") == "ada@example.org"
    assert [mine] == [client.get(f"/auth/{paths[0]}").json()["data"]]


def test_the_shape_of_a_user_is_the_golden_one(client: Any) -> None:
    from datetime import UTC, datetime

    moment = id_at(datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC))
    Account.objects.bulk_create(
        [Account(id=moment, username="golden", name="Göld <&> 😀", bio='"quotes"', password="!")]
    )
    golden = Path(__file__).with_name("golden_user.json")
    assert client.get(f"/auth/id/{moment}").content == golden.read_bytes().rstrip(b"\n"), (
        "The shape changed: raise SHAPE_VERSION of its cards, then update the golden file."
    )


def test_a_card_of_a_former_shape_is_not_read(client: Any, ada: Account, valkey: Any) -> None:
    valkey.set(f"account:card:{ada.id}", STAMP.pack(1, SHAPE_VERSION - 1) + b'{"name": ""}')
    assert client.get(f"/auth/id/{ada.id}").json()["data"]["username"] == "Ada"


@pytest.mark.parametrize(
    "path",
    ["id/1", "id/0", "id/-1", "id/x", f"id/{2**63}", "name/nobody", "name/a%00b", "name/%ED%A0%80"],
)
def test_who_is_not_there_is_404(path: str, client: Any, assert_problem: Any) -> None:
    assert_problem(client.get(f"/auth/{path}"), 404)


def test_one_changes_what_one_likes(ada: Account, client: Any, api: Any) -> None:
    client.get(f"/auth/id/{ada.id}")
    answer = client.patch("/auth/update", {"name": "Countess", "bio": ""})
    assert answer.status_code == 200
    assert (answer.json()["data"]["name"], answer.json()["data"]["bio"]) == ("Countess", "")
    # Everybody sees it at once.
    assert client.get(f"/auth/id/{ada.id}").json()["data"]["name"] == "Countess"
    body = {"username": "aDa", "email": "new@example.org", "current_password": PASSWORD}
    answer = client.patch("/auth/update", body)
    assert answer.json()["data"]["username"] == "aDa"
    assert answer.json()["data"]["email"] == "new@example.org"
    assert client.patch("/auth/update", {}).status_code == 200


def test_a_new_password_needs_the_current_one_and_ends_all_log_ins(
    ada: Account, client: Any, api: Any, assert_problem: Any
) -> None:
    new = {"password": "brand new secret"}
    assert_problem(client.patch("/auth/update", new), 400, "current_password")
    wrong = {**new, "current_password": "wrong", "name": "X"}
    assert_problem(client.patch("/auth/update", wrong), 400, "current_password")
    assert client.get("/auth/me").json()["data"]["name"] == "Ada L."
    weak = {"password": "password", "current_password": PASSWORD}
    assert_problem(client.patch("/auth/update", weak), 400, "password")
    assert client.patch("/auth/update", {**new, "current_password": PASSWORD}).status_code == 200
    assert_problem(client.get("/auth/me"), 401)
    assert api().post("/auth/token", {"username": "ada", **new}).status_code == 200


@pytest.mark.parametrize(
    "change", [{"email": "new@example.org"}, {"username": "Eve"}, {"password": "brand new secret"}]
)
def test_what_one_logs_in_with_needs_the_current_password(
    change: dict[str, str], ada: Account, client: Any, assert_problem: Any
) -> None:
    before = Account.objects.values().get()
    for body in (change, {**change, "current_password": "wrong", "name": "X"}):
        assert_problem(client.patch("/auth/update", body), 400, "current_password")
    assert Account.objects.values().get() == before
    assert client.patch("/auth/update", {**change, "current_password": PASSWORD}).status_code == 200


def test_an_address_replaced_a_moment_ago_does_not_come_back_without_the_password(
    ada: Account, client: Any, monkeypatch: pytest.MonkeyPatch, assert_problem: Any
) -> None:
    look, former = services._active, ada.email

    def slow_look(account_id: int) -> Account:
        seen = look(account_id)
        Account.objects.filter(id=account_id).update(email="new@example.org")
        return seen

    monkeypatch.setattr(services, "_active", slow_look)
    assert_problem(client.patch("/auth/update", {"email": former}), 409)
    assert Account.objects.get().email == "new@example.org"


def test_what_changes_in_nothing_but_its_case_needs_no_password(client: Any) -> None:
    body = {"username": "ADA", "email": "ADA@example.org", "name": "Ada", "bio": ""}
    answer = client.patch("/auth/update", body)
    assert answer.json()["data"] | body == answer.json()["data"]


def test_what_is_taken_is_refused(client: Any, assert_problem: Any) -> None:
    AccountFactory(username="Bob", email="bob@example.org")
    proof = {"current_password": PASSWORD}
    assert_problem(client.patch("/auth/update", {"username": "bOB", **proof}), 409, "username")
    answer = client.patch("/auth/update", {"email": "BOB@example.org", "name": "X", **proof})
    assert_problem(answer, 409, "email")
    assert client.get("/auth/me").json()["data"]["name"] == "Ada L."


def test_deleting_oneself(ada: Account, client: Any, api: Any, assert_problem: Any) -> None:
    bob = AccountFactory()
    path = f"/auth/delete/{ada.id}"
    assert_problem(client.delete(path), 400, "password")
    assert_problem(client.delete(path, {"password": "wrong"}), 400, "password")
    assert_problem(client.delete(f"/auth/delete/{bob.id}", {"password": PASSWORD}), 403)
    assert_problem(client.delete("/auth/delete/1", {"password": PASSWORD}), 404)
    client.get(f"/auth/id/{ada.id}")
    answer = client.delete(path, {"password": PASSWORD})
    assert (answer.status_code, answer.json()) == (200, {"data": {"deleted": True}})
    assert_problem(client.get("/auth/me"), 401)
    others = api(bob.id)
    for gone in (f"id/{ada.id}", "name/ada", f"followers/{ada.id}", f"following/{ada.id}"):
        assert_problem(others.get(f"/auth/{gone}"), 404)
    assert_problem(api().post("/auth/token", {"username": "ada", "password": PASSWORD}), 401)


def test_a_password_in_the_query_is_not_looked_at(
    ada: Account, client: Any, hashes: list[str], assert_problem: Any
) -> None:
    address = f"/auth/delete/{ada.id}?password={PASSWORD}"
    assert_problem(client.delete(address), 400, "password")
    assert hashes == []
    assert_problem(client.delete(address, {"password": "wrong"}), 400, "password")
    assert Account.objects.get().is_active


def test_the_staff_cannot_delete_itself(api: Any, assert_problem: Any) -> None:
    chief = AccountFactory(is_staff=True)
    answer = api(chief.id).delete(f"/auth/delete/{chief.id}", {"password": PASSWORD})
    assert_problem(answer, 409)


def test_following_and_unfollowing(ada: Account, client: Any, assert_problem: Any) -> None:
    bob = AccountFactory()
    for user_id in (str(bob.id), bob.id):
        answer = client.post("/auth/follow", {"user_id": user_id})
        assert (answer.status_code, answer.json()) == (200, {"data": {"following": True}})
    assert Follow.objects.count() == 1
    metrics = client.get(f"/auth/id/{bob.id}").json()["data"]["public_metrics"]
    assert metrics == {"followers_count": 1, "following_count": 0, "tweet_count": 0}
    for answer in (
        client.delete("/auth/unfollow", {"user_id": str(bob.id)}),
        client.delete(f"/auth/unfollow?user_id={bob.id}"),
    ):
        assert (answer.status_code, answer.json()) == (200, {"data": {"following": False}})
    metrics = client.get(f"/auth/id/{bob.id}").json()["data"]["public_metrics"]
    assert metrics["followers_count"] == 0
    assert_problem(client.post("/auth/follow", {"user_id": str(ada.id)}), 400, "user_id")
    assert_problem(client.post("/auth/follow", {"user_id": "1"}), 404)
    assert_problem(client.delete("/auth/unfollow", {"user_id": "1"}), 404)


@pytest.mark.parametrize("side", ["followers", "following"])
def test_pages_never_repeat_or_skip_while_follows_come_and_go(
    side: str, ada: Account, client: Any
) -> None:
    mine, other = ("followed", "follower") if side == "followers" else ("follower", "followed")
    follows = FollowFactory.create_batch(7, **{mine: ada})
    hidden = getattr(follows[5], other)
    hidden.suspended_at = hidden.created_at
    hidden.save()
    expected = [str(getattr(follow, f"{other}_id")) for follow in reversed(follows)]
    expected.remove(str(hidden.id))
    answer = client.get(f"/auth/{side}/{ada.id}?limit=2")
    seen = [user["id"] for user in answer.json()["data"]]
    assert answer.json()["meta"]["result_count"] == 2
    FollowFactory(**{mine: ada})
    while "Link" in answer:
        match = re.fullmatch(r'<(.*)>; rel="next"', answer["Link"])
        assert match
        assert f"cursor={answer.json()['meta']['next_cursor']}" in match[1]
        assert "limit=2" in match[1]
        answer = client.get(match[1])
        seen += [user["id"] for user in answer.json()["data"]]
    assert seen == expected
    assert "next_cursor" not in answer.json()["meta"]


def test_a_page_of_followers_is_two_queries_cold_and_warm(
    ada: Account, client: Any, sql_statements: list[str]
) -> None:
    FollowFactory.create_batch(3, followed=ada)
    client.get(f"/auth/followers/{ada.id}")
    sql_statements.clear()
    assert len(client.get(f"/auth/followers/{ada.id}").json()["data"]) == 3
    assert len(sql_statements) == 2


def test_health_answers(api: Any) -> None:
    for path in ("/auth/healthz", "/auth/helthz"):
        assert api().get(path).status_code == 200


def test_nothing_secret_is_logged(ada: Account, api: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    Account.objects.filter(id=ada.id).update(password=hashed("very secret words"))
    answer = api().post("/auth/token", {"username": "ada", "password": "very secret words"})
    refresh_token = answer.json()["data"]["refresh_token"]
    api().post("/auth/token/refresh", {"refresh_token": refresh_token})
    api().post("/auth/token/refresh", {"refresh_token": refresh_token})
    api().post("/auth/token", {"username": "ada@example.org", "password": "wrong words"})
    for secret in ("secret words", "wrong words", refresh_token, "ada@example.org"):
        assert secret not in caplog.text
