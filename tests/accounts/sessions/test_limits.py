"""Rate limits of the API, and log-ins that are slowed down."""

import re

import pytest
from rest_framework.test import APIClient

from accounts.models import Account, Follow
from accounts.sessions import guessing, services
from accounts.sessions.limits import kind_of
from tests.accounts.factories import PASSWORD, AccountFactory
from twitter.base.http.errors import TooMany, Unauthenticated

pytestmark = pytest.mark.django_db

HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/timeline/timeline", "reads"),
        ("HEAD", "/tweet/id/1", "reads"),
        ("OPTIONS", "/auth/me", "reads"),
        ("GET", "/auth/nothing-here", "reads"),
        ("POST", "/tweet/create", "writes"),
        ("DELETE", "/auth/unfollow", "writes"),
        ("PATCH", "/auth/update", "writes"),
        ("POST", "/auth/token/refresh", "writes"),
        ("POST", "/auth/token", "log-ins"),
        ("GET", "/auth/export", "exports"),
        ("HEAD", "/auth/export", "exports"),
        ("POST", "/auth/create", "sign-ups"),
        ("POST", "/admin/login/", "admin-log-ins"),
        ("POST", "/admin/password_change/", "admin-log-ins"),
        ("POST", "/admin/accounts/account/", None),
        ("GET", "/admin/login/", None),
        ("GET", "/auth/healthz", None),
        ("GET", "/tweet/helthz", None),
        ("GET", "/auth/name/healthz", "reads"),
        ("GET", "/api/schema/", "reads"),
        ("GET", "/static/admin/css/base.css", None),
    ],
)
def test_what_a_request_counts_for(method, path, kind):
    assert kind_of(method=method, path=path) == kind


def test_a_refusal_names_the_bucket_and_when_to_come_back(api, limit, make_account):
    limit("reads", user=(2, 60))
    ada = api(make_account("ada"))
    answers = [ada.get("/auth/me") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0]["RateLimit"].startswith('"reads-per-user";r=1;t=')
    assert answers[0]["RateLimit-Policy"] == '"reads-per-user";q=2;w=60'
    refusal = answers[2]
    assert refusal["Content-Type"] == "application/problem+json"
    for name in ("X-Content-Type-Options", "X-Frame-Options", "Content-Security-Policy"):
        assert refusal[name] == answers[0][name]
    assert refusal["Cache-Control"] == "no-store"
    assert 0 < int(refusal["Retry-After"]) <= 60
    assert refusal.json()["status"] == 429
    assert "reads-per-user allows 2 in 60 seconds" in refusal.json()["detail"]


def test_of_two_full_buckets_the_one_is_told_that_stays_full(api, limit, make_account):
    limit("reads", user=(1, 60), address=(1, 3600))
    ada = api(make_account("ada"))
    assert ada.get("/auth/me").status_code == 200
    refusal = ada.get("/auth/me")
    assert int(refusal["Retry-After"]) > 60
    assert refusal["RateLimit-Policy"] == '"reads-per-address";q=1;w=3600'
    assert refusal["RateLimit"] == f'"reads-per-address";r=0;t={refusal["Retry-After"]}'


def test_a_refused_write_writes_nothing(api, limit, make_account):
    limit("writes", user=(1, 60))
    ada, bob, cat = (make_account(name) for name in ("ada", "bob", "cat"))
    client = api(ada)
    assert client.post("/auth/follow", {"user_id": str(bob)}).status_code == 200
    assert client.post("/auth/follow", {"user_id": str(cat)}).status_code == 429
    assert list(Follow.objects.values_list("follower_id", "followed_id")) == [(ada, bob)]


def test_reads_and_writes_and_users_are_counted_apart(api, limit, make_account):
    limit("reads", user=(1, 60))
    ada, bob = (api(make_account(name)) for name in ("ada", "bob"))
    assert ada.get("/auth/me").status_code == 200
    assert ada.get("/auth/me").status_code == 429
    assert ada.patch("/auth/update", {"name": "Ada"}).status_code == 200
    assert bob.get("/auth/me").status_code == 200


def test_many_users_behind_one_address_share_its_limit(api, limit, make_account):
    limit("reads", user=(10, 60), address=(2, 60))
    clients = [api(make_account(name)) for name in ("ada", "bob", "cat")]
    assert [client.get("/auth/me").status_code for client in clients] == [200, 200, 429]


def test_a_token_that_nobody_signed_counts_for_nobody(limit, make_account, api):
    limit("reads", user=(1, 60))
    forger = APIClient()
    forger.credentials(HTTP_AUTHORIZATION="Bearer eyJhbGciOiJub25lIn0.e30.")
    for _ in range(3):
        assert forger.get("/auth/me").status_code == 401
    assert api(make_account("ada")).get("/auth/me").status_code == 200


