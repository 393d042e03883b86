"""Storing a follow graph from elsewhere, tens of thousands of follows at a time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import connection, transaction

from accounts import rereads
from accounts.events import CountersFolded, GraphImported
from twitter.outbox.events import publish

# Fits, after a letter, into a username.
MAX_EXTERNAL_ID = 10**14 - 1
_STAGE = """
    CREATE TEMPORARY TABLE IF NOT EXISTS staged_follow (follower bigint, followed bigint);
    TRUNCATE staged_follow"""


# `u<external id>`; an account that signed up under such a name keeps it, and is not in the graph.
_MAKE_ACCOUNTS = """
    WITH made AS (
        INSERT INTO accounts_account
            (username, name, bio, password, is_staff, is_superuser, token_generation)
        SELECT 'u' || external_id, 'u' || external_id, '', %s, false, false, 0
        FROM (SELECT follower FROM staged_follow UNION SELECT followed FROM staged_follow)
            AS staged (external_id)
        WHERE NOT EXISTS (
            SELECT FROM accounts_importedaccount AS known
            WHERE known.external_id = staged.external_id)
        ORDER BY external_id
        ON CONFLICT (lower(username)) DO NOTHING
        RETURNING id, username)
    INSERT INTO accounts_importedaccount (external_id, account_id)
    SELECT substr(username, 2)::bigint, id FROM made"""


# The statement that stores also counts, so the counts are right whatever was stored before.
_MAKE_FOLLOWS = """
    WITH pair AS (
        SELECT follower.account_id AS follower_id, followed.account_id AS followed_id
        FROM staged_follow
        JOIN accounts_importedaccount AS follower ON follower.external_id = staged_follow.follower
        JOIN accounts_importedaccount AS followed ON followed.external_id = staged_follow.followed),
    missing AS (
        SELECT DISTINCT follower_id, followed_id FROM pair
        WHERE NOT EXISTS (
            SELECT FROM accounts_follow AS known
            WHERE known.followed_id = pair.followed_id AND known.follower_id = pair.follower_id)),
    present AS (
        SELECT follower_id, count(*) AS number FROM accounts_follow
        WHERE follower_id IN (SELECT follower_id FROM missing)
        GROUP BY follower_id),
    counted_on AS (
        SELECT follower_id, followed_id, coalesce(present.number, 0)
            + row_number() OVER (PARTITION BY follower_id ORDER BY followed_id) AS number
        FROM missing LEFT JOIN present USING (follower_id)),
    left_out AS (
        SELECT username, count(*) AS number
        FROM counted_on JOIN accounts_account AS account ON account.id = follower_id
        WHERE number > %(most)s
        GROUP BY username),
    made AS (
        INSERT INTO accounts_follow (follower_id, followed_id)
        SELECT follower_id, followed_id FROM counted_on WHERE number <= %(most)s
        ON CONFLICT DO NOTHING
        RETURNING follower_id, followed_id),
    change AS (
        SELECT account_id, sum(followers) AS followers, sum(following) AS following
        FROM (
            SELECT followed_id, 1, 0 FROM made UNION ALL SELECT follower_id, 0, 1 FROM made
        ) AS one (account_id, followers, following)
        GROUP BY account_id),
    counted AS (
        INSERT INTO accounts_accountcounters AS total
            (account_id, followers_count, following_count, tweet_count)
        SELECT account_id, followers, following, 0 FROM change ORDER BY account_id
        ON CONFLICT (account_id) DO UPDATE SET
            followers_count = total.followers_count + excluded.followers_count,
            following_count = total.following_count + excluded.following_count)
    SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM pair),
        array(SELECT account_id FROM change),
        (SELECT coalesce(jsonb_object_agg(username, number), '{}') FROM left_out)"""


_CACHE_STEP = 10_000


@dataclass(frozen=True)
class Imported:
    """What a batch brought.

    `refused`: follows of members of the graph whose username another account has. `left_out`: the
    accounts that would follow more than FOLLOWING_MAX, by username, and how many of their follows
    were left out.
    """

    accounts: int
    follows: int
    refused: int
    left_out: Mapping[str, int]


def import_follows(follows: Sequence[tuple[int, int]]) -> Imported:
    """Store follows in one transaction, with the accounts that are missing; nothing twice.

    `follows`: pairs of external ids from 0 to MAX_EXTERNAL_ID, follower and followed, never the
    same. Homes are not touched: call `end_import` in the end, and they are built again.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_STAGE)
        _copy(cursor, follows)
        cursor.execute("ANALYZE staged_follow")
        cursor.execute(_MAKE_ACCOUNTS, [make_password(None)])
        accounts = cursor.rowcount
        cursor.execute(_MAKE_FOLLOWS, {"most": settings.FOLLOWING_MAX})
        made, known, changed, left_out = cursor.fetchone()
        rereads.note_readers(changed)
        for start in range(0, len(changed), _CACHE_STEP):
            publish(CountersFolded(account_ids=changed[start : start + _CACHE_STEP]))
    return Imported(
        accounts=accounts,
        follows=made,
        refused=len(follows) - known,
        left_out=json.loads(left_out),
    )


def _copy(cursor: Any, follows: Sequence[tuple[int, int]]) -> None:
    with cursor.copy("COPY staged_follow FROM STDIN") as copy:
        copy.write("".join(f"{follower}\t{followed}\n" for follower, followed in follows))


def end_import() -> None:
    """Tell that homes are to be built again."""
    with transaction.atomic():
        publish(GraphImported())
