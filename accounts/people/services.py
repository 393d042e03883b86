"""Writing accounts: one transaction each, with the event that tells of it."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from accounts import rereads
from accounts.events import AccountChanged, AccountDeleted, EmailReplaced
from accounts.models import EMAIL_UNIQUE, USERNAME_UNIQUE, VISIBLE, Account
from accounts.people import cards, reads, reserved
from accounts.sessions import guessing, hashing
from twitter.base.http import limits
from twitter.base.http.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unauthenticated,
    violated_constraint,
)
from twitter.base.http.problems import Kind
from twitter.outbox.events import publish

NO_USER = "There is no such user."
OF_STAFF = "An account of the staff, or of a former moderator, cannot be deleted."
NEEDS_PASSWORD = "Another username, e-mail address or password needs the current password."


def sign_up(*, username: str, password: str | None, **profile: str) -> int:
    """Store a new account; returns its id. `profile`: email, name, bio.

    Without a password, no one can log in to it. Raises Invalid for a weak password, Conflict for a
    taken username or e-mail address.
    """
    if password is not None:
        _check_strength(password, account=Account(username=username, **profile))
    with transaction.atomic(), taking(username=username, email=profile.get("email")):
        account = Account.objects.create_user(username, password=password, **profile)
    account_id: int = account.pk
    return account_id


def create_admin(*, username: str, password: str) -> int:
    """Store an account that may do everything in the admin; returns its id. Raises Conflict."""
    with transaction.atomic(), taking(username=username):
        account = Account.objects.create_superuser(username, password=password)
    account_id: int = account.pk
    return account_id


def update(
    *,
    account_id: int,
    session_id: int,
    changes: Mapping[str, Any],
    new_password: str | None = None,
    current_password: str | None = None,
) -> None:
    """Change one's own account; with a new password also end all its sessions.

    `session_id`: the session that asks. `changes`: username, email, name, bio. A change of the
    username, the e-mail address or the password needs the current password. Raises Invalid when
    that is missing or wrong, or when the new password is weak, Conflict when a value is taken,
    TooMany (see `guessing`), TooBusy, Unauthenticated when the account is gone.
    """
    seen = _active(account_id)
    needs_password = new_password is not None or _is_another(seen, changes, "username", "email")
    if needs_password:
        if current_password is None:
            raise Invalid(NEEDS_PASSWORD, field="current_password")
        _check_password(seen, current_password, session_id=session_id, field="current_password")
    if _is_another(seen, changes, "email"):
        guessing.count_email_change(account_id=account_id)
    if new_password is not None:
        for name, value in changes.items():
            setattr(seen, name, value)
        _check_strength(new_password, account=seen)
    with transaction.atomic():
        account = lock_active(account_id)
        if needs_password and account.token_generation != seen.token_generation:
            raise Conflict("The password was changed at the same time.")
        if not needs_password and _is_another(account, changes, "username", "email"):
            raise Conflict("The account was changed at the same time.")
        _change(account, changes)
        if new_password is not None:
            account.set_password(new_password)
            account.save(update_fields=["password"])


def moderate(*, account_id: int, changes: Mapping[str, Any]) -> None:
    """Change fields of any account, suspended or not. Raises as `update` does."""
    with transaction.atomic():
        _change(lock_present(account_id), changes)


def _change(account: Account, changes: Mapping[str, Any]) -> None:
    """Change a locked account. If its address is replaced, an event has the former one told."""
    if not changes:
        return
    with taking(username=changes.get("username"), email=changes.get("email")):
        Account.objects.filter(id=account.pk).update(**changes)
    publish(AccountChanged(account_id=account.pk))
    if account.email and _is_another(account, changes, "email"):
        publish(EmailReplaced(account_id=account.pk, former_email=account.email))


def _is_another(account: Account, changes: Mapping[str, Any], *names: str) -> bool:
    """Tell whether one of these fields changes in more than its case."""
    return any(
        (changes[name] or "").lower() != (getattr(account, name) or "").lower()
        for name in names
        if name in changes
    )


def delete(*, account_id: int, by_id: int, session_id: int, password: str) -> None:
    """Delete one's own account: gone for everyone at once, purged later.

    `session_id`: the session that asks. Raises NotFound, Forbidden for another's account, Invalid
    for a wrong password, TooMany (see `guessing`), and Conflict for accounts of the staff and of
    former moderators: these stay in the audit log.
    """
    if account_id != by_id:
        if reads.visible({account_id}):
            raise Forbidden("This is not your account.")
        raise NotFound(NO_USER)
    account = _active(account_id)
    _check_password(account, password, session_id=session_id, field="password")
    with transaction.atomic():
        delete_locked(lock_active(account_id))


def delete_locked(account: Account) -> None:
    """Delete a locked account: at once it is invisible, and its sessions end."""
    if account.is_staff or LogEntry.objects.filter(user_id=account.pk).exists():
        raise Conflict(OF_STAFF)
    Account.objects.filter(id=account.pk).update(deleted_at=Now())
    rereads.note_author(account.pk)
    account.end_sessions()
    publish(AccountDeleted(account_id=account.pk))


def refresh_cards(ids: Collection[int]) -> None:
    """Refresh the cards of users whose counts changed. Raises redis.RedisError."""
    cards.replace_cards(reads.fresh_cards(ids))


def _active(account_id: int) -> Account:
    account = Account.objects.filter(VISIBLE, id=account_id).first()
    if account is None:
        raise Unauthenticated("The account is gone.")
    return account


def lock_active(account_id: int) -> Account:
    """Return the account, locked until the transaction ends. Raises Unauthenticated."""
    account = Account.objects.select_for_update(no_key=True).filter(VISIBLE, id=account_id).first()
    if account is None:
        raise Unauthenticated("The account is gone.")
    return account


def lock_present(account_id: int) -> Account:
    """Return the account, suspended or not, locked until the transaction ends. Raises NotFound."""
    account = (
        Account.objects.select_for_update(no_key=True)
        .filter(id=account_id, deleted_at__isnull=True)
        .first()
    )
    if account is None:
        raise NotFound(NO_USER)
    return account


def _check_password(account: Account, password: str, *, session_id: int, field: str) -> None:
    with hashing.place():
        failures = guessing.begin_check(session_id=session_id)
        is_right = account.check_password(password)
    if not is_right:
        raise Invalid("The password is wrong.", field=field, kind=Kind.WRONG_PASSWORD)
    if failures:
        limits.reset_count(failures)


def _check_strength(password: str, *, account: Account) -> None:
    try:
        validate_password(password, user=account)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), field="password") from error


@contextmanager
def taking(*, username: str | None = None, email: str | None = None) -> Iterator[None]:
    """Raise Conflict when the block writes a value that is taken, or reserved (see `reserved`).

    A unique constraint refuses what is taken, which settles races too. Reservations are looked up
    after the write. The error does not tell one from the other.
    """
    try:
        # A savepoint: the caller's transaction goes on, or rolls back as it likes.
        with transaction.atomic():
            yield
            if reserved.is_reserved("username", username):
                raise _username_taken()
            if reserved.is_reserved("email", email):
                raise _email_taken()
    except IntegrityError as error:
        constraint = violated_constraint(error)
        if constraint == USERNAME_UNIQUE:
            raise _username_taken() from error
        if constraint == EMAIL_UNIQUE:
            raise _email_taken() from error
        raise


def _username_taken() -> Conflict:
    return Conflict("This username is taken.", field="username", kind=Kind.USERNAME_TAKEN)


def _email_taken() -> Conflict:
    return Conflict("This e-mail address is taken.", field="email", kind=Kind.EMAIL_TAKEN)