def test_signing_up_has_a_limit_of_its_own(limit):
    limit("sign-ups", address=(2, 3600))
    client = APIClient()
    statuses = [
        client.post(
            "/auth/create",
            {"username": name, "email": f"{name}@example.com", "password": PASSWORD},
        ).status_code
        for name in ("ada", "bob", "cat")
    ]
    assert statuses == [201, 201, 429]
    assert not Account.objects.filter(username="cat").exists()


def test_without_redis_requests_pass(api, redis_gone, make_account):
    ada = api(make_account("ada"))
    redis_gone()
    answer = ada.get("/auth/me")
    assert answer.status_code == 200
    assert "RateLimit" in answer


def attempt(login, password, address=HERE):
    try:
        services.log_in(login=login, password=password, address=address)
    except (TooMany, Unauthenticated) as error:
        return type(error)
    return None


def test_guessing_is_stopped_even_with_the_right_password(limit):
    limit("log-ins", account_and_address=(3, 900), account=(100, 3600))
    AccountFactory(username="ada", email="ada@example.com")
    guesses = [attempt(login, "wrong") for login in ("ada", "ADA", "Ada")]
    assert guesses == [Unauthenticated] * 3
    assert attempt("adA", PASSWORD) is TooMany
    assert attempt("ada", PASSWORD, ELSEWHERE) is None


def test_a_refusal_does_not_tell_whose_an_address_is(limit):
    limit("log-ins", account_and_address=(2, 900), account=(100, 3600))
    ada = AccountFactory(username="ada", email="jane.doe@example.com")
    assert [attempt("ada", "wrong") for _ in range(3)][-1] is TooMany
    assert attempt("jane.doe@example.com", "wrong") is Unauthenticated
    assert attempt(str(ada.pk), "wrong") is Unauthenticated


def test_a_single_address_does_not_use_up_what_all_have_together(limit):
    limit("log-ins", account_and_address=(2, 900), account=(5, 3600))
    AccountFactory(username="ada")
    for _ in range(20):
        attempt("ada", "wrong", HERE)
    assert attempt("ada", PASSWORD, ELSEWHERE) is None


def test_a_login_that_nobody_has_is_slowed_down_just_the_same(limit):
    limit("log-ins", account_and_address=(2, 900), account=(3, 3600))
    assert [attempt("nobody", "wrong") for _ in range(3)] == [Unauthenticated] * 2 + [TooMany]
    elsewhere = [attempt("nobody", "wrong", f"192.0.2.{number}") for number in (7, 8, 9)]
    assert elsewhere == [Unauthenticated] + [TooMany] * 2


def test_a_success_resets_the_count_of_failures(limit):
    limit("log-ins", account_and_address=(3, 900), account=(100, 3600))
    AccountFactory(username="ada")
    for _ in range(3):
        assert attempt("ada", "wrong") is Unauthenticated
        assert attempt("ada", "wrong") is Unauthenticated
        assert attempt("ada", PASSWORD) is None


def test_many_addresses_are_stopped_and_do_not_lock_the_owner_out(limit):
    limit("log-ins", account_and_address=(3, 900), account=(5, 3600))
    AccountFactory(username="ada")
    assert attempt("ada", PASSWORD, HERE) is None  # the owner, who is known here from now on
    strangers = [attempt("ada", "wrong", f"198.51.100.{number}") for number in range(10)]
    assert strangers == [Unauthenticated] * 4 + [TooMany] * 6
    for _ in range(3):
        assert attempt("ada", PASSWORD, HERE) is None
    assert attempt("ada", PASSWORD, ELSEWHERE) is TooMany


def test_a_stranger_at_another_address_does_not_use_up_the_owners_attempts(limit):
    limit("log-ins", account_and_address=(2, 900), account=(100, 3600))
    AccountFactory(username="ada")
    assert [attempt("ada", "wrong", ELSEWHERE) for _ in range(3)][-1] is TooMany
    assert attempt("ada", PASSWORD, HERE) is None


def test_the_answer_to_one_guess_too_many(limit):
    limit("log-ins", account_and_address=(1, 900), address=(100, 60))
    client = APIClient()
    bodies = {"username": "ada", "password": "wrong"}
    assert client.post("/auth/token", bodies).status_code == 401
    refusal = client.post("/auth/token", bodies)
    assert refusal.status_code == 429
    assert 0 < int(refusal["Retry-After"]) <= 900
    assert refusal["Content-Type"] == "application/problem+json"


def test_without_redis_guessing_is_counted_in_the_process(limit, redis_gone):
    limit("log-ins", account_and_address=(2, 900))
    AccountFactory(username="ada")
    redis_gone()
    assert [attempt("ada", "wrong") for _ in range(3)] == [Unauthenticated] * 2 + [TooMany]


def test_where_an_account_is_used_from_is_bounded_and_goes_with_it(valkey, monkeypatch):
    ada = AccountFactory(username="ada")
    monkeypatch.setattr(guessing, "KNOWN_MOST", 3)
    for number in range(7):
        assert attempt("ada", PASSWORD, f"192.0.2.{number}") is None
        assert 1 <= valkey.zcard(f"limit:known:{ada.pk}") <= 3
        assert guessing._is_known(ada.pk, f"192.0.2.{number}")
    assert valkey.ttl(f"limit:known:{ada.pk}") > 0
    guessing.delete_records(ada.pk, logins=["ada"])
    assert not valkey.exists(f"limit:known:{ada.pk}")


