"""Signing up, logging in and out, profiles, changing and deleting an account."""

from collections.abc import Callable

import pytest

from tests.e2e.client import PASSWORD, Client, User, eventually, new_name
from tests.e2e.conftest import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]


def log_in(client: Client, login: str, password: str = PASSWORD, *, status: int = 200) -> dict:
    answer = client.post("/auth/token", {"username": login, "password": password}, status=status)
    return answer.json.get("data", {})


def test_sign_up_answers_with_the_owners_profile(anybody: Client) -> None:
    name = new_name()
    profile = {"username": name, "email": f"{name}@example.org", "name": "Ada L.", "bio": "Hi."}

    answer = anybody.post("/auth/create", {**profile, "password": PASSWORD}, status=201)

    assert answer.data.items() >= profile.items()
    assert answer.data["public_metrics"] == {
        "followers_count": 0,
        "following_count": 0,
        "tweet_count": 0,
    }
    assert isinstance(answer.data["id"], str)
    assert "password" not in answer.data


def test_log_in_by_name_and_by_email_in_any_case(anybody: Client, ada: User) -> None:
    for login in (ada.username, ada.username.upper(), ada.email, ada.email.title()):
        tokens = log_in(anybody, login)
        assert tokens["token_type"] == "Bearer"
        assert tokens["expires_in"] > 0
        assert int(Client(ada.base_url, token=tokens["access_token"]).get("/auth/me").data["id"])


def test_wrong_password_and_unknown_name_are_answered_alike(anybody: Client, ada: User) -> None:
    wrong = anybody.post(
        "/auth/token", {"username": ada.username, "password": "something else"}, status=401
    )
    unknown = anybody.post(
        "/auth/token", {"username": new_name(), "password": PASSWORD}, status=401
    )
    wrong.assert_problem(401)
    assert wrong.body == unknown.body


def test_refresh_tokens_rotate_and_reuse_revokes_the_family(anybody: Client, ada: User) -> None:
    other_session = log_in(anybody, ada.username)
    first = ada.refresh_token
    second = anybody.post("/auth/token/refresh", {"refresh_token": first}).data
    assert second["refresh_token"] != first
    # Its answer might have been lost.
    again = anybody.post("/auth/token/refresh", {"refresh_token": first}).data
    assert again["refresh_token"] == second["refresh_token"]
    second = anybody.post("/auth/token/refresh", {"refresh_token": again["refresh_token"]}).data
    renewed = Client(ada.base_url, token=second["access_token"])
    renewed.get("/auth/me")

    anybody.post("/auth/token/refresh", {"refresh_token": first}, status=401).assert_problem(401)

    anybody.post("/auth/token/refresh", {"refresh_token": second["refresh_token"]}, status=401)
    renewed.get("/auth/me", status=401)
    ada.get("/auth/me", status=401)
    Client(ada.base_url, token=other_session["access_token"]).get("/auth/me")


def test_log_out_stops_both_tokens_of_this_session_only(anybody: Client, ada: User) -> None:
    other_session = log_in(anybody, ada.username)
    for _ in range(2):
        answer = anybody.post("/auth/token/revoke", {"refresh_token": ada.refresh_token})
        assert answer.data == {"revoked": True}
    ada.get("/auth/me", status=401)
    anybody.post("/auth/token/refresh", {"refresh_token": ada.refresh_token}, status=401)
    Client(ada.base_url, token=other_session["access_token"]).get("/auth/me")


def test_profiles_show_the_email_to_its_owner_only(ada: User, bob: User) -> None:
    assert ada.get("/auth/me").data["email"] == ada.email
    by_id = bob.get(f"/auth/id/{ada.id}").data
    by_name = bob.get(f"/auth/name/{ada.username.upper()}").data
    assert by_id == by_name
    assert by_id["username"] == ada.username
    assert "email" not in by_id
    assert ada.email.encode() not in bob.get(f"/auth/id/{ada.id}").body


def test_the_demo_user_sees_a_living_timeline(stack: Stack) -> None:
    demo = User(stack.url, username="demo", password=stack.demo_password)
    page = demo.get("/timeline/timeline")
    assert len(page.ids) == 20
    assert {tweet["author_id"] for tweet in page.data} <= {
        user["id"] for user in page.json["includes"]["users"]
    }


