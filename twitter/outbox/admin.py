"""The outbox in the admin: what waits, what failed, and another try."""

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from twitter.base.admin import audit
from twitter.base.admin.reasons import ReadOnlyAdmin, moderator_id
from twitter.outbox.events import nudge
from twitter.outbox.models import Delivery


class StateFilter(admin.SimpleListFilter):
    """Waiting or given up, each by an index of its own."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("waiting", "Waiting"), ("failed", "Failed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        return queryset.filter(failed_at__isnull=self.value() == "waiting")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Deliveries that are not done; one that is done has no row any more."""

    list_display = ("id", "event", "task", "created_at", "due_at", "attempts", "failed_at", "error")
    list_filter = (StateFilter,)
    actions = ("retry",)

    @admin.display(description="last error")
    def error(self, delivery: Delivery) -> str:
        """The beginning of the last error."""
        return delivery.last_error[:100]

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Tell whether deliveries may be tried again."""
        return request.user.has_perm("outbox.change_delivery")

    @admin.action(description="Try again now", permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        """Send the selected deliveries again, with the full number of attempts."""
        with transaction.atomic():
            deliveries = list(queryset.select_for_update())
            for delivery in deliveries:
                delivery.retry()
                audit.record(
                    by_id=moderator_id(request),
                    target=delivery,
                    action="Tried again",
                    reason=delivery.last_error or "waiting",
                )
            transaction.on_commit(nudge)
        self.message_user(request, f"{len(deliveries)} sent again.", messages.SUCCESS)
