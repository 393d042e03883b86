"""Reading the follow graph."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import psycopg
from django.db import connection
from django.db.models import QuerySet

from accounts.models import Follow, PopularAuthor
from twitter.base.data.ids import MAX_ID


@dataclass(frozen=True)
class Neighbour:
    """Someone on a page of followers or followees. `follow_id` is the page's cursor."""

    follow_id: int
    account_id: int


@dataclass(frozen=True)
class Followees:
    """The `ids` of the visible accounts that an account follows.

    `popular`: the popular authors among all followees, suspended ones too. So a home that is built
    during a suspension merges the author's tweets as soon as the suspension is lifted.
    """

    ids: list[int]
    popular: list[int]


def followees(account_id: int) -> Followees:
    """Return all accounts that the account follows, in one query."""
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
    """Return the ids of all popular authors, visible or not."""
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


def followers_of_each(account_ids: Collection[int], *, most: int) -> dict[int, list[int]]:
    """Return the followers, in order, of several accounts, suspended followers among them.

    Left out are accounts with more than `most` followers, and popular authors.
    """
    found = _followers_in(
        [(number, 0, MAX_ID) for number in account_ids],
        limit=most + 1,
        where="NOT EXISTS (SELECT FROM accounts_popularauthor WHERE account_id = author.id)",
    )
    return {number: followers for number, followers in found.items() if len(followers) <= most}


def leavers(followers: Mapping[int, Sequence[int]]) -> dict[int, set[int]]:
    """Return which of these followers, in order for each account, do not follow it any more.

    An account is only among them if at least one of its followers has left.
    """
    ranges = [(number, ids[0], ids[-1]) for number, ids in followers.items() if ids]
    still = _followers_in(ranges)
    return {
        number: set(followers[number]).difference(ids)
        for number, ids in still.items()
        if ids != followers[number]
    }


def _followers_in(
    ranges: Sequence[tuple[int, int, int]], *, limit: int | None = None, where: str = "true"
) -> dict[int, list[int]]:
    """Return the followers of each account, from a first to a last id, up to `limit` of them."""
    if not ranges:
        return {}
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(
            f"""SELECT author.id, array(
                    SELECT follower_id FROM accounts_follow
                    WHERE followed_id = author.id AND follower_id BETWEEN first AND last
                    ORDER BY follower_id LIMIT %s)
                FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS author (id, first, last)
                WHERE {where}""",
            [limit, *map(list, zip(*ranges, strict=True))],
            binary=True,
        )
        return dict(cursor.fetchall())


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
