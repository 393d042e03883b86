"""Counting followers, followees and tweets."""

from collections.abc import Mapping

from django.db import connection, transaction

from accounts.events import CountersFolded
from accounts.models import AccountCounterDelta, AccountCounters
from twitter.base.data.counters import fold
from twitter.outbox.events import publish

# Counts one tweet more for the author of `event`. The tweet is stored by the same transaction, and
# refers to the author as well: so no deleted account needs to be looked for.
COUNT_POSTED = """
    INSERT INTO accounts_accountcounterdelta (account_id, tweet_count)
    SELECT author_id, 1 FROM event"""


def count_tweets(changes: Mapping[int, int]) -> None:
    """Count tweets. `changes`: author id to how many more."""
    # An account may be purged, its counters with it, while its last tweets are still being counted.
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO accounts_accountcounterdelta
                (account_id, tweet_count)
            SELECT account.id, change.number
            FROM unnest(%s::bigint[], %s::integer[]) AS change (author_id, number)
            JOIN accounts_account AS account ON account.id = change.author_id""",
            [list(changes), list(changes.values())],
        )


def fold_counters() -> None:
    """Add pending changes to the totals; what is cached of the accounts is then replaced."""
    with transaction.atomic():
        folded = fold(totals=AccountCounters, deltas=AccountCounterDelta, key="account_id")
        if folded:
            publish(CountersFolded(account_ids=folded))
