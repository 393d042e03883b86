"""Logging in and out: sessions, each a family of refresh tokens that follow one another."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone

from accounts.events import SessionsRevoked
from accounts.models import VISIBLE, Account, Session
from accounts.sessions import guessing, hashing, reads, tokens
from accounts.sessions.tokens import RefreshToken
from twitter.base.http.errors import Forbidden, Unauthenticated
from twitter.base.http.problems import Kind
from twitter.outbox.events import publish

# How long a refresh token that was exchanged may be exchanged once more.
GRACE_SECONDS = 30


@dataclass(frozen=True)
class TokenPair:
    """What a client gets. `expires_in`: seconds that the access token is valid."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"


def log_in(*, login: str, password: str, address: str) -> TokenPair:
    """Begin a session for a username or e-mail address.

    Raises Unauthenticated, TooMany, TooBusy, and Forbidden when the password is right and the
    account is suspended.

    `address` is where the request comes from; see `guessing`. Refused as TooBusy, an attempt does
    not count.

    For an unknown account, a deleted one and a wrong password the answer is the same, and takes the
    same time: the password is hashed once.
    """
    account = reads.by_login(login)
    with hashing.place():
        attempt = guessing.begin(
            kind="log-ins",
            account_id=account.pk if account else None,
            login=login,
            address=address,
        )
        if account is None:
            make_password(password)
            is_right = False
        else:
            is_right = account.check_password(password)
    if account is None or not is_right or account.deleted_at:
        guessing.failed(attempt)
        raise _wrong()
    if account.suspended_at:
        guessing.failed(attempt)
        raise Forbidden("This account is suspended.", kind=Kind.SUSPENDED)
    pair = _begin(account)
    guessing.succeeded(attempt)
    return pair


def _wrong() -> Unauthenticated:
    return Unauthenticated("Username or password is wrong.", kind=Kind.WRONG_PASSWORD)


def _begin(account: Account) -> TokenPair:
    family, rotating = tokens.new_family(), tokens.new_rotating()
    with transaction.atomic():
        # The password was right a moment ago. Is it still, or has somebody just replaced it?
        unchanged = Account.objects.select_for_update(no_key=True).filter(
            VISIBLE, id=account.pk, token_generation=account.token_generation
        )
        if not unchanged.values_list("id").first():
            raise _wrong()
        session = Session.objects.create(
            account_id=account.pk,
            family_hash=tokens.digest(family),
            token_hash=tokens.digest(rotating),
            expires_at=timezone.now() + timedelta(seconds=settings.REFRESH_TOKEN_SECONDS),
        )
    return _pair(account, RefreshToken(session.pk, family, rotating))


def refresh(refresh_token: str) -> TokenPair:
    """Exchange a refresh token for a new pair. Raises Unauthenticated.

    The token that was exchanged last may be exchanged again for GRACE_SECONDS, and brings the same
    successor: the answer may have been lost, or two tabs or requests asked at once. A token that
    was used earlier means that two clients hold the family, and one of them stole it: the session
    ends for both (RFC 9700, section 4.14.2).
    """
    token = tokens.parse_refresh_token(refresh_token)
    pair = _exchange(token) if token else None
    if pair is None:
        raise Unauthenticated(
            "The refresh token is not valid, or has expired.", kind=Kind.INVALID_TOKEN
        )
    return pair


@transaction.atomic
def _exchange(token: RefreshToken) -> TokenPair | None:
    session = _locked_session(token)
    if session is None:
        return None
    if tokens.matches(token.rotating, session.token_hash):
        exchange = _rotate
    elif _was_just_exchanged(session, token):
        exchange = _successor_in_use
    else:
        _end(session)
        return None
    account = Account.objects.filter(VISIBLE, id=session.account_id).first()
    if account is None:
        return None
    successor = exchange(session, token)
    return None if successor is None else _pair(account, successor)


def _rotate(session: Session, token: RefreshToken) -> RefreshToken | None:
    successor = next(token.successors())
    now = timezone.now()
    session.previous_hash, session.exchanged_at = session.token_hash, now
    session.token_hash = tokens.digest(successor.rotating)
    session.expires_at = now + timedelta(seconds=settings.REFRESH_TOKEN_SECONDS)
    session.save(update_fields=["previous_hash", "exchanged_at", "token_hash", "expires_at"])
    return successor


def _was_just_exchanged(session: Session, token: RefreshToken) -> bool:
    """Tell whether the current token was issued for this one, and a moment ago.

    For earlier tokens the answer is no, however fast one followed another: the successor of an
    earlier token was used (https://github.com/django-oauth/django-oauth-toolkit/issues/1617).
    """
    return (
        session.previous_hash is not None
        and session.exchanged_at is not None
        and tokens.matches(token.rotating, session.previous_hash)
        and timezone.now() <= session.exchanged_at + timedelta(seconds=GRACE_SECONDS)
    )


def _successor_in_use(session: Session, token: RefreshToken) -> RefreshToken | None:
    """Return what the token was exchanged for; None if the key that derived it is gone by now."""
    return next(
        (each for each in token.successors() if tokens.matches(each.rotating, session.token_hash)),
        None,
    )


@transaction.atomic
def log_out(refresh_token: str) -> None:
    """End the session of a refresh token, used or not. Any other text ends nothing (RFC 7009)."""
    token = tokens.parse_refresh_token(refresh_token)
    session = _locked_session(token) if token else None
    if session is not None:
        _end(session)


def _locked_session(token: RefreshToken) -> Session | None:
    """Return the session that the token belongs to, locked, unless it has ended."""
    session = (
        Session.objects.select_for_update()
        .filter(id=token.session_id, revoked_at__isnull=True, expires_at__gt=timezone.now())
        .first()
    )
    if session is None or not tokens.matches(token.family, session.family_hash):
        return None
    return session


def _end(session: Session) -> None:
    session.revoked_at = timezone.now()
    # The row is kept for as long as the session's access tokens could be valid.
    session.expires_at = session.revoked_at + timedelta(seconds=settings.ACCESS_TOKEN_SECONDS)
    session.save(update_fields=["revoked_at", "expires_at"])
    publish(SessionsRevoked(account_id=session.account_id))


def _pair(account: Account, refresh_token: RefreshToken) -> TokenPair:
    return TokenPair(
        access_token=tokens.issue_access_token(
            account_id=account.pk,
            session_id=refresh_token.session_id,
            generation=account.token_generation,
        ),
        refresh_token=str(refresh_token),
        expires_in=settings.ACCESS_TOKEN_SECONDS,
    )