def test_the_admin_does_not_let_guess_either(limit, client):
    limit("admin-log-ins", account_and_address=(2, 900), address=(100, 60))
    AccountFactory(username="chief", is_staff=True)
    data = {"username": "chief", "password": "wrong"}
    for _ in range(2):
        assert b"Please enter the correct" in client.post("/admin/login/", data).content
    refusal = client.post("/admin/login/", data | {"password": PASSWORD})
    assert b"Too many attempts to log in" in refusal.content
    assert "_auth_user_id" not in client.session
    assert client.post("/admin/login/", data, REMOTE_ADDR=ELSEWHERE).status_code == 200
    assert admin_lets_in(client, "chief", ELSEWHERE)


def admin_lets_in(client, username, address=HERE, password=PASSWORD):
    data = {"username": username, "password": password}
    answer = client.post("/admin/login/", data, REMOTE_ADDR=address)
    client.logout()
    return answer.status_code == 302


def test_the_admin_and_the_api_count_apart(limit, client):
    limit("log-ins", account_and_address=(1, 900))
    limit("admin-log-ins", account_and_address=(2, 900))
    AccountFactory(username="chief", is_staff=True)
    assert [attempt("chief", "wrong") for _ in range(2)] == [Unauthenticated, TooMany]
    assert not admin_lets_in(client, "chief", password="wrong")
    assert admin_lets_in(client, "chief")


def test_strangers_do_not_lock_a_moderator_out_of_the_admin(limit, client):
    limit("admin-log-ins", account_and_address=(3, 900), account=(5, 3600))
    AccountFactory(username="chief", is_staff=True)
    assert admin_lets_in(client, "chief", HERE)  # known here from now on
    for number in range(10):
        assert not admin_lets_in(client, "chief", f"198.51.100.{number}", password="wrong")
    assert admin_lets_in(client, "chief", HERE)
    assert not admin_lets_in(client, "chief", ELSEWHERE)


def test_the_admin_refuses_a_name_that_nobody_has_just_the_same(limit, client):
    limit("admin-log-ins", account_and_address=(1, 900))
    AccountFactory(username="chief", is_staff=True)
    AccountFactory(username="ada")
    pages = []
    for name in ("chief", "ada", "nobody"):
        for _ in range(2):
            data = {"username": name, "password": "wrong"}
            page = client.post("/admin/login/", data).content.decode()
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
            pages.append(page.replace(token, "").replace(name, ""))
    assert pages[0] == pages[2] == pages[4]
    assert pages[1] == pages[3] == pages[5]
    assert "Too many attempts" in pages[1]


def test_an_address_has_few_attempts_at_the_admin(limit, client):
    limit("admin-log-ins", address=(1, 900))
    assert client.post("/admin/login/", {}).status_code == 200
    assert client.post("/admin/login/", {}).status_code == 429
    assert client.post("/admin/password_change/", {}).status_code == 429
    assert client.get("/admin/login/").status_code == 200


def test_the_admin_lets_in_who_knows_the_password(limit, client):
    limit("admin-log-ins", account_and_address=(2, 900))
    AccountFactory(username="chief", is_staff=True)
    for _ in range(4):
        answer = client.post("/admin/login/", {"username": "chief", "password": PASSWORD})
        assert answer.status_code == 302
        client.logout()


def test_the_admin_counts_nothing_without_a_password_and_takes_it_for_no_success(
    limit, client, valkey
):
    limit("admin-log-ins", account_and_address=(2, 900), address=(100, 60))
    chief = AccountFactory(username="chief", is_staff=True)
    assert not admin_lets_in(client, "chief", password="wrong")
    for nothing in ("", "\0", "x" * 129):
        assert not admin_lets_in(client, "chief", password=nothing)
    assert not valkey.exists(f"limit:known:{chief.pk}")
    assert admin_lets_in(client, "chief")
    for _ in range(2):
        assert not admin_lets_in(client, "chief", password="wrong")
    assert not admin_lets_in(client, "chief")


def test_an_address_is_known_for_thirty_days_only(limit, valkey):
    ada = AccountFactory(username="ada")
    assert attempt("ada", PASSWORD, HERE) is None
    assert guessing._is_known(ada.pk, HERE)
    [(digest, _)] = valkey.zrange(f"limit:known:{ada.pk}", 0, -1, withscores=True)
    long_ago = guessing.time.time() - guessing.KNOWN_SECONDS - 1
    valkey.zadd(f"limit:known:{ada.pk}", {digest: long_ago})
    assert not guessing._is_known(ada.pk, HERE)
    assert attempt("ada", PASSWORD, ELSEWHERE) is None
    assert valkey.zcard(f"limit:known:{ada.pk}") == 1
