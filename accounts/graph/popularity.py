"""Authors with so many followers that their tweets are not fanned out."""

from collections.abc import Sequence

from django.conf import settings
from django.db import connection

from accounts.events import BecamePopular
from accounts.models import PopularAuthor
from twitter.outbox.events import publish

_NOTE = """
    INSERT INTO accounts_popularauthor (account_id, followers_know)
    SELECT account.id, false FROM accounts_account AS account
    JOIN accounts_accountcounters AS total ON total.account_id = account.id
    WHERE account.id = ANY(%s) AND total.followers_count > %s
    ON CONFLICT DO NOTHING RETURNING account_id"""


def note(ids: Sequence[int]) -> None:
    """Note which of the accounts have become popular, within the running transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, [list(ids), settings.FANOUT_MAX_FOLLOWERS])
        publish(*(BecamePopular(account_id=row[0]) for row in cursor.fetchall()))


def end_fan_out(account_id: int) -> None:
    """Note that all followers of a popular author know that they have to merge."""
    PopularAuthor.objects.filter(account_id=account_id).update(followers_know=True)
