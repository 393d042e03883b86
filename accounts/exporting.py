"""What is stored of an account, as plain dicts, for whom it belongs to. Reads Postgres only."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q, QuerySet

from accounts.models import Account, Follow, ImportedAccount, PopularAuthor, Session
from twitter.base.admin import audit
from twitter.base.data import keyset
from twitter.base.data.ids import time_of

Row = dict[str, Any]


def profile(account_id: int) -> Row | None:
    """Return the account itself, suspended or not; None when it is deleted or never was."""
    account = Account.objects.filter(id=account_id, deleted_at__isnull=True).first()
    if account is None:
        return None
    imported = ImportedAccount.objects.filter(account_id=account_id).first()
    permissions = account.user_permissions.values_list("content_type__app_label", "codename")
    return {
        "id": str(account.pk),
        "username": account.username,
        "name": account.name,
        "bio": account.bio,
        "email": account.email,
        "created_at": account.created_at,
        "suspended_at": account.suspended_at,
        "last_admin_login_at": account.last_login,
        "is_staff": account.is_staff,
        "is_superuser": account.is_superuser,
        "groups": sorted(account.groups.values_list("name", flat=True)),
        "permissions": sorted(".".join(permission) for permission in permissions),
        "token_generation": account.token_generation,
        "home_changed_at": account.home_changed_at,
        "followers_homes_changed_at": account.followers_homes_changed_at,
        "is_popular": PopularAuthor.objects.filter(account_id=account_id).exists(),
        "imported_as": imported and str(imported.external_id),
    }


def _sessions(account_id: int) -> Iterator[Row]:
    sessions = Session.objects.filter(account_id=account_id)
    for number, expires_at, revoked_at in keyset.walk(sessions, "expires_at", "revoked_at"):
        yield {
            "id": str(number),
            "created_at": time_of(number),
            "expires_at": expires_at,
            "revoked_at": revoked_at,
        }


def _following(account_id: int) -> Iterator[Row]:
    return _neighbours(Follow.objects.filter(follower_id=account_id), "followed")


def _followers(account_id: int) -> Iterator[Row]:
    return _neighbours(Follow.objects.filter(followed_id=account_id), "follower")


def _neighbours(follows: QuerySet[Follow], side: str) -> Iterator[Row]:
    """Yield who is on a side of the follows; who is deleted is gone, who is suspended has no name.

    The names are public, the suspension is not for us to tell.
    """
    present = follows.filter(**{f"{side}__deleted_at__isnull": True})
    fields = (f"{side}_id", f"{side}__username", f"{side}__suspended_at")
    for number, account_id, username, suspended_at in keyset.walk(present, *fields):
        yield {
            "id": str(account_id),
            "username": None if suspended_at else username,
            "since": time_of(number),
        }


def audit_entries(account_id: int) -> QuerySet[LogEntry]:
    """Return what moderators noted about an account and about its follows."""
    about_follow = Q(content_type=ContentType.objects.get_for_model(Follow)) & (
        Q(object_repr__startswith=f"{account_id} follows ")
        | Q(object_repr__endswith=f" follows {account_id}")
    )
    return audit.about(Account, [account_id]) | LogEntry.objects.filter(about_follow)


def _audit_log(account_id: int) -> Iterator[Row]:
    return audit.rows(audit_entries(account_id))


def _moderation(account_id: int) -> Iterator[Row]:
    return audit.rows(LogEntry.objects.filter(user_id=account_id))


LISTS: Mapping[str, Callable[[int], Iterator[Row]]] = {
    "sessions": _sessions,
    "following": _following,
    "followers": _followers,
    "audit_log": _audit_log,
    "moderation": _moderation,
}
