"""When a reader has to read the home timeline again, because no list of ids tells what changed.

That is after the reader's own follows changed, and after a followee came or went: was suspended,
came back, deleted the account, or got tweets back that a moderator had hidden.
"""

from collections.abc import Collection
from datetime import datetime

from django.db import connection

from accounts.models import VISIBLE, Account


def note_readers(account_ids: Collection[int]) -> None:
    """Note that these accounts' homes changed, within the running transaction."""
    # In order, so that two that meet on several rows lock them in the same order. The update does
    # not join what was locked: that may be planned to take all rows times all (`importing.py` says
    # when). It begins once all are locked, for their count is a filter that it is under.
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH locked AS (SELECT id FROM accounts_account WHERE id = ANY(%(ids)s)"
            " ORDER BY id FOR NO KEY UPDATE)"
            " UPDATE accounts_account SET home_changed_at = statement_timestamp()"
            " WHERE id = ANY(%(ids)s) AND (SELECT count(*) FROM locked) > 0",
            {"ids": list(account_ids)},
        )


def note_author(account_id: int) -> None:
    """Note that the homes of an account's followers changed, within the running transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_account SET followers_homes_changed_at = statement_timestamp()"
            " WHERE id = %s",
            [account_id],
        )


def is_due(*, account_id: int, since: datetime) -> bool:
    """Tell whether the account has to read its home again if it last did so at `since`.

    Authors whose followers' homes changed are few: an index has those. One statement.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT EXISTS (SELECT FROM accounts_account
                    WHERE id = %(account)s AND home_changed_at >= %(since)s)
                OR EXISTS (SELECT FROM accounts_account AS author
                    JOIN accounts_follow ON followed_id = author.id
                        AND follower_id = %(account)s
                    WHERE author.followers_homes_changed_at >= %(since)s)""",
            {"account": account_id, "since": since},
        )
        [(due,)] = cursor.fetchall()
    return bool(due)


def gone_since(author_ids: Collection[int], *, since: datetime) -> dict[int, datetime]:
    """Return which of the accounts became invisible at `since` or later, and when."""
    gone = Account.objects.filter(id__in=author_ids, followers_homes_changed_at__gte=since)
    rows = gone.exclude(VISIBLE).values_list("id", "followers_homes_changed_at")
    return {account_id: moment for account_id, moment in rows if moment}
