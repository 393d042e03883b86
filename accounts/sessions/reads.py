"""Reading who logs in, and what a token is checked against."""

from unicodedata import normalize

from django.conf import settings
from django.db import connection
from django.db.models import Value
from django.db.models.functions import Lower

from accounts.models import Account
from accounts.sessions import states
from accounts.sessions.states import AccountState
from accounts.validators import USERNAME_PATTERN
from twitter.base.data import stamped


def account_state(account_id: int) -> AccountState:
    """Return what a token of the account is checked against; inactive if there is no account.

    From Redis in one round trip, else from PostgreSQL in one query, and then cached.
    """
    state = states.fetch_state(account_id)
    return state or states.filled_state(account_id, read=stored_state)


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


def refresh_state(account_id: int) -> None:
    """Refresh an account's cached state. Raises redis.RedisError."""
    states.replace_state(account_id, stored_state(account_id))


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
