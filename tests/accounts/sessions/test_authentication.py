"""From an Authorization header to the caller, or to a 401; with Redis and without."""

from typing import Any

import pytest
import redis
from rest_framework.test import APIClient

from accounts.models import Account, Session
from accounts.moderation import services as moderation_services
from accounts.people import services as people_services
from accounts.sessions import reads, states
from accounts.sessions import services as sessions_services
from accounts.sessions.reads import account_state
from accounts.sessions.tokens import issue_access_token
from tests.accounts.factories import PASSWORD, AccountFactory
from tests.accounts.sessions.test_tokens import BAD
from twitter.base.http.errors import Unauthenticated

pytestmark = pytest.mark.django_db

# What is done at once after a commit needs one.
WITH_COMMITS = pytest.mark.django_db(transaction=True)


def log_in(account: Account) -> tuple[APIClient, sessions_services.TokenPair]:
    pair = sessions_services.log_in(address="192.0.2.1", login=account.username, password=PASSWORD)
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
    client.credentials(HTTP_AUTHORIZATION=header.encode("utf-8", "surrogatepass").decode("latin-1"))
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


def _log_out(account: Account, pair: sessions_services.TokenPair) -> None:
    sessions_services.log_out(pair.refresh_token)


def _suspend(account: Account, pair: sessions_services.TokenPair) -> None:
    moderation_services.suspend(account_id=account.id, by_id=AccountFactory().id, reason="spam")


def _delete(account: Account, pair: sessions_services.TokenPair) -> None:
    people_services.delete(account_id=account.id, by_id=account.id, session_id=1, password=PASSWORD)


def _change_password(account: Account, pair: sessions_services.TokenPair) -> None:
    people_services.update(
        account_id=account.id,
        session_id=1,
        changes={},
        new_password="an entirely new one",
        current_password=PASSWORD,
    )


def _set_password_in_the_admin(account: Account, pair: sessions_services.TokenPair) -> None:
    account.set_password("an entirely new one")
    account.save()


def _use_an_old_refresh_token(account: Account, pair: sessions_services.TokenPair) -> None:
    sessions_services.refresh(sessions_services.refresh(pair.refresh_token).refresh_token)
    with pytest.raises(Unauthenticated):
        sessions_services.refresh(pair.refresh_token)


ENDS = [
    _log_out,
    _suspend,
    _delete,
    _change_password,
    _set_password_in_the_admin,
    _use_an_old_refresh_token,
]


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
    sessions_services.log_out(pair.refresh_token)
    assert (status(phone), status(laptop)) == (401, 200)


@WITH_COMMITS
def test_old_tokens_do_not_come_back_when_a_suspension_is_lifted() -> None:
    ada, moderator = AccountFactory(), AccountFactory()
    client, _ = log_in(ada)
    moderation_services.suspend(account_id=ada.id, by_id=moderator.id, reason="spam")
    moderation_services.lift(account_id=ada.id, by_id=moderator.id, reason="appeal")
    assert status(client) == 401
    assert status(log_in(ada)[0]) == 200


@WITH_COMMITS
@pytest.mark.parametrize("flushed", [False, True], ids=["expired", "flushed"])
@pytest.mark.parametrize("end", ENDS)
def test_a_reader_who_saw_postgres_before_cannot_cache_what_it_saw(
    end: Any, flushed: bool, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads Postgres, then the token ends, then, late, it fills in what it read."""
    ada = AccountFactory()
    client, pair = log_in(ada)
    stored_state = reads.stored_state

    def slow(account_id: int) -> Any:
        state = stored_state(account_id)
        monkeypatch.undo()
        end(ada, pair)
        if flushed:
            valkey.flushdb()
        else:  # it was evicted
            valkey.delete(states.STATES.key(account_id))
        return state

    monkeypatch.setattr(reads, "stored_state", slow)
    assert account_state(ada.id).active
    assert status(client) == 401
    assert status(client) == 401


def test_only_one_fills_a_state_in_and_who_died_keeps_nobody_from_it_for_long(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, key = AccountFactory(), states.STATES.key
    lease = states.STATES.lease(ada.id)
    assert lease is not None
    assert states.STATES.lease(ada.id) is None
    assert 0 < valkey.pttl(key(ada.id)) <= 10_000
    state = account_state(ada.id)  # from Postgres: a lease is no state
    assert states.fetch_state(ada.id) is None
    states.STATES.fill_leased(ada.id, states._packed_state(state), lease=lease)
    assert states.fetch_state(ada.id) == state


def test_a_session_that_ended_long_ago_is_not_carried_along(settings: Any) -> None:
    ada = AccountFactory()
    _, pair = log_in(ada)
    sessions_services.log_out(pair.refresh_token)
    session = Session.objects.get()
    settings.ACCESS_TOKEN_SECONDS = 0
    assert account_state(ada.id).revoked == frozenset()
    assert session.revoked_at is not None
