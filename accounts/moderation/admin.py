"""The admin of accounts and follows, and the audit log."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.forms import BaseUserCreationForm
from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from accounts.models import Account, Follow
from accounts.moderation import services
from accounts.people import reads
from accounts.people import services as people_services
from accounts.validators import MAX_BIO, MAX_EMAIL, MAX_NAME, USERNAME_PATTERN
from twitter.base import characters
from twitter.base.admin.reasons import (
    MAX_REASON,
    BigTableAdmin,
    LineField,
    LinesField,
    OfferedLookupsOnly,
    ReadOnlyAdmin,
    moderator_id,
    on_each,
    reason_action,
)
from twitter.base.http.errors import DomainError, Forbidden

PRIVILEGES = ("is_staff", "is_superuser", "groups")


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """What the admin's forms of an account have in common: the rules of the API."""

    name = LineField(max_length=MAX_NAME, required=False, help_text="Empty: the username is shown.")

    def clean_email(self) -> str | None:
        """Refuse an address that looks like another."""
        email = self.cleaned_data["email"]
        return characters.word(email, most=MAX_EMAIL) if email else None


class AccountAddForm(ProfileForm, BaseUserCreationForm):  # type: ignore[type-arg]
    """A new account, for somebody of the staff perhaps."""

    class Meta:
        model = Account
        fields: ClassVar[Any] = ("username", "email", "name")


class AccountForm(ProfileForm):
    """Changes of an account by a moderator."""

    bio = LinesField(max_length=MAX_BIO, required=False, widget=forms.Textarea(attrs={"rows": 3}))
    reason = LineField(max_length=MAX_REASON, help_text="Goes into the audit log.")

    class Meta:
        model = Account
        fields: ClassVar[Any] = ("username", "name", "bio", "email", *PRIVILEGES)


