"""Deleting rows whose time is over, so many at a time."""

from typing import Any

from django.db.models import QuerySet

STEP = 5_000


def delete_step(*expired: QuerySet[Any]) -> bool:
    """Delete up to STEP rows of each query; return whether there may be more.

    Where the time stands needs an index, or each step reads the whole table.
    """
    return any([_delete_some(rows) for rows in expired])  # a list: each takes its step


def _delete_some(rows: QuerySet[Any]) -> bool:
    some = rows.values("pk")[:STEP]
    deleted, _ = rows.model._base_manager.filter(pk__in=some).delete()
    return deleted >= STEP
