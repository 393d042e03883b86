"""Reading accounts, their sessions and the follow graph."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from unicodedata import normalize

import psycopg
from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Lower

from accounts import cache
from accounts.cache import AccountState, Card
from accounts.models import Account, Follow, ImportedAccount, PopularAuthor
from accounts.rendering import render_card
from accounts.validators import USERNAME_PATTERN
from twitter.base.data import stamped
from twitter.base.data.ids import MAX_ID
from twitter.base.observe import metrics

VISIBLE = Q(suspended_at__isnull=True, deleted_at__isnull=True)


@dataclass(frozen=True)
class Profile:
    """An account with its exact numbers; of one that is not visible only `id` and `read_at`."""

    id: int
    username: str | None  # None: the account is not visible
    name: str
    bio: str
    email: str | None
    followers_count: int
    following_count: int
    tweet_count: int
    read_at: int  # microseconds of Postgres' clock


@dataclass(frozen=True)
class Neighbour:
    """Someone on a page of followers or followees. `follow_id` is the page's cursor."""

    follow_id: int
    account_id: int


# Totals and pending changes in one statement, hence in one snapshot: folding moves no number. A row
# for each id that is asked for: when PostgreSQL was read is also told of those who are not visible.
_PROFILES = f"""
    SELECT wanted.id, username, name, bio, email,
        coalesce(total.followers_count, 0) + coalesce(pending.followers_count, 0),
        coalesce(total.following_count, 0) + coalesce(pending.following_count, 0),
        coalesce(total.tweet_count, 0) + coalesce(pending.tweet_count, 0),
        {stamped.NOW}
    FROM unnest(%s::bigint[]) AS wanted (id)
    LEFT JOIN accounts_account AS account
        ON account.id = wanted.id AND suspended_at IS NULL AND deleted_at IS NULL
    LEFT JOIN accounts_accountcounters AS total ON total.account_id = account.id
    CROSS JOIN LATERAL (
        SELECT sum(followers_count)::bigint AS followers_count,
            sum(following_count)::bigint AS following_count,
            sum(tweet_count)::bigint AS tweet_count
        FROM accounts_accountcounterdelta WHERE account_id = account.id) AS pending"""


def profiles(ids: Collection[int]) -> dict[int, Profile]:
    """Return those of the accounts that are visible, from PostgreSQL in one query."""
    return {row.id: row for row in _profiles(ids) if row.username is not None}


def _profiles(ids: Collection[int]) -> list[Profile]:
    """Return a profile for each of the accounts, without a username for who is not visible."""
    with connection.cursor() as cursor:
        cursor.execute(_PROFILES, [list(ids)])
        return [Profile(*row) for row in cursor.fetchall()]


def cards(ids: Collection[int]) -> dict[int, bytes]:
    """Return those of the accounts that are visible, as public JSON.

    From Redis in one round trip; what is missing there from PostgreSQL in one query, written back.
    """
    found = cache.fetch_cards(ids)
    missing = [account_id for account_id in ids if account_id not in found]
    metrics.looked_up(hits=len(found), misses=len(missing))
    return {number: card for number, card in (found | filled_cards(missing)).items() if card}


def filled_cards(ids: Collection[int]) -> dict[int, bytes]:
    """Return the accounts' public JSON, empty if they are not visible, and cache it."""
    if not ids:
        return {}
    fresh = fresh_cards(ids)
    cache.store_cards(fresh)
    return {account_id: card.body for account_id, card in fresh.items()}


def fresh_cards(ids: Collection[int]) -> dict[int, Card]:
    """Return the accounts' public JSON from PostgreSQL; an empty one of who is not visible."""
    return {
        profile.id: Card(
            body=render_card(profile) if profile.username is not None else b"",
            read_at=profile.read_at,
        )
        for profile in _profiles(ids)
    }


def account_state(account_id: int) -> AccountState:
    """Return what a token of the account is checked against; inactive if there is no account.

    From Redis in one round trip, else from PostgreSQL in one query, written back.
    """
    state = cache.fetch_state(account_id)
    return state or cache.filled_state(account_id, read=stored_state)


_STATE = f"""
    SELECT account.id IS NOT NULL, token_generation,
        array(SELECT id FROM accounts_session WHERE account_id = wanted.id
            AND revoked_at > statement_timestamp() - %(seconds)s * interval '1 second'),
        {stamped.NOW}
    FROM (SELECT %(account)s::bigint) AS wanted (id)
    LEFT JOIN accounts_account AS account
        ON account.id = wanted.id AND suspended_at IS NULL AND deleted_at IS NULL"""


