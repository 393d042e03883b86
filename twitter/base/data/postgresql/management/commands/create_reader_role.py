"""`manage.py create_reader_role`: the role of the processes that only read, in PostgreSQL."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import ProgrammingError, connection, transaction
from psycopg import sql

ROLE = "twitter_reader"

# Tables that later migrations make belong to the role that runs this command. Another owner of
# tables has to grant rights to them. `settled` in tweets/posts/reads.py looks at the transactions
# of other roles, which takes pg_read_all_stats: without it, PostgreSQL would show none of these,
# and /timeline/update would miss tweets. default_transaction_read_only prevents mistakes only; all
# else is prevented because the role has no other right.
_STATEMENTS = """
    ALTER ROLE {role} WITH LOGIN PASSWORD {password};
    ALTER ROLE {role} IN DATABASE {database} SET default_transaction_read_only = on;
    GRANT pg_read_all_stats TO {role};
    GRANT CONNECT ON DATABASE {database} TO {role};
    GRANT USAGE ON SCHEMA public TO {role};
    REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role};
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {role}"""


class Command(BaseCommand):
    help = (
        "Make the database role of processes that only read, or bring it up to date. It may SELECT"
        " from all tables, present and future, and nothing else. Its password is READER_PASSWORD."
        " Run it as the role that applies the migrations."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--role", default=ROLE, help=f"the role's name ({ROLE})")

    def handle(self, *args: Any, **options: Any) -> None:
        password = os.environ.get("READER_PASSWORD")
        if not password:
            raise CommandError("Set READER_PASSWORD in the environment.")
        role = options["role"]
        if role == connection.settings_dict["USER"]:
            raise CommandError(f"{role} applies the migrations, so it can't be the reader.")
        try:
            _create(role, password)
        except ProgrammingError as error:
            raise CommandError(
                f"{error}\nIt takes a role that may create roles and grant pg_read_all_stats."
            ) from error
        self.stdout.write(f"{role} may read.")


@transaction.atomic
def _create(role: str, password: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
        if not cursor.fetchone():
            cursor.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        # The password itself is not sent, so it cannot be logged.
        verifier = connection.connection.pgconn.encrypt_password(
            password.encode(), role.encode(), b"scram-sha-256"
        )
        names = {
            "role": sql.Identifier(role),
            "database": sql.Identifier(connection.settings_dict["NAME"]),
            "password": sql.Literal(verifier.decode()),
        }
        for statement in _STATEMENTS.split(";"):
            cursor.execute(sql.SQL(statement).format(**names))
