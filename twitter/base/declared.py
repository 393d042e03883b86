"""What a subject declares: its share of what cuts across all subjects.

Each app lists its subjects in `declares.py`. The code that exports or erases an account goes
through that list, and names no subject.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models

Row = dict[str, Any]
# Rows that one step of erasing takes, at most.
STEP = 500


@dataclass(frozen=True, kw_only=True)
class Export:
    """A list in the export of an account.

    `rows` takes the account's id, and yields rows, newest first, without holding them all.
    `described_by` is the serializer class that describes a row in the API's description; `example`
    are rows of the example there.
    """

    name: str
    rows: Callable[[int], Iterator[Row]]
    described_by: Any
    example: Sequence[Row]
    help_text: str = ""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a subject has of an account, and how it goes when the account is deleted.

    `erase`: each takes the account's id, and one bounded step in a transaction of its own; it
    returns how much it found. They are called until they find nothing.
    `others_words`: models and columns of what people write. It may mention anybody, so a deleted
    account may still be named there. `others_words_cached`: prefixes of the keys in Redis that
    hold such words.
    """

    exports: Sequence[Export] = ()
    erase: Sequence[Callable[[int], int]] = ()
    others_words: Sequence[tuple[type[models.Model], str]] = ()
    others_words_cached: Sequence[str] = ()


def delete_some(rows: models.QuerySet[Any]) -> int:
    """Delete up to STEP of the rows; return how many."""
    deleted, _ = rows.filter(pk__in=rows.values("pk")[:STEP]).delete()
    return deleted