def stored_state(account_id: int) -> AccountState:
    """Return what a token of the account is checked against, from PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute(_STATE, {"account": account_id, "seconds": settings.ACCESS_TOKEN_SECONDS})
        [(active, generation, revoked, read_at)] = cursor.fetchall()
    return AccountState(
        active=active,
        generation=generation if active else 0,
        revoked=frozenset(revoked) if active else frozenset(),
        read_at=read_at,
    )


def visible(ids: Collection[int]) -> set[int]:
    """Return which of the accounts exist and are neither suspended nor deleted."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM accounts_account"
            " WHERE id = ANY(%s) AND suspended_at IS NULL AND deleted_at IS NULL",
            [list(ids)],
        )
        return {row[0] for row in cursor.fetchall()}


def by_login(login: str) -> Account | None:
    """Return the account with that username or e-mail address, visible or not."""
    if USERNAME_PATTERN.match(login):
        found = Account.objects.alias(lower=Lower("username"))
    elif "@" in login:
        found = Account.objects.alias(lower=Lower("email"))
    else:
        return None
    # Addresses are stored in this normal form.
    return found.filter(lower=Lower(Value(normalize("NFC", login)))).first()


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


@dataclass(frozen=True)
class Followees:
    """Whom an account follows, of those who are visible: their `ids`.

    `popular`: which followees, suspended ones too, are to be merged. When they come back, homes
    that were built meanwhile have them merged already.
    """

    ids: list[int]
    popular: list[int]


def followees(account_id: int) -> Followees:
    """Return whom the account follows, all of them; one query."""
    with connection.cursor() as cursor:
        cursor.execute(_FOLLOWEES, {"follower": account_id})
        [(ids, popular)] = cursor.fetchall()
    return Followees(ids=ids, popular=popular)


_FOLLOWEES = """
    SELECT
        array(SELECT followed_id FROM accounts_follow
            JOIN accounts_account AS account ON account.id = followed_id
            WHERE follower_id = %(follower)s AND suspended_at IS NULL AND deleted_at IS NULL),
        array(SELECT account_id FROM accounts_popularauthor
            JOIN accounts_follow ON followed_id = account_id
            JOIN accounts_account AS account ON account.id = account_id
            WHERE follower_id = %(follower)s AND deleted_at IS NULL)"""


class Reach(Enum):
    """How an author's tweets get to the followers."""

    FAN_OUT = "they are put into the followers' homes"
    BOTH = "followers learn to merge them when they read, and they are put into the homes as well"
    MERGE = "all followers merge them when they read"


def reach_of(account_id: int) -> Reach:
    """Return how the author's tweets get to the followers."""
    popular = PopularAuthor.objects.filter(account_id=account_id).first()
    if popular is None:
        return Reach.FAN_OUT
    return Reach.MERGE if popular.followers_know else Reach.BOTH


def popular_ids() -> list[int]:
    """Return who is popular, visible or not."""
    return list(PopularAuthor.objects.values_list("account_id", flat=True))


def follower_page(*, account_id: int, after: int, limit: int) -> list[int]:
    """Return up to `limit` follower ids > `after`, in order, suspended ones among them."""
    return _id_array(
        """SELECT follower_id FROM accounts_follow WHERE followed_id = %s AND follower_id > %s
            ORDER BY follower_id LIMIT %s""",
        [account_id, after, limit],
    )


def followers_between(*, account_id: int, first: int, last: int) -> list[int]:
    """Return the follower ids from `first` to `last`, in order, suspended ones among them."""
    return _id_array(
        """SELECT follower_id FROM accounts_follow
            WHERE followed_id = %s AND follower_id BETWEEN %s AND %s ORDER BY follower_id""",
        [account_id, first, last],
    )


def _id_array(query: str, parameters: list[int]) -> list[int]:
    """Return the ids that a query selects: one array, binary, takes half the time of many rows."""
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(f"SELECT array({query})", parameters, binary=True)
        row = cursor.fetchone()
    ids: list[int] = row[0] if row else []
    return ids


def followers(*, account_id: int, before: int | None, limit: int) -> list[Neighbour]:
    """Return up to `limit` visible followers, latest first, with follow ids < `before`."""
    page = _page(_follows_of_visible("follower").filter(followed_id=account_id), before, limit)
    return [Neighbour(*row) for row in page.values_list("id", "follower_id")]


def following(*, account_id: int, before: int | None, limit: int) -> list[Neighbour]:
    """Return up to `limit` visible followees, latest first, with follow ids < `before`."""
    page = _page(_follows_of_visible("followed").filter(follower_id=account_id), before, limit)
    return [Neighbour(*row) for row in page.values_list("id", "followed_id")]


def _follows_of_visible(side: str) -> QuerySet[Follow]:
    return Follow.objects.filter(
        **{f"{side}__suspended_at__isnull": True, f"{side}__deleted_at__isnull": True}
    )


def _page(follows: QuerySet[Follow], before: int | None, limit: int) -> QuerySet[Follow]:
    return follows.filter(id__lt=MAX_ID if before is None else before).order_by("-id")[:limit]
