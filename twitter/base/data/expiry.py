"""Deleting expired rows, a bounded number at a time."""

from typing import Any

from django.db.models import QuerySet

STEP = 5_000


def delete_step(*expired: QuerySet[Any]) -> bool:
    """Delete up to STEP rows of each query; return whether there may be more.

    The column with the time needs an index, or each step reads the whole table.
    """
    may_be_more = [_delete_some(rows) for rows in expired]
    return any(may_be_more)


def _delete_some(rows: QuerySet[Any]) -> bool:
    deleted, _ = rows.filter(pk__in=rows.values("pk")[:STEP]).delete()
    return deleted >= STEP
