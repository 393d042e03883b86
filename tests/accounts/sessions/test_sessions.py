"""Logging in, refreshing, logging out, also by two at once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session as AdminSession
from django.utils import timezone

from accounts import purging
from accounts.models import Account, Session
from accounts.moderation import services as moderation_services
from accounts.people import services as people_services
from accounts.sessions import reads
from accounts.sessions import services as sessions_services
from accounts.sessions.tokens import (
    Claims,
    RefreshToken,
    digest,
    new_rotating,
    parse_refresh_token,
    verify_access_token,
)
from tests.accounts.factories import PASSWORD, AccountFactory
from twitter.base.http.errors import Forbidden, Unauthenticated
from twitter.base.http.problems import Kind

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> Account:
    account: Account = AccountFactory(username="Ada", email="Ada@example.org")
    return account


@pytest.fixture
def pair(ada: Account) -> sessions_services.TokenPair:
    return sessions_services.log_in(address="192.0.2.1", login="ada", password=PASSWORD)


@pytest.mark.parametrize("login", ["Ada", "ada", "ADA", "ada@example.org", "ADA@EXAMPLE.ORG"])
def test_one_logs_in_by_username_or_email_whatever_the_case(ada: Account, login: str) -> None:
    pair = sessions_services.log_in(address="192.0.2.1", login=login, password=PASSWORD)
    claims = verify_access_token(pair.access_token)
    assert claims.account_id == ada.id
    assert claims.session_id == Session.objects.get().pk


@pytest.mark.parametrize(
    ("login", "password"),
    [("ada", "wrong"), ("nobody", PASSWORD), ("a b", PASSWORD), ("@", PASSWORD), ("ada", "")],
)
def test_wrong_credentials_get_one_answer_and_cost_one_hash(
    ada: Account, login: str, password: str, hashes: list[str]
) -> None:
    hashes.clear()
    with pytest.raises(Unauthenticated, match="Username or password is wrong"):
        sessions_services.log_in(address="192.0.2.1", login=login, password=password)
    assert len(hashes) == 1


def test_who_is_suspended_is_told_so_after_the_right_password_only(ada: Account) -> None:
    moderation_services.suspend(account_id=ada.id, by_id=AccountFactory().id, reason="spam")
    with pytest.raises(Unauthenticated) as guessed:
        sessions_services.log_in(address="192.0.2.1", login="ada", password="a wrong guess")
    assert guessed.value.kind == Kind.WRONG_PASSWORD
    with pytest.raises(Forbidden) as told:
        sessions_services.log_in(address="192.0.2.1", login="ada", password=PASSWORD)
    assert told.value.kind == Kind.SUSPENDED
    Account.objects.filter(id=ada.pk).update(deleted_at=timezone.now())
    with pytest.raises(Unauthenticated):
        sessions_services.log_in(address="192.0.2.1", login="ada", password=PASSWORD)


def test_an_imported_account_cannot_log_in() -> None:
    Account.objects.create_user("u1")
    with pytest.raises(Unauthenticated):
        sessions_services.log_in(address="192.0.2.1", login="u1", password="")


def test_no_secret_is_stored(pair: sessions_services.TokenPair) -> None:
    stored = str(Session.objects.values().get())
    token = parse_refresh_token(pair.refresh_token)
    assert token is not None
    assert token.family not in stored
    assert token.rotating not in stored


def test_refreshing_rotates_the_token_and_keeps_the_session(
    pair: sessions_services.TokenPair,
) -> None:
    Session.objects.update(expires_at=timezone.now() + timedelta(seconds=60))
    following = sessions_services.refresh(pair.refresh_token)
    assert following.refresh_token != pair.refresh_token
    assert (
        verify_access_token(following.access_token).session_id
        == verify_access_token(pair.access_token).session_id
    )
    # Its time begins again.
    assert Session.objects.get().expires_at > timezone.now() + timedelta(days=29)
    sessions_services.refresh(following.refresh_token)


@pytest.fixture
def grace_is_over() -> Callable[[], None]:
    """Return a function after which the latest exchange of a token was more than 30 s ago."""

    def wait() -> None:
        past = timezone.now() - timedelta(seconds=sessions_services.GRACE_SECONDS + 0.001)
        Session.objects.update(exchanged_at=past)

    return wait


def test_a_token_whose_answer_was_lost_may_be_exchanged_again(
    pair: sessions_services.TokenPair,
) -> None:
    lost, again = (
        sessions_services.refresh(pair.refresh_token),
        sessions_services.refresh(pair.refresh_token),
    )
    assert again.refresh_token == lost.refresh_token != pair.refresh_token
    for one in (lost, again):
        assert reads.account_state(account_of(one)).accepts(claims_of(one))
    following = sessions_services.refresh(again.refresh_token)
    assert following.refresh_token not in (pair.refresh_token, lost.refresh_token)
    assert sessions_services.refresh(lost.refresh_token).refresh_token == following.refresh_token


def claims_of(pair: sessions_services.TokenPair) -> Claims:
    return verify_access_token(pair.access_token)


def account_of(pair: sessions_services.TokenPair) -> int:
    return claims_of(pair).account_id


def test_the_grace_ends(pair: sessions_services.TokenPair, grace_is_over: Any) -> None:
    current = sessions_services.refresh(pair.refresh_token)
    Session.objects.update(exchanged_at=timezone.now() - timedelta(seconds=29))
    assert sessions_services.refresh(pair.refresh_token).refresh_token == current.refresh_token
    grace_is_over()
    with pytest.raises(Unauthenticated):
        sessions_services.refresh(pair.refresh_token)
    assert Session.objects.get().revoked_at is not None
    with pytest.raises(Unauthenticated):
        sessions_services.refresh(current.refresh_token)


@pytest.mark.parametrize("steps", [2, 3])
def test_an_older_token_ends_the_session_however_fast_others_followed(
    pair: sessions_services.TokenPair, steps: int
) -> None:
    current = pair
    for _ in range(steps):
        current = sessions_services.refresh(current.refresh_token)
    with pytest.raises(Unauthenticated):
        sessions_services.refresh(pair.refresh_token)
    assert Session.objects.get().revoked_at is not None
    with pytest.raises(Unauthenticated):
        sessions_services.refresh(current.refresh_token)


def test_exchanging_again_does_not_prolong_the_grace(
    pair: sessions_services.TokenPair, grace_is_over: Any
) -> None:
    sessions_services.refresh(pair.refresh_token)
    stored = Session.objects.values().get()
    sessions_services.refresh(pair.refresh_token)
    assert Session.objects.values().get() == stored


def test_while_keys_are_rotated_both_servers_know_the_same_successor(
    pair: sessions_services.TokenPair, settings: Any
) -> None:
    old, new = {"old": "o" * 32}, {"new": "n" * 32}
    settings.JWT_SIGNING_KEYS = old | new
    first = sessions_services.refresh(pair.refresh_token)
    settings.JWT_SIGNING_KEYS = new | old
    assert sessions_services.refresh(pair.refresh_token).refresh_token == first.refresh_token
    settings.JWT_SIGNING_KEYS = new
    with pytest.raises(Unauthenticated):
        sessions_services.refresh(pair.refresh_token)  # no key tells what it was exchanged for
    sessions_services.refresh(first.refresh_token)  # a client that has it goes on


def test_who_has_no_key_cannot_tell_the_successor_of_a_token(
    pair: sessions_services.TokenPair, settings: Any
) -> None:
    token = parse_refresh_token(pair.refresh_token)
    assert token is not None
    [mine] = token.successors()
    settings.JWT_SIGNING_KEYS = {next(iter(settings.JWT_SIGNING_KEYS)): "another" * 5}
    [other] = token.successors()
    assert mine.rotating != other.rotating
    assert parse_refresh_token(str(mine)) == mine


def test_a_version_that_knows_no_grace_may_run_beside(pair: sessions_services.TokenPair) -> None:
    first = sessions_services.refresh(pair.refresh_token)
    rotating = new_rotating()
    Session.objects.update(token_hash=digest(rotating))  # as that version exchanges
    with pytest.raises(Unauthenticated):
        sessions_services.refresh(pair.refresh_token)
    token = parse_refresh_token(first.refresh_token)
    assert token is not None
    sessions_services.refresh(str(RefreshToken(token.session_id, token.family, rotating)))


def test_a_guess_that_names_the_session_does_not_end_it(pair: sessions_services.TokenPair) -> None:
    token = parse_refresh_token(pair.refresh_token)
    assert token is not None
    guess = str(RefreshToken(token.session_id, "x" * 22, new_rotating()))
    with pytest.raises(Unauthenticated):
        sessions_services.refresh(guess)
    sessions_services.log_out(guess)
    sessions_services.refresh(pair.refresh_token)


@pytest.mark.django_db(transaction=True)
def test_all_who_exchange_one_token_at_once_get_the_same_successor(
    pair: sessions_services.TokenPair, at_once: Any
) -> None:
    results = at_once(*[lambda: sessions_services.refresh(pair.refresh_token)] * 4)
    assert len({result.refresh_token for result in results}) == 1
    results = at_once(*[lambda: sessions_services.refresh(results[0].refresh_token)] * 2)
    assert len({result.refresh_token for result in results}) == 1


def test_an_expired_token_is_refused(pair: sessions_services.TokenPair) -> None:
    Session.objects.update(expires_at=timezone.now())
    with pytest.raises(Unauthenticated):
        sessions_services.refresh(pair.refresh_token)


def test_logging_out_is_harmless_however_often(pair: sessions_services.TokenPair) -> None:
    sessions_services.log_out(pair.refresh_token)
    sessions_services.log_out(pair.refresh_token)
    sessions_services.log_out("nonsense")
    with pytest.raises(Unauthenticated):
        sessions_services.refresh(pair.refresh_token)


def test_a_used_token_logs_out_too(pair: sessions_services.TokenPair) -> None:
    current = sessions_services.refresh(pair.refresh_token)
    sessions_services.log_out(pair.refresh_token)
    with pytest.raises(Unauthenticated):
        sessions_services.refresh(current.refresh_token)


def test_a_new_password_ends_all_sessions(ada: Account, pair: sessions_services.TokenPair) -> None:
    people_services.update(
        account_id=ada.id,
        session_id=1,
        changes={},
        new_password="brand new secret",
        current_password=PASSWORD,
    )
    with pytest.raises(Unauthenticated):
        sessions_services.refresh(pair.refresh_token)
    with pytest.raises(Unauthenticated):
        sessions_services.log_in(address="192.0.2.1", login="ada", password=PASSWORD)
    sessions_services.log_in(address="192.0.2.1", login="ada", password="brand new secret")


def test_a_password_replaced_while_it_is_checked_opens_no_session(
    ada: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Account.check_password

    def slow_check(account: Account, password: str) -> bool:
        right = check(account, password)
        other = Account.objects.get(id=account.id)
        other.set_password("brand new secret")
        other.save()
        return right

    monkeypatch.setattr(Account, "check_password", slow_check)
    with pytest.raises(Unauthenticated):
        sessions_services.log_in(address="192.0.2.1", login="ada", password=PASSWORD)
    assert not Session.objects.exists()


def test_ended_sessions_are_deleted_when_their_access_tokens_have_expired(
    ada: Account, pair: sessions_services.TokenPair
) -> None:
    sessions_services.log_in(address="192.0.2.1", login="ada", password=PASSWORD)
    sessions_services.log_out(pair.refresh_token)
    purging.delete_expired()
    assert Session.objects.count() == 2
    Session.objects.filter(revoked_at__isnull=False).update(expires_at=timezone.now())
    purging.delete_expired()
    assert Session.objects.get().revoked_at is None


def test_log_ins_to_the_admin_are_deleted_when_they_have_expired(db: None) -> None:
    for seconds in (-1, 60):
        session = SessionStore()
        session.set_expiry(timezone.now() + timedelta(seconds=seconds))
        session.create()
    purging.delete_expired()
    assert list(AdminSession.objects.values_list("pk")) == [(session.session_key,)]
