"""Reading all rows of a query, however many, in pages by keyset."""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

# Rows that one query fetches.
PAGE = 1_000


def walk(rows: QuerySet[Any], *fields: str, key: str = "id") -> Iterator[tuple[Any, ...]]:
    """Yield `key` and the `fields` of all rows, the highest key first; memory holds one page.

    `key` is unique among the rows. Each page is a query of its own, and no transaction spans them.
    A row that is added meanwhile is not yielded, a row that is deleted meanwhile may be, and no row
    is yielded twice.
    """
    after: Any = None
    while True:
        rest = rows if after is None else rows.filter(**{f"{key}__lt": after})
        page = list(rest.order_by(f"-{key}").values_list(key, *fields)[:PAGE])
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1][0]
