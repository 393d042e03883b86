"""`manage.py verify_timelines`: compare homes in Redis with Postgres."""

import random
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from accounts import facade as accounts
from timelines.home import services
from timelines.home.verification import Difference, difference
from twitter.base.arguments import whole_number

SHOWN = 20


class Command(BaseCommand):
    help = (
        "Compare home timelines with Postgres: a sample, --all, or some by --user."
        " Exits with 1 and a report when any differs. Deliveries still under way are differences:"
        " run it when the queues are quiet."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--all", action="store_true", help="every home there is")
        which.add_argument(
            "--sample",
            type=whole_number(least=1, most=10**9),
            default=1_000,
            help="so many homes (1000)",
        )
        which.add_argument("--user", nargs="+", metavar="NAME", help="these accounts' homes")

    def handle(self, *args: Any, **options: Any) -> None:
        homes = _homes(options)
        # Compared twice, so that a delivery that was just under way is not taken for a fault.
        differences = [
            found
            for account_id in tqdm(homes, desc="homes", unit="", disable=None)
            if difference(account_id) and (found := difference(account_id))
        ]
        self.stdout.write(f"{len(homes)} homes compared, {len(differences)} differ.")
        if not homes:
            self.stdout.write("There is no home in Redis: one is built when its owner reads.")
        if differences:
            raise CommandError(_report(differences), returncode=1)


def _homes(options: dict[str, Any]) -> list[int]:
    if options["user"]:
        return [_account_id(name) for name in options["user"]]
    homes = list(services.homes())
    if options["all"] or len(homes) <= options["sample"]:
        return homes
    return random.sample(homes, options["sample"])


def _account_id(name: str) -> int:
    account_id = accounts.resolve_username(name)
    if account_id is None:
        raise CommandError(f"There is no account named {name}.")
    return account_id


def _report(differences: list[Difference]) -> str:
    lines = [
        f"account {found.account_id}: missing {found.missing[:5]} ({len(found.missing)}),"
        f" surplus {found.surplus[:5]} ({len(found.surplus)})"
        for found in differences[:SHOWN]
    ]
    if len(differences) > SHOWN:
        lines.append(f"and {len(differences) - SHOWN} more")
    return "\n".join([*lines, "`manage.py rebuild_timelines` mends them."])
