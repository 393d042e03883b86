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


# What a row needs of other tables is looked up by subqueries that bring one value. PostgreSQL makes
# no join of these, so a batch takes one look into an index a row, whatever the statistics say. They
# may say that a table is empty: autovacuum has seen it before the import, or while a batch was not
# committed. A join was planned for that, which took every row of the table times every row of the
# batch.

# `u<external id>`; an account that signed up under such a name keeps it, and is not in the graph.
_MAKE_ACCOUNTS = """
    WITH made AS (
        INSERT INTO accounts_account
            (username, name, bio, password, is_staff, is_superuser, token_generation)
        SELECT 'u' || external_id, 'u' || external_id, '', %s, false, false, 0
        FROM (SELECT follower FROM staged_follow UNION SELECT followed FROM staged_follow)
            AS staged (external_id)
        WHERE (
            SELECT account_id FROM accounts_importedaccount AS known
            WHERE known.external_id = staged.external_id) IS NULL
        ORDER BY external_id
        ON CONFLICT (lower(username)) DO NOTHING
        RETURNING id, username)
    INSERT INTO accounts_importedaccount (external_id, account_id)
    SELECT substr(username, 2)::bigint, id FROM made"""


# The statement that stores also counts, so the counts are right whatever was stored before.
_MAKE_FOLLOWS = """
    WITH pair AS MATERIALIZED (
        SELECT
            (SELECT account_id FROM accounts_importedaccount WHERE external_id = follower)
                AS follower_id,
            (SELECT account_id FROM accounts_importedaccount WHERE external_id = followed)
                AS followed_id
        FROM staged_follow),
    known AS (
        SELECT * FROM pair WHERE follower_id IS NOT NULL AND followed_id IS NOT NULL),
    missing AS (
        SELECT DISTINCT follower_id, followed_id FROM known
        WHERE (
            SELECT id FROM accounts_follow AS stored
            WHERE stored.followed_id = known.followed_id
                AND stored.follower_id = known.follower_id) IS NULL),
    wanted AS MATERIALIZED (
        SELECT follower_id, array_agg(followed_id ORDER BY followed_id) AS followed_ids,
            %(most)s - (
                SELECT count(*) FROM (
                    SELECT FROM accounts_follow AS stored
                    WHERE stored.follower_id = missing.follower_id
                    ORDER BY id DESC  -- there is an index in this order
                    LIMIT %(most)s) AS counted) AS room
        FROM missing
        GROUP BY follower_id),
    left_out AS (
        SELECT (SELECT username FROM accounts_account WHERE id = follower_id) AS username,
            cardinality(followed_ids) - room AS number
        FROM wanted
        WHERE cardinality(followed_ids) > room),
    made AS (
        INSERT INTO accounts_follow (follower_id, followed_id)
        SELECT follower_id, unnest(followed_ids[:room]) AS followed_id FROM wanted
        -- Sorted, so that all is looked up before the first row is stored. A table that is empty so
        -- far is read whole for a look-up, which takes longer with each row.
        ORDER BY followed_id, follower_id
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
    SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM known),
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
