"""What people declare: the account itself, and what moderators noted of it."""

from collections.abc import Iterator

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Q, QuerySet

from accounts.declared import Subject
from accounts.models import (
    Account,
    AccountCounterDelta,
    AccountCounters,
    Follow,
    ImportedAccount,
    PopularAuthor,
)
from accounts.people import cards
from twitter.base.admin import audit
from twitter.base.declared import Export, Row


def profile(account_id: int) -> Row | None:
    """Return the account itself, suspended or not; None when it is deleted or never existed."""
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


def _drop_counters(account_id: int) -> None:
    """Delete counters once more: no constraint prevents that some are added after the purge."""
    for model in COUNTERS:
        model._default_manager.filter(account_id=account_id).delete()


COUNTERS = (AccountCounterDelta, AccountCounters)

SUBJECT = Subject(
    others_words=((Account, "name"), (Account, "bio")),
    others_words_cached=(cards.CARDS.prefix,),
    exports=(
        Export(
            name="audit_log",
            rows=_audit_log,
            described_by=audit.ExportedAuditEntrySerializer,
            example=[],
            help_text="About the account and its follows.",
        ),
        Export(
            name="moderation",
            rows=_moderation,
            described_by=audit.ExportedAuditEntrySerializer,
            example=[],
            help_text="What the account did as a moderator.",
        ),
    ),
    rows=(*COUNTERS, ImportedAccount),
    sweep=(_drop_counters, cards.drop),
)