class SuspendedFilter(admin.SimpleListFilter):
    """Only the suspended ones, by an index of their own."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("suspended", "Suspended"), ("staff", "Staff")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "suspended":
            return queryset.filter(suspended_at__isnull=False)
        if self.value() == "staff":
            return queryset.filter(is_staff=True)
        return queryset


def _suspend(request: HttpRequest, account: Account, reason: str) -> None:
    if account.is_staff and not request.user.is_superuser:
        raise Forbidden("Only a superuser suspends somebody of the staff.")
    services.suspend(account_id=account.pk, by_id=moderator_id(request), reason=reason)


def _lift(request: HttpRequest, account: Account, reason: str) -> None:
    services.lift(account_id=account.pk, by_id=moderator_id(request), reason=reason)


def _delete(request: HttpRequest, account: Account, reason: str) -> None:
    services.delete_as_admin(account_id=account.pk, by_id=moderator_id(request), reason=reason)


def _remove_follow(request: HttpRequest, follow: Follow, reason: str) -> None:
    services.remove_follow(follow_id=follow.pk, by_id=moderator_id(request), reason=reason)


@admin.register(Account)
class AccountAdmin(BigTableAdmin):
    """Search, suspend, lift, correct; and for superusers, delete."""

    list_display = ("username", "name", "email", "is_staff", "suspended_at", "created_at")
    list_filter = (SuspendedFilter,)
    search_fields = ("username",)
    search_help_text = "The beginning of a username, or a whole e-mail address."
    actions = (
        reason_action(
            name="suspend", description="Suspend…", permissions=["change"], act=on_each(_suspend)
        ),
        reason_action(
            name="lift",
            description="Lift the suspension…",
            permissions=["change"],
            act=on_each(_lift),
        ),
        reason_action(
            name="delete_accounts",
            description="Delete for ever…",
            permissions=["erase"],
            act=on_each(_delete),
            help_text="Stays in the audit log for ever, without the account: write no name.",
        ),
    )
    form = AccountForm
    filter_horizontal = ("groups",)
    readonly_fields = ("id", "created_at", "suspended_at", "deleted_at", "last_login")

    def get_form(
        self,
        request: HttpRequest,
        obj: Any = None,
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        **options: Any,
    ) -> Any:
        if obj is None:
            options["form"] = AccountAddForm
        return super().get_form(request, obj, change, **options)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ("username", "email", "name", "password1", "password2")
        return ("username", "name", "bio", "email", *PRIVILEGES, *self.readonly_fields, "reason")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ()
        mine = () if request.user.is_superuser else PRIVILEGES
        return (*self.readonly_fields, *mine)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        if obj is not None and obj.is_staff and not request.user.is_superuser:
            return False
        return allowed and (obj is None or obj.deleted_at is None)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_erase_permission(self, request: HttpRequest) -> bool:
        """Tell whether accounts may be deleted."""
        return request.user.is_active and request.user.is_superuser

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by an index: the beginning of a username, or a whole e-mail address."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if "@" in term[1:]:
            return queryset.alias(lower=Lower("email")).filter(lower=Lower(Value(term))), False
        name = term.removeprefix("@")
        if not USERNAME_PATTERN.match(name):
            return queryset.none(), False
        by_name = queryset.alias(lower=Lower("username"))
        return by_name.filter(lower__startswith=name.lower()), False

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show what a service refuses, such as a username that was taken a moment ago."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DomainError as error:
            self.message_user(request, error.detail, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def save_model(
        self,
        request: HttpRequest,
        obj: Account,
        form: Any,
        change: bool,  # noqa: FBT001 - Django's signature
    ) -> None:
        if change:
            stored = {name for name in form.changed_data if name not in ("groups", "reason")}
            changes = {name: form.cleaned_data[name] for name in stored}
            people_services.moderate(account_id=obj.pk, changes=changes)
        else:
            with people_services.taking(username=obj.username, email=obj.email):
                obj.save()

    def construct_change_message(
        self,
        request: HttpRequest,
        form: Any,
        formsets: Any,
        add: bool = False,  # noqa: FBT001, FBT002 - Django's signature
    ) -> Any:
        """Say what was changed and why."""
        if add:
            return super().construct_change_message(request, form, formsets, add)
        changed = ", ".join(name for name in form.changed_data if name != "reason")
        return f"Changed {changed or 'nothing'}: {form.cleaned_data['reason']}"


@admin.register(Follow)
class FollowAdmin(ReadOnlyAdmin):
    """Who follows whom."""

    list_display = ("id", "follower", "followed", "followed_at")
    list_select_related = ("follower", "followed")
    search_fields = ("follower",)
    search_help_text = "A whole username: whom it follows, and who follows it."
    actions = (
        reason_action(
            name="remove_follow",
            description="Remove the follow…",
            permissions=["moderate"],
            act=on_each(_remove_follow),
        ),
    )

    @admin.display(description="since")
    def followed_at(self, follow: Follow) -> Any:
        """When it began, which the id tells."""
        return follow.created_at

    def has_moderate_permission(self, request: HttpRequest) -> bool:
        """Tell whether follows may be removed; no confirmation page knows of cascades here."""
        return request.user.has_perm("accounts.delete_follow")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by index all follows of one account."""
        term = search_term.strip().removeprefix("@")
        if not term:
            return queryset, False
        account_id = reads.resolve_username(term)
        return queryset.filter(Q(follower=account_id) | Q(followed=account_id)), False


admin.site.unregister(Group)


@admin.register(Group)
class GroupsAdmin(OfferedLookupsOnly, GroupAdmin):
    """Groups of accounts, and the privileges of their members."""


@admin.register(LogEntry)
class AuditLogAdmin(ReadOnlyAdmin):
    """Who changed what, when and why."""

    list_display = ("action_time", "user", "content_type", "object_repr", "why")
    list_select_related = ("user", "content_type")
    list_display_links = None

    @admin.display(description="what and why")
    def why(self, entry: LogEntry) -> str:
        """The reason that was given."""
        return entry.get_change_message()