@pytest.mark.parametrize("field", ["name", "bio", "email", "username"])
def test_update_changes_one_field_and_no_other(ada: User, bob: User, field: str) -> None:
    values = {"name": "A new name", "bio": "New.", "username": new_name()}
    values["email"] = f"{values['username']}@example.com"
    before = ada.get("/auth/me").data

    proof = {"current_password": PASSWORD} if field in ("email", "username") else {}
    changed = ada.patch("/auth/update", {field: values[field], **proof}).data

    expected = before | {field: values[field]}
    if field == "username":
        expected["name"] = values[field]  # as long as there is no other name
    assert changed == expected
    assert ada.get("/auth/me").data == changed
    if field != "email":
        eventually(lambda: seen(bob, ada, field, values[field]))
    if field == "username":
        bob.get(f"/auth/name/{ada.username}", status=404).assert_problem(404)
        log_in(ada, values["username"])


def seen(reader: User, user: User, field: str, value: str) -> None:
    assert reader.profile(user.id)[field] == value


def test_a_new_password_needs_the_old_one_and_ends_all_sessions(anybody: Client, ada: User) -> None:
    other_session = log_in(anybody, ada.username)
    new = "another battery 10 staple"
    change = {"password": new, "current_password": "a wrong guess"}
    ada.patch("/auth/update", change, status=400).assert_problem(400, field="current_password")
    ada.patch("/auth/update", {"password": new}, status=400).assert_problem(
        400, field="current_password"
    )
    weak = {"password": "12345678", "current_password": PASSWORD}
    ada.patch("/auth/update", weak, status=400).assert_problem(400, field="password")
    ada.get("/auth/me")

    ada.patch("/auth/update", {"password": new, "current_password": PASSWORD})

    ada.get("/auth/me", status=401)
    Client(ada.base_url, token=other_session["access_token"]).get("/auth/me", status=401)
    anybody.post("/auth/token/refresh", {"refresh_token": ada.refresh_token}, status=401)
    log_in(anybody, ada.username, status=401)
    log_in(anybody, ada.username, new)


def test_a_taken_name_or_email_is_refused_whatever_its_case(ada: User, bob: User) -> None:
    for field, value in (("username", ada.username), ("email", ada.email)):
        change = {field: value.upper(), "current_password": PASSWORD}
        taken = bob.patch("/auth/update", change, status=409)
        taken.assert_problem(409, field=field)


def test_a_deleted_account_is_gone_at_once_and_then_cleared_away(
    anybody: Client, ada: User, bob: User, join: Callable[[], User]
) -> None:
    cyd = join()
    bob.follow(ada)
    ada.follow(cyd)
    cyds = cyd.tweet("liked and retweeted by somebody who leaves")
    ada.post("/tweet/like", {"tweet_id": str(cyds)})
    ada.post("/tweet/retweet", {"tweet_id": str(cyds)}, status=201)
    tweet = ada.tweet("soon gone")
    eventually(lambda: contains(bob, tweet))

    ada.delete(f"/auth/delete/{ada.id}", {"password": "a wrong guess"}, status=400)
    assert ada.delete(f"/auth/delete/{ada.id}", {"password": PASSWORD}).data == {"deleted": True}

    ada.get("/auth/me", status=401)
    log_in(anybody, ada.username, status=401)
    for path in (
        f"/auth/id/{ada.id}",
        f"/auth/name/{ada.username}",
        f"/auth/followers/{ada.id}",
        f"/timeline/user/{ada.id}",
        f"/tweet/id/{tweet}",
    ):
        bob.get(path, status=404).assert_problem(404)
    assert tweet not in bob.home()

    def corrected() -> None:
        assert bob.metrics()["following_count"] == 0
        assert cyd.metrics()["followers_count"] == 0
        metrics = cyd.get(f"/tweet/id/{cyds}").data["public_metrics"]
        assert (metrics["like_count"], metrics["retweet_count"]) == (0, 0)

    eventually(corrected)
    again = {"username": ada.username, "password": PASSWORD, "email": ada.email}
    anybody.post("/auth/create", again, status=409).assert_problem(409, field="username")


def contains(reader: User, tweet_id: int) -> None:
    assert tweet_id in reader.home()


def test_an_export_is_a_download_of_all_that_is_ones_own(ada: User, bob: User) -> None:
    ada.follow(bob)
    tweets = [ada.tweet(f"number {number}") for number in range(3)]
    bob.tweet("not in it")
    answer = ada.get("/auth/export")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="twitter-{ada.id}.json"'
    assert answer.data["account"]["email"] == ada.email
    assert [int(tweet["id"]) for tweet in answer.data["tweets"]] == tweets[::-1]
    assert [one["username"] for one in answer.data["following"]] == [bob.username]
    assert "not in it" not in answer.body.decode()
    assert ada.request("HEAD", "/auth/export").body == b""
    Client(ada.base_url).get("/auth/export", status=401)
