"""What the admin pages of all apps share: lists of millions, and acts that need a reason."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from twitter.base import characters
from twitter.base.http.errors import DomainError

# Rows that paging can reach; a search finds the others.
COUNTED_ROWS = 10_000
MAX_SELECTED = 100
MAX_REASON = 500


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """Counts COUNTED_ROWS rows at most, so that a list of millions costs no full count."""

    @cached_property
    def count(self) -> int:
        """The number of rows that paging can reach."""
        rows: Any = self.object_list
        counted: int = rows.order_by()[:COUNTED_ROWS].count()
        return counted


class OfferedLookupsOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Refuses (400) a filter in a list's address that the page does not offer.

    Django takes any lookup of any field, and hands the value on. A year that is no number, or a
    regular expression that PostgreSQL does not understand, is a 500 then; other lookups may take
    long.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        offered = {getattr(each, "parameter_name", None) for each in self.list_filter}
        return lookup in offered


class BigTableAdmin(OfferedLookupsOnly):
    """Base of the admin pages of large tables. Subclasses order by an indexed column."""

    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # they count the whole table for each filter
    list_per_page = 50
    ordering = ("-pk",)


class ReadOnlyAdmin(BigTableAdmin):
    """Shows a table whose rows cannot be added, changed or deleted."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LineField(forms.CharField):
    """A line of text that others read; see `characters`."""

    normalize = staticmethod(characters.line)

    def to_python(self, value: Any) -> Any:
        return self.normalize(super().to_python(value) or "", most=self.max_length or 0)


class LinesField(LineField):
    """Lines of text that others read; see `characters`."""

    normalize = staticmethod(characters.lines)


class ReasonForm(forms.Form):
    """Why something is done."""

    reason = LinesField(
        max_length=MAX_REASON,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField", "autofocus": True}),
    )

    def __init__(self, data: Any, *, help_text: str) -> None:
        super().__init__(data)
        self.fields["reason"].help_text = help_text


Act = Callable[[HttpRequest, Any, str], None]
# Returns what is wrong, for each object that was left as it is.
ActOnAll = Callable[[HttpRequest, Sequence[Any], str], Mapping[Any, str]]


def moderator_id(request: HttpRequest) -> int:
    """Return the id of the account that uses the admin."""
    account_id: int = request.user.pk  # type: ignore[assignment]  # the admin is for accounts only
    return account_id


def on_each(act: Act) -> ActOnAll:
    """Return a function that calls `act(request, object, reason)` for each object.

    A DomainError for one object does not stop the others.
    """

    def act_on_all(request: HttpRequest, selected: Sequence[Any], reason: str) -> dict[Any, str]:
        wrong = {}
        for target in selected:
            try:
                act(request, target, reason)
            except DomainError as error:
                wrong[target] = error.detail
        return wrong

    return act_on_all


def reason_action(
    *,
    name: str,
    description: str,
    permissions: Sequence[str],
    act: ActOnAll,
    help_text: str = "Goes into the audit log.",
) -> Any:
    """Return an admin action that asks for a reason before it acts.

    `name`: the action's, unique within a page. `help_text` says where the reason goes.
    `act(request, objects, reason)` is called with the selected objects, at most MAX_SELECTED. The
    page shows what it returns: the objects that were left as they are, and why.
    """

    @admin.action(description=description, permissions=permissions)
    def action(
        page: "admin.ModelAdmin[Any]", request: HttpRequest, queryset: "QuerySet[Model]"
    ) -> HttpResponse | None:
        selected = list(queryset[: MAX_SELECTED + 1])
        if len(selected) > MAX_SELECTED:
            page.message_user(request, f"Select {MAX_SELECTED} at most.", messages.ERROR)
            return None
        form = ReasonForm(request.POST if "reason" in request.POST else None, help_text=help_text)
        if form.is_valid():
            wrong = act(request, selected, form.cleaned_data["reason"])
            for target, reason in wrong.items():
                page.message_user(request, f"{target}: {reason}", messages.ERROR)
            if done := len(selected) - len(wrong):
                page.message_user(request, f"Done for {done}.", messages.SUCCESS)
            return None
        context = {
            **page.admin_site.each_context(request),
            "title": description.rstrip("…"),
            "opts": page.opts,
            "objects": selected,
            "form": form,
            "action": name,
            "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/reason.html", context)

    action.__name__ = name
    return action
