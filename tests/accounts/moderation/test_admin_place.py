"""The admin at a path and on a host of its own, and the cookies of its log-ins."""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import clear_url_caches

from accounts.models import Account
from accounts.sessions.limits import kind_of
from tests.accounts.factories import PASSWORD, AccountFactory
from twitter import urls

pytestmark = pytest.mark.django_db

HERE, ELSEWHERE = "admin.example.com", "www.example.com"
NOTHING = "/nothing/here/"


def route() -> None:
    importlib.reload(urls)
    clear_url_caches()


@pytest.fixture
def office(settings: Any) -> Iterator[str]:
    """Move the admin, and return where it is."""
    before, settings.ADMIN_PATH = settings.ADMIN_PATH, "staff/office/"
    route()
    yield "/staff/office/"
    settings.ADMIN_PATH = before
    route()


@pytest.fixture
def apart(settings: Any) -> None:
    """Put the admin on the host HERE."""
    settings.ADMIN_HOST = HERE
    settings.ALLOWED_HOSTS = [HERE, ELSEWHERE]


@pytest.fixture
def chief() -> Account:
    account: Account = AccountFactory(username="chief", is_staff=True, is_superuser=True)
    return account


def said(answer: Any) -> tuple[int, dict[str, str], bytes]:
    return answer.status_code, dict(answer.headers), answer.content


def has_style(client: Client) -> bool:
    answer = client.get("/static/admin/css/base.css")
    answer.close()
    return answer.status_code == 200


def test_the_admin_works_at_another_path(office: str, chief: Account) -> None:
    client = Client()
    asked = client.get(office)
    assert asked["Location"] == f"{office}login/?next={office}"
    data = {"username": "chief", "password": PASSWORD}
    entered = client.post(asked["Location"], data, follow=True)
    assert "Site administration" in entered.content.decode()
    assert f'href="{office}accounts/account/"' in entered.content.decode()
    assert said(client.get("/admin/")) == said(client.get(NOTHING))


def test_its_limits_move_with_it(office: str) -> None:
    assert kind_of(method="POST", path=f"{office}login/") == "admin-log-ins"
    assert kind_of(method="POST", path=f"{office}password_change/") == "admin-log-ins"
    assert kind_of(method="POST", path="/admin/login/") is None


@pytest.mark.parametrize("host", [HERE, "ADMIN.example.COM", f"{HERE}:8443", f"{HERE}."])
def test_the_admin_answers_on_its_host(apart: None, chief: Account, host: str) -> None:
    client = Client(headers={"host": host})
    data = {"username": "chief", "password": PASSWORD}
    entered = client.post("/admin/login/?next=/admin/", data, follow=True, headers={"host": host})
    assert "Site administration" in entered.content.decode()
    assert has_style(client)


@pytest.mark.parametrize("method", ["get", "post", "put", "options"])
@pytest.mark.parametrize(
    "path",
    ["/admin", "/admin/", "/admin/login/", "/admin/password_change/", "/admin/accounts/account/1/"],
)
def test_elsewhere_the_admin_answers_like_what_is_not_there(
    apart: None, chief: Account, path: str, method: str
) -> None:
    client = Client(headers={"host": ELSEWHERE})
    client.force_login(chief)
    nothing = getattr(client, method)(NOTHING)
    assert said(getattr(client, method)(path)) == said(nothing)
    assert nothing.status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        *("/auth/me", "/tweet/id/1", "/timeline/timeline", "/auth/healthz"),
        *("/api/docs/", "/api/schema/", "/"),
    ],
)
def test_on_its_host_there_is_nothing_else(apart: None, path: str) -> None:
    client = Client(headers={"host": HERE})
    assert said(client.get(path)) == said(client.get(NOTHING))
    assert client.get(path).status_code == 404


def test_elsewhere_there_is_all_the_rest(apart: None) -> None:
    client = Client(headers={"host": ELSEWHERE})
    statuses = [
        client.get(path).status_code for path in ("/auth/me", "/api/docs/", "/auth/healthz")
    ]
    assert statuses == [401, 200, 200]
    assert has_style(client)


def test_a_host_that_is_not_ours_is_refused(apart: None) -> None:
    assert Client(headers={"host": "evil.example"}).get("/admin/").status_code == 400


def test_the_cookie_of_a_log_in_is_kept_from_scripts_and_other_sites(
    chief: Account, settings: Any
) -> None:
    settings.SESSION_COOKIE_SECURE = True
    client = Client()
    client.post("/admin/login/", {"username": "chief", "password": PASSWORD}, secure=True)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    kept = {name: value for name, value in cookie.items() if value and name != "expires"}
    assert kept == {
        "httponly": True,
        "max-age": 8 * 3600,
        "path": "/",  # which the prefix __Host- asks for
        "samesite": "Lax",
        "secure": True,
    }


def test_a_log_in_to_the_admin_ends_after_its_time(chief: Account, settings: Any) -> None:
    client = Client()
    client.force_login(chief)
    assert client.get("/admin/").status_code == 200
    session = client.session
    assert session.get_expiry_age() == 8 * 3600
    session.model.objects.update(expire_date="2026-01-01T00:00Z")
    assert client.get("/admin/").status_code == 302
