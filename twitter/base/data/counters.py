"""Counters that many may change at once: totals in one table, changes appended to another.

A writer appends a delta row in its own transaction and waits for no other writer; `fold` adds the
deltas to the totals, a few at a time. Total plus pending deltas is exact at any moment.

A counter is declared by a field of that name in both models. In the deltas it has `db_default=0`,
so that a writer names only what it changes.
"""

from typing import NamedTuple

from django.db import connection, models


class Sums(NamedTuple):
    """SQL: the columns with the counters, in the order of `names`, and the joins they need."""

    columns: str
    joins: str


def names(totals: type[models.Model]) -> list[str]:
    """Return the names of the counters in a model of totals: all fields but its key."""
    return [field.name for field in totals._meta.fields if not field.primary_key]


def sums(totals: type[models.Model], deltas: type[models.Model], *, key: str, of: str) -> Sums:
    """Return SQL for the exact counters of the row `of`, such as `tweet.id`, in one snapshot.

    `key` is as for `fold`. A fold moves numbers from one table to the other; a snapshot sees either
    the whole fold or nothing of it.
    """
    fields = names(totals)
    pending = ", ".join(f"sum({field})::bigint AS {field}" for field in fields)
    return Sums(
        columns=", ".join(
            f"coalesce(total.{field}, 0) + coalesce(pending.{field}, 0)" for field in fields
        ),
        joins=f"""LEFT JOIN {totals._meta.db_table} AS total ON total.{key} = {of}
            CROSS JOIN LATERAL (
                SELECT {pending} FROM {deltas._meta.db_table} WHERE {key} = {of}) AS pending""",
    )


def fold(
    *, totals: type[models.Model], deltas: type[models.Model], key: str, limit: int = 5_000
) -> list[int]:
    """Move up to `limit` of the oldest deltas into the totals, in one statement.

    `key` is the column, in both tables, that says whose counters they are; it is unique in
    `totals`. Concurrent folds share the work (SKIP LOCKED). Returns the keys of the deltas that
    were moved.
    """
    total_table, delta_table = totals._meta.db_table, deltas._meta.db_table
    fields = names(totals)
    columns = ", ".join(fields)
    added_up = ", ".join(f"sum({field}) AS {field}" for field in fields)
    added = ", ".join(f"{field} = {total_table}.{field} + excluded.{field}" for field in fields)
    # Ordered by key, so that two folds that meet on several totals lock them in the same order.
    statement = f"""
        WITH due AS (
            DELETE FROM {delta_table} WHERE id = ANY (ARRAY(
                SELECT id FROM {delta_table} ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED))
            RETURNING {key}, {columns}),
        added AS (
            INSERT INTO {total_table} ({key}, {columns})
            SELECT {key}, {added_up} FROM due GROUP BY {key} ORDER BY {key}
            ON CONFLICT ({key}) DO UPDATE SET {added})
        SELECT DISTINCT {key} FROM due"""
    with connection.cursor() as cursor:
        cursor.execute(statement, [limit])
        return [row[0] for row in cursor.fetchall()]
