"""`manage.py rebuild_timelines`: build homes in Redis again from Postgres."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from accounts import facade as accounts
from timelines.home import build, services
from twitter.base.arguments import whole_number
from twitter.base.data.ids import MAX_ID


class Command(BaseCommand):
    help = (
        "Build home timelines again from Postgres: those that exist, or those of --user. Readers"
        " may go on reading. Interrupted, it goes on with --after and the last id it printed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", nargs="+", metavar="NAME", help="only these accounts")
        parser.add_argument(
            "--after",
            type=whole_number(least=0, most=MAX_ID),
            default=0,
            metavar="ID",
            help="go on after this id",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        rebuilt = 0
        last = options["after"]
        bar = tqdm(desc="homes", unit="", disable=None)
        try:
            for account_id in _accounts(options):
                build.rebuild_home(account_id)
                last = account_id
                rebuilt += 1
                bar.update()
        except KeyboardInterrupt as error:
            raise CommandError(f"Interrupted: go on with --after {last}") from error
        finally:
            bar.close()
        self.stdout.write(f"{rebuilt} homes rebuilt.")


def _accounts(options: dict[str, Any]) -> Iterator[int]:
    if options["user"]:
        for name in options["user"]:
            account_id = accounts.resolve_username(name)
            if account_id is None:
                raise CommandError(f"There is no account named {name}.")
            yield account_id
        return
    yield from services.homes(after=options["after"])
