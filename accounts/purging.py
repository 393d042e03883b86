"""Purging deleted accounts, in steps that each take a bounded time."""

import logging

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session as AdminSession
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from psycopg.errors import ForeignKeyViolation

from accounts.declares import SUBJECTS
from accounts.events import AccountDeleted, AccountPurged, EmailReplaced
from accounts.models import Account, ReservedLogin, Session
from accounts.people import reserved
from accounts.people.declares import audit_entries
from accounts.sessions import guessing, limits
from twitter.base.admin import audit
from twitter.base.data import expiry
from twitter.base.http.errors import violated_constraint
from twitter.outbox.events import publish
from twitter.outbox.models import Delivery

logger = logging.getLogger(__name__)


def purge_account(account_id: int) -> bool:
    """Purge a step's worth of a deleted account; return whether nothing is left of it.

    The last step reserves the username and the e-mail address. An account that is not deleted is
    left alone.
    """
    account = Account.objects.filter(id=account_id, deleted_at__isnull=False).first()
    if account is None:
        return True
    erased = [erase(account_id) for subject in SUBJECTS for erase in subject.erase]
    if any(erased):
        return False
    limits.reset_counts(account_id)
    guessing.delete_records(account_id, logins=filter(None, (account.username, account.email)))
    try:
        _delete_row(account)
    except IntegrityError as error:
        if not isinstance(error.__cause__, ForeignKeyViolation):
            raise
        # The account's last request, under way at the deletion, added a row after such rows were
        # purged (a like, perhaps): purge all again.
        logger.warning("An account is purged again: %s", violated_constraint(error))
        with transaction.atomic():
            publish(AccountDeleted(account_id=account_id))
    return True


@transaction.atomic
def _delete_row(account: Account) -> None:
    account_id = account.pk
    audit.anonymise(audit_entries(account_id), what="a deleted account")
    if account.last_login:  # which only the admin sets
        _end_admin_sessions(account_id)
    for subject in SUBJECTS:
        for model in subject.rows:
            model._default_manager.filter(account_id=account_id).delete()
    reserved.reserve_logins_of(account)
    Account.objects.filter(id=account_id).delete()
    publish(AccountPurged(account_id=account_id))
    connection.check_constraints()  # now, not at the commit


def _end_admin_sessions(account_id: int) -> None:
    """Delete the account's sessions of the admin. Only the content of each tells whose it is."""
    for session in AdminSession.objects.iterator():
        if session.get_decoded().get(SESSION_KEY) == str(account_id):
            session.delete()


def sweep_account(account_id: int) -> None:
    """Clear away what came in while the account was being purged. Raises redis.RedisError.

    Counters have no constraint that would have told, and Redis has none. PostgreSQL's part comes
    first: it does not depend on Redis.
    """
    Delivery.delete_dead_letters(account_id)
    # A mail that could not be sent so far has an address in it.
    unsent = Delivery.objects.filter(event=EmailReplaced.name)
    unsent.filter(payload__account_id=account_id).delete()
    for subject in SUBJECTS:
        for sweep in subject.sweep:
            sweep(account_id)


def delete_expired() -> bool:
    """Delete a step's worth of expired rows; return whether there may be more.

    They are sessions, also those of the admin, and reservations.
    """
    now = timezone.now()
    return expiry.delete_step(
        Session.objects.filter(expires_at__lte=now),
        AdminSession.objects.filter(expire_date__lte=now),
        ReservedLogin.objects.filter(until__lte=now),
    )
