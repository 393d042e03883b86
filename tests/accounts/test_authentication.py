"""From an Authorization header to the caller, or to a 401; with Redis and without."""

from typing import Any

import pytest
import redis
from rest_framework.test import APIClient

from accounts import cache, services, sessions
from accounts.models import Account, Session
from accounts.selectors import account_state
from accounts.tokens import issue_access_token
from tests.accounts.factories import PASSWORD, AccountFactory
from tests.accounts.test_tokens import BAD

pytestmark = pytest.mark.django_db

# What is done at once after a commit needs one.
WITH_COMMITS = pytest.mark.django_db(transaction=True)


def log_in(account: Account) -> tuple[APIClient, sessions.TokenPair]:
    pair = sessions.log_in(address="192.0.2.1", login=account.username, password=PASSWORD)
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {pair.access_token}")
    return client, pair


def status(client: APIClient) -> int:
    code: int = client.get("/auth/me").status_code
    return code


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Token abc",
        "Bearer é",
        *(f"Bearer {token}" for token in BAD.values()),
    ],
)
def test_without_a_good_token_it_is_401_with_a_challenge(header: str, assert_problem: Any) -> None:
    client = APIClient(raise_request_exception=False)
    # As WSGI has it: the bytes of the header, each as a character.
    client.credentials(HTTP_AUTHORIZATION=header.encode().decode("latin-1"))
    answer = client.get("/auth/me")
    assert_problem(answer, 401)
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


def test_the_scheme_is_read_in_any_case() -> None:
    _, pair = log_in(AccountFactory())
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"bEARER  {pair.access_token} ")
    assert status(client) == 200


def test_a_token_of_nobody_is_401() -> None:
    token = issue_access_token(account_id=12345, session_id=1, generation=0)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert status(client) == 401


def test_a_warm_request_is_authenticated_without_sql(sql_statements: list[str]) -> None:
    ada = AccountFactory()
    client, _ = log_in(ada)
    client.get(f"/auth/id/{ada.id}")
    sql_statements.clear()
    assert client.get(f"/auth/id/{ada.id}").status_code == 200
    assert sql_statements == []


def _log_out(account: Account, pair: sessions.TokenPair) -> None:
    sessions.log_out(pair.refresh_token)


def _suspend(account: Account, pair: sessions.TokenPair) -> None:
    services.suspend(account_id=account.id, by_id=AccountFactory().id, reason="spam")


def _delete(account: Account, pair: sessions.TokenPair) -> None:
    services.delete(account_id=account.id, by_id=account.id, session_id=1, password=PASSWORD)


def _change_password(account: Account, pair: sessions.TokenPair) -> None:
    services.update(
        account_id=account.id,
        session_id=1,
        changes={},
        new_password="an entirely new one",
        current_password=PASSWORD,
    )


ENDS = [_log_out, _suspend, _delete, _change_password]


@WITH_COMMITS
@pytest.mark.parametrize("end", ENDS)
def test_tokens_stop_on_the_next_request(end: Any) -> None:
    ada = AccountFactory()
    client, pair = log_in(ada)
    assert status(client) == 200
    end(ada, pair)
    assert status(client) == 401


@WITH_COMMITS
@pytest.mark.parametrize("end", ENDS)
def test_tokens_stay_stopped_after_redis_lost_everything(end: Any, valkey: redis.Redis) -> None:
    ada = AccountFactory()
    client, pair = log_in(ada)
    end(ada, pair)
    valkey.flushdb()
    assert status(client) == 401
    assert status(client) == 401


@WITH_COMMITS
@pytest.mark.parametrize("end", ENDS)
def test_tokens_stop_while_redis_is_away(end: Any, redis_gone: Any) -> None:
    ada = AccountFactory()
    client, pair = log_in(ada)
    redis_gone()
    assert status(client) == 200
    end(ada, pair)
    assert status(client) == 401


@WITH_COMMITS
def test_logging_out_leaves_other_sessions_alone() -> None:
    ada = AccountFactory()
    phone, pair = log_in(ada)
    laptop, _ = log_in(ada)
    sessions.log_out(pair.refresh_token)
    assert (status(phone), status(laptop)) == (401, 200)


@WITH_COMMITS
def test_old_tokens_do_not_come_back_when_a_suspension_is_lifted() -> None:
    ada, moderator = AccountFactory(), AccountFactory()
    client, _ = log_in(ada)
    services.suspend(account_id=ada.id, by_id=moderator.id, reason="spam")
    services.lift(account_id=ada.id, by_id=moderator.id, reason="appeal")
    assert status(client) == 401
    assert status(log_in(ada)[0]) == 200


@WITH_COMMITS
def test_a_reader_who_saw_the_account_before_its_suspension_cannot_cache_what_it_saw() -> None:
    ada = AccountFactory()
    before = account_state(ada.id)
    services.suspend(account_id=ada.id, by_id=AccountFactory().id, reason="spam")
    cache.store_state(ada.id, before)
    assert not account_state(ada.id).active


def test_a_session_that_ended_long_ago_is_not_carried_along(settings: Any) -> None:
    ada = AccountFactory()
    _, pair = log_in(ada)
    sessions.log_out(pair.refresh_token)
    session = Session.objects.get()
    settings.ACCESS_TOKEN_SECONDS = 0
    assert account_state(ada.id).revoked == frozenset()
    assert session.revoked_at is not None
