"""The database engine of `settings.DATABASES`; Django wants it in a module of this name."""

import select
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from psycopg.pq import TransactionStatus

from twitter.base.data.silence import Silence

_silence = Silence()


def limit_statements(database: dict[str, Any], *, seconds: int) -> None:
    """Change settings of this engine so that PostgreSQL ends a statement that takes too long.

    If PostgreSQL itself stands still, we wait two seconds longer, and no more. All this holds for
    connections that are made from now on.
    """
    database["ANSWER_SECONDS"] = seconds + 2.0
    database["OPTIONS"]["options"] += f" -c statement_timeout={seconds}s"


class Connection(psycopg.Connection[Any]):
    """psycopg's connection, which here waits for an answer only so long.

    The server's own limit, statement_timeout, is of no use when the server stands still.
    """

    answer_seconds: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait as psycopg does. If no answer comes, close, and raise OperationalError."""
        try:
            return super().wait(gen, interval, timeout or self.answer_seconds)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()  # a late answer must not be taken for one to a later query
                _silence.begin()
            raise


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, except for the health check, and for what happens while PostgreSQL is silent.

    ANSWER_SECONDS in the settings is how long to wait for an answer; without it, for ever.
    """

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        """Connect. Raises OperationalError, at once if PostgreSQL kept silent a moment ago."""
        if not _silence.has_turn(patience=conn_params.get("connect_timeout", 0)):
            raise psycopg.OperationalError("PostgreSQL did not answer a moment ago")
        try:
            connection = Connection.connect(**conn_params)
        except psycopg.errors.ConnectionTimeout:
            _silence.begin()
            raise
        except psycopg.OperationalError:
            _silence.end()
            raise
        _silence.end()
        connection.answer_seconds = self.settings_dict.get("ANSWER_SECONDS")
        self.isolation_level = IsolationLevel.READ_COMMITTED
        return connection

    def is_usable(self) -> bool:
        """Return whether the connection is still open. Each request asks once.

        On an idle connection nothing arrives, unless PostgreSQL ends it. So only if there is
        something to read, a query is made: it takes a fifth of the time of a short request.
        """
        if self.connection is None or self.connection.closed or _silence.until:
            return False
        readable = select.poll()  # not select(), which knows no number from 1024 on
        readable.register(self.connection.fileno(), select.POLLIN)
        return super().is_usable() if readable.poll(0) else True
