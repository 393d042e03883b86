"""Counters that many may change at once: totals in one table, changes appended to another.

A writer appends a delta row in its own transaction and waits for nobody; `fold` adds the deltas to
the totals, a few at a time. Total plus pending deltas is exact at any moment.
"""

from collections.abc import Sequence

from django.db import connection, models


def fold(
    *,
    totals: type[models.Model],
    deltas: type[models.Model],
    key: str,
    fields: Sequence[str],
    limit: int = 5_000,
) -> list[int]:
    """Move up to `limit` of the oldest deltas into the totals, in one statement.

    `key` is the column, in both tables, that says whose counters they are; it is unique in
    `totals`. Concurrent folds share the work (SKIP LOCKED). Returns whose deltas were moved, by
    `key`.
    """
    total_table, delta_table = totals._meta.db_table, deltas._meta.db_table
    names = ", ".join(fields)
    sums = ", ".join(f"sum({field}) AS {field}" for field in fields)
    added = ", ".join(f"{field} = {total_table}.{field} + excluded.{field}" for field in fields)
    # Ordered by key, so that two folds that meet on several totals lock them in the same order.
    statement = f"""
        WITH due AS (
            DELETE FROM {delta_table} WHERE id IN (
                SELECT id FROM {delta_table} ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
            RETURNING {key}, {names}),
        added AS (
            INSERT INTO {total_table} ({key}, {names})
            SELECT {key}, {sums} FROM due GROUP BY {key} ORDER BY {key}
            ON CONFLICT ({key}) DO UPDATE SET {added})
        SELECT DISTINCT {key} FROM due"""
    with connection.cursor() as cursor:
        cursor.execute(statement, [limit])
        return [row[0] for row in cursor.fetchall()]
