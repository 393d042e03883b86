"""Reading accounts."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db import connection
from django.db.models.functions import Lower

from accounts.models import Account, AccountCounterDelta, AccountCounters, ImportedAccount
from accounts.people.cards import Card, fetch_cards, render_card, store_cards
from accounts.validators import USERNAME_PATTERN
from twitter.base.data import counters, stamped
from twitter.base.observe import metrics


@dataclass(frozen=True)
class Profile:
    """An account with its exact counts. If it is not visible, only `id` and `read_at` count."""

    id: int
    username: str | None  # None: the account is not visible
    name: str
    bio: str
    email: str | None
    read_at: int  # microseconds of PostgreSQL's clock
    # The counters, in the order of `AccountCounters`.
    followers_count: int
    following_count: int
    tweet_count: int


_SUMS = counters.sums(AccountCounters, AccountCounterDelta, key="account_id", of="account.id")
# A row for each id that is asked for, visible or not: each says when PostgreSQL was read.
_PROFILES = f"""
    SELECT wanted.id, username, name, bio, email, {stamped.NOW}, {_SUMS.columns}
    FROM unnest(%s::bigint[]) AS wanted (id)
    LEFT JOIN accounts_account AS account
        ON account.id = wanted.id AND suspended_at IS NULL AND deleted_at IS NULL
    {_SUMS.joins}"""


def profiles(ids: Collection[int]) -> dict[int, Profile]:
    """Return the visible ones among these accounts, from PostgreSQL in one query."""
    return {row.id: row for row in _profiles(ids) if row.username is not None}


def _profiles(ids: Collection[int]) -> list[Profile]:
    """Return a profile for each of the accounts. One that is not visible has no username."""
    with connection.cursor() as cursor:
        cursor.execute(_PROFILES, [list(ids)])
        return [Profile(*row) for row in cursor.fetchall()]


def cards(ids: Collection[int]) -> dict[int, bytes]:
    """Return the visible ones among these accounts, as public JSON.

    One round trip to Redis. Cards that are missing there come from PostgreSQL in one query, and are
    then cached.
    """
    found = fetch_cards(ids)
    missing = [account_id for account_id in ids if account_id not in found]
    metrics.looked_up(hits=len(found), misses=len(missing))
    return {number: card for number, card in (found | filled_cards(missing)).items() if card}


def filled_cards(ids: Collection[int]) -> dict[int, bytes]:
    """Return the accounts' public JSON, empty if they are not visible, and cache it."""
    if not ids:
        return {}
    fresh = fresh_cards(ids)
    store_cards(fresh)
    return {account_id: card.body for account_id, card in fresh.items()}


def fresh_cards(ids: Collection[int]) -> dict[int, Card]:
    """Return the accounts' public JSON from PostgreSQL, empty if they are not visible."""
    return {
        profile.id: Card(
            body=render_card(profile) if profile.username is not None else b"",
            read_at=profile.read_at,
        )
        for profile in _profiles(ids)
    }


# SQL: the id of an account, if it is visible; for a statement that must do nothing otherwise.
VISIBLE_ID = """
    SELECT id FROM accounts_account
    WHERE id = %s AND suspended_at IS NULL AND deleted_at IS NULL"""


def visible(ids: Collection[int]) -> set[int]:
    """Return which of the accounts exist and are neither suspended nor deleted."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM accounts_account"
            " WHERE id = ANY(%s) AND suspended_at IS NULL AND deleted_at IS NULL",
            [list(ids)],
        )
        return {row[0] for row in cursor.fetchall()}


def resolve_username(username: str) -> int | None:
    """Return the id of the account of that name, in whatever case, visible or not."""
    if not USERNAME_PATTERN.match(username):
        return None
    named = Account.objects.alias(lower=Lower("username")).filter(lower=username.lower())
    return named.values_list("id", flat=True).first()


def all_ids(*, after: int, limit: int) -> list[int]:
    """Return up to `limit` account ids > `after`, in order, visible or not."""
    ids = Account.objects.filter(id__gt=after).order_by("id").values_list("id", flat=True)
    return list(ids[:limit])


def imported_ids(*, after: int, limit: int) -> list[int]:
    """Return up to `limit` ids > `after`, in order, of accounts that an import made."""
    imported = ImportedAccount.objects.filter(account_id__gt=after).order_by("account_id")
    return list(imported.values_list("account_id", flat=True)[:limit])
