"""Sending what is due to Celery."""

import json

from celery import current_app
from django.db import connection

from twitter.outbox.models import Delivery

# A delivery that is not settled by then is sent again, in case the broker lost it; the wait doubles
# with every send (up to 64 times), so that a long queue is not flooded with repeats.
RESEND_SECONDS = 60

_CLAIM = f"""
    UPDATE {Delivery._meta.db_table} SET
        sends = least(sends + 1, 1000),
        due_at = now() + make_interval(secs => {RESEND_SECONDS} * 2 ^ least(sends, 6))
    WHERE id IN (
        SELECT id FROM {Delivery._meta.db_table}
        WHERE due_at <= now() AND failed_at IS NULL
        ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED)
    RETURNING id, task, payload"""


def send_due(*, limit: int = 500) -> int:
    """Send up to `limit` due deliveries, oldest first; returns how many.

    They are claimed before they are sent: should the process die in between, they are sent when
    they are due again. Raises kombu's OperationalError when the broker is out of reach; what was
    claimed is then due at once.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [limit])
        claimed = sorted((row[0], row[1], json.loads(row[2])) for row in cursor.fetchall())
    for position, (delivery_id, name, payload) in enumerate(claimed):
        try:
            current_app.tasks[name].apply_async(
                kwargs={**payload, "delivery_id": delivery_id}, retry=False
            )
        except Exception:
            unsent = [row[0] for row in claimed[position:]]
            _due_again(unsent)
            raise
    return len(claimed)


def _due_again(ids: list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {Delivery._meta.db_table} SET due_at = now(), sends = greatest(sends - 1, 0)"
            " WHERE id = ANY(%s)",
            [ids],
        )
