"""Accounts, their counters, and what is reserved or imported.

Foreign keys do nothing on delete: rows go in bounded steps (`accounts.purging`), and the constraint
in the database refuses to let an account go while anything still points at it.
"""

from datetime import datetime
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Lower

from accounts.events import SessionsRevoked
from accounts.sessions.models import Session
from accounts.validators import MAX_BIO, MAX_NAME, validate_username_pattern
from twitter.base.data.ids import IdField, time_of
from twitter.outbox.events import publish

USERNAME_UNIQUE = "accounts_username_unique"
EMAIL_UNIQUE = "accounts_email_unique"
# Accounts that others can see.
VISIBLE = Q(suspended_at__isnull=True, deleted_at__isnull=True)


class AccountManager(BaseUserManager["Account"]):
    """Finds and makes accounts the way that Django's auth expects."""

    def get_by_natural_key(self, username: str | None) -> "Account":
        """Return the account of that name, in whatever case; raises Account.DoesNotExist."""
        return self.alias(lower=Lower("username")).get(lower=(username or "").lower())

    def create_user(
        self, username: str, *, password: str | None = None, **fields: Any
    ) -> "Account":
        """Store an account. Without a password, no one can log in to it.

        Raises IntegrityError when username or email is taken.
        """
        account = self.model(username=username, **fields)
        account.set_password(password)
        account.save(using=self._db, force_insert=True)
        return account

    def create_superuser(self, username: str, *, password: str, **fields: Any) -> "Account":
        """Store an account that may do everything in the admin."""
        return self.create_user(
            username, password=password, **{**fields, "is_staff": True, "is_superuser": True}
        )


class Account(AbstractBaseUser, PermissionsMixin):
    """A person. Suspended or deleted, it is invisible to everyone and cannot log in."""

    id = IdField()
    # Collation C: ASCII only, and a prefix search can use the index over lower(username).
    username = models.CharField(
        max_length=15, db_collation="C", validators=[validate_username_pattern]
    )
    email = models.EmailField(null=True, blank=True)
    name = models.CharField(
        max_length=MAX_NAME, blank=True, help_text="When it is empty, the username is shown."
    )
    bio = models.CharField(max_length=MAX_BIO, blank=True, default="")
    is_staff = models.BooleanField("may use the admin", default=False)
    suspended_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    # From these, `/timeline/update` knows that a client has to read the home timeline again.
    home_changed_at = models.DateTimeField(null=True, editable=False)
    followers_homes_changed_at = models.DateTimeField(null=True, editable=False)
    token_generation = models.PositiveIntegerField(
        default=0, editable=False, help_text="Raised to make all access tokens invalid."
    )

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["email"]

    objects: ClassVar[AccountManager] = AccountManager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                Lower("username"),
                name=USERNAME_UNIQUE,
                violation_error_message="This username is taken.",
            ),
            models.UniqueConstraint(
                Lower("email"),
                name=EMAIL_UNIQUE,
                violation_error_message="This e-mail address is taken.",
            ),
            models.CheckConstraint(
                condition=Q(username__regex=r"^[A-Za-z0-9_]{1,15}$"),
                name="accounts_username_pattern",
            ),
        )
        indexes = (
            models.Index(
                fields=("suspended_at",),
                name="accounts_suspended",
                condition=Q(suspended_at__isnull=False),
            ),
            models.Index(
                fields=("deleted_at",),
                name="accounts_deleted",
                condition=Q(deleted_at__isnull=False),
            ),
            models.Index(
                fields=("followers_homes_changed_at",),
                name="accounts_homes_changed",
                condition=Q(followers_homes_changed_at__isnull=False),
            ),
            models.Index(fields=("id",), name="accounts_staff", condition=Q(is_staff=True)),
        )

    def __str__(self) -> str:
        return f"@{self.username}"

    def save(self, **options: Any) -> None:
        """Store the account. A new password ends all sessions, in whatever way it is set."""
        # Django keeps a new password there until it is stored, unless it only upgrades the hash.
        replaced = bool(self._password) and not self._state.adding  # type: ignore[attr-defined]
        with transaction.atomic(using=options.get("using")):
            super().save(**options)
            if replaced:
                self.end_sessions()

    def end_sessions(self) -> None:
        """Make all refresh and access tokens invalid, within the running transaction."""
        Account.objects.filter(pk=self.pk).update(token_generation=F("token_generation") + 1)
        Session.objects.filter(account_id=self.pk).delete()
        publish(SessionsRevoked(account_id=self.pk))

    @property
    def is_active(self) -> bool:  # type: ignore[override]
        """Whether it can log in and be seen."""
        return self.suspended_at is None and self.deleted_at is None

    @property
    def created_at(self) -> datetime:
        """When the account was made."""
        return time_of(self.id)


class ReservedLogin(models.Model):
    """A username or an e-mail address of a deleted account, by a keyed digest; see `reserved`."""

    digest = models.CharField(max_length=64, primary_key=True)
    until = models.DateTimeField(db_index=True, help_text="From then on it is free.")

    def __str__(self) -> str:
        return f"reserved until {self.until}"


class ImportedAccount(models.Model):
    """Which account stands for which member of an imported graph."""

    external_id = models.BigIntegerField(primary_key=True, help_text="The id in the graph.")
    account = models.OneToOneField(Account, on_delete=models.DO_NOTHING, related_name="+")

    def __str__(self) -> str:
        return f"{self.external_id} in the graph"


class AccountCounters(models.Model):
    """An account's public numbers, without the deltas that are not folded in yet.

    No database constraint: a delta may be folded just after its account was purged.
    """

    account = models.OneToOneField(
        Account,
        on_delete=models.DO_NOTHING,
        primary_key=True,
        related_name="+",
        db_constraint=False,
    )
    followers_count = models.BigIntegerField(default=0)
    following_count = models.BigIntegerField(default=0)
    tweet_count = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "account counters"

    def __str__(self) -> str:
        return f"counters of {self.account_id}"


class AccountCounterDelta(models.Model):
    """A change of an account's numbers, waiting to be folded into `AccountCounters`."""

    account_id = models.BigIntegerField(db_index=True)
    followers_count = models.IntegerField(db_default=0)
    following_count = models.IntegerField(db_default=0)
    tweet_count = models.IntegerField(db_default=0)

    def __str__(self) -> str:
        return f"change of {self.account_id}"
