"""`manage.py verify_deletion`: prove that nothing is left of an account, or tell where it is."""

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from twitter.base.data.ids import parse_id
from twitter.privacy import leftovers
from twitter.privacy.leftovers import Subject

SHOWN = 100


class Command(BaseCommand):
    help = (
        "Search all of PostgreSQL, with the outbox, and of Redis for an account that was deleted."
        " Exits with 1 and the places when something is left. Run it some minutes after the"
        " deletion, when the queues are quiet: what is still to be purged is found as well."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("account_id", help="the account's id, which is never given again")
        parser.add_argument(
            "--word",
            nargs="+",
            default=[],
            metavar="WORD",
            help="the username, the e-mail address: where else they stand as whole words",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            account_id = parse_id(options["account_id"])
        except ValidationError as error:
            raise CommandError(f"account_id: {error.message}") from error
        subject = Subject(account_id=account_id, words=tuple(options["word"]))
        found = [*_in_postgres(subject), *_in_redis(subject)]
        if found:
            more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
            raise CommandError("\n".join(["Left:", *found[:SHOWN], *more]), returncode=1)
        self.stdout.write(f"Nothing is left of account {account_id}.")


def _in_postgres(subject: Subject) -> Iterator[str]:
    columns = leftovers.columns()
    searched = leftovers.in_postgres(subject, columns)
    bar = tqdm(searched, desc="columns", total=len(columns), unit="", disable=None)
    yield from (f"PostgreSQL, {line}" for line in bar if line)


def _in_redis(subject: Subject) -> Iterator[str]:
    for name, client in leftovers.redis_servers().items():
        with tqdm(desc=name, total=client.dbsize(), unit="", disable=None) as bar:
            for line in leftovers.in_redis(subject, client, progress=bar.update):
                yield f"Redis, {name}, {line}"
