"""What PostgreSQL cannot do right now, by its SQLSTATE, in words for the log and for clients.

https://www.postgresql.org/docs/18/errcodes-appendix.html
"""

import logging
import re
import time

from django.db import InterfaceError, InternalError, OperationalError

# A process that was refused a write is not ready for writing for so long.
REFUSED_SECONDS = 30.0

NO_WRITES = frozenset({"53100", "25006"})
_WORDS = {
    "53100": "its disk is full",
    "53200": "it has no memory left",
    "53300": "all its connections are taken",
    "25006": "it takes no writes here: a standby, or a database that is read-only",
    "40001": "two transactions were in each other's way",
    "40P01": "two transactions were in each other's way",
    "55P03": "a lock was not given in time",
    "57014": "a statement took longer than it may",
    "57P01": "it is shutting down",
    "57P02": "it crashed and starts again",
    "57P03": "it is starting or shutting down",
    "58030": "it cannot read or write its disk",
}
_OUT_OF_REACH = "it is out of reach"
# A refused connection has no SQLSTATE with libpq, only a message.
_REFUSALS = (
    (re.compile("too many (clients|connections)|connection slots"), "53300"),
    (re.compile("(starting up|shutting down|recovery mode|not accepting connections)"), "57P03"),
    (re.compile("[Nn]o space left on device"), "53100"),
)

logger = logging.getLogger(__name__)


class Refusals:
    """When this process was last refused a write, for all of its threads."""

    def __init__(self) -> None:
        self._until = 0.0  # of the monotonic clock

    def note(self) -> None:
        """Note a refusal."""
        self._until = time.monotonic() + REFUSED_SECONDS

    def recent(self) -> bool:
        """Return whether there was one in the last REFUSED_SECONDS."""
        return time.monotonic() < self._until


refusals = Refusals()


def sqlstate(error: BaseException | None) -> str:
    """Return the SQLSTATE of an error of Django's or psycopg's; "" if it has none."""
    state = getattr(error.__cause__ or error, "sqlstate", None) if error else None
    if state:
        return str(state)
    return next((state for found, state in _REFUSALS if found.search(str(error))), "")


def words(error: BaseException | None) -> str:
    """Return what PostgreSQL cannot do, to be read after "PostgreSQL:"; "" if it is a bug of ours.

    The words have nothing of the error's message, which may quote what people wrote.
    """
    state = sqlstate(error)
    if isinstance(error, InternalError):  # so Django calls what a standby refuses
        return _WORDS[state] if state in NO_WRITES else ""
    if isinstance(error, InterfaceError | OperationalError):
        return _WORDS.get(state, _OUT_OF_REACH)
    return ""


# What a client is told.
NOT_NOW = "The service cannot do this right now; try again in a moment."


def noted(error: BaseException | None) -> str:
    """Log what PostgreSQL cannot do, and return what to tell a client; "" if it is a bug of ours.

    A refused write makes this process unready for writing for a moment, see
    twitter/base/http/health.py.
    """
    said = words(error)
    if not said:
        return ""
    logger.warning("PostgreSQL: %s (%s)", said, type(error).__name__)
    if sqlstate(error) in NO_WRITES:
        refusals.note()
        return "The service cannot store anything right now; reading works. Try again later."
    return NOT_NOW
