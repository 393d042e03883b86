"""Redis against Postgres: is every home what it should be?"""

from dataclasses import dataclass

from timelines.home import build, store
from tweets.facade import id_of


@dataclass(frozen=True)
class Difference:
    """What a home lacks and has too much, as tweet ids."""

    account_id: int
    missing: list[int]
    surplus: list[int]


def difference(account_id: int) -> Difference | None:
    """Compare an account's home with Postgres; None when they agree or there is no home.

    A home must hold exactly those newest entries that are above its floor. How many these are is
    not compared: one that lost entries to deletions is filled up when it is built again.
    """
    home = store.peek(account_id)
    if home is None:
        return None
    home = build.merged(home)  # What popular authors wrote may have expired: it is stored again.
    # One more than a home can hold is enough to see that one is missing.
    expected = build.newest_entries(
        author_ids=build.authors_of(account_id), limit=len(home.entries) + 1
    )
    held = set(home.entries)
    right = {entry for entry in expected if entry[: len(home.floor)] > home.floor}
    if held == right:
        return None
    return Difference(
        account_id=account_id,
        missing=sorted(map(id_of, right - held)),
        surplus=sorted(map(id_of, held - right)),
    )
