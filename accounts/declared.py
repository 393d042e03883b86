"""What a subject of accounts declares, besides what every subject does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import models

from twitter.base import declared


@dataclass(frozen=True, kw_only=True)
class Subject(declared.Subject):
    """What goes with an account's own row, and after it.

    `rows`: models with an `account_id` of which an account has few rows. They go together with the
    account's own row.
    `sweep`: each takes the account's id, and clears away what no constraint protects, when the
    account's row is gone. May raise redis.RedisError, and is then called again.
    """

    rows: Sequence[type[models.Model]] = ()
    sweep: Sequence[Callable[[int], None]] = ()
