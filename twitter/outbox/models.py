"""What waits to be done."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Cast, Now


class Delivery(models.Model):
    """One task that must run because of one event; the row goes away when the task is done."""

    event = models.CharField(max_length=100)
    task = models.CharField(max_length=100)
    payload = models.JSONField(help_text="The event's fields, and what a step of the task kept.")
    created_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(db_default=Now(), help_text="When to send it (again).")
    sends = models.PositiveSmallIntegerField(default=0, help_text="How often it was sent.")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="How often it was begun.")
    last_error = models.TextField(blank=True, default="")
    failed_at = models.DateTimeField(
        null=True, blank=True, help_text="Set when it is a dead letter, given up until retried."
    )

    traceparent = models.CharField(
        max_length=55,
        null=True,
        blank=True,
        help_text="The span that caused it, when it is traced (W3C Trace Context).",
    )

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = (
            models.Index(
                fields=("due_at",), name="outbox_due", condition=Q(failed_at__isnull=True)
            ),
            models.Index(
                fields=("failed_at",), name="outbox_failed", condition=Q(failed_at__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return f"{self.task} for {self.event}"

    @classmethod
    def delete_dead_letters(cls, number: int) -> None:
        """Delete the dead letters about an object that is gone for good; `number` is its id."""
        failed = cls.objects.filter(failed_at__isnull=False)
        text = Cast("payload", models.TextField())
        failed.alias(text=text).filter(text__regex=rf"\y{number}\y").delete()

    def retry(self) -> None:
        """Make it due now, with the full number of attempts."""
        Delivery.objects.filter(id=self.pk).update(
            failed_at=None, attempts=0, sends=0, due_at=Now()
        )
