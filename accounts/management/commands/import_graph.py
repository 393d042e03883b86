"""`manage.py import_graph FILE`: store who follows whom from a file."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from accounts.graph.importing import MAX_EXTERNAL_ID, Imported, end_import, import_follows
from twitter.base.arguments import file_lines

BATCH = 50_000
SHOWN_LINES = 10


@dataclass
class Report:
    """What came in, and which lines did not."""

    lines: int = 0
    accounts: int = 0
    follows: int = 0
    taken: int = 0
    bad: int = 0
    themselves: int = 0
    first_bad: list[tuple[int, str]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def refuse(self, number: int, reason: str) -> None:
        """Note a line that cannot be imported."""
        if len(self.first_bad) < SHOWN_LINES:
            self.first_bad.append((number, reason))

    def add(self, imported: Imported) -> None:
        """Count a batch."""
        self.accounts += imported.accounts
        self.follows += imported.follows
        self.taken += imported.refused
        self.left_out.update(imported.left_out)


class Command(BaseCommand):
    help = (
        "Store the follows in FILE (follower TAB followed, one pair of numbers a line; may be"
        " gzipped), and an account u<number> for each number. Interrupted, run it again: what is in"
        " is not stored twice. Lines that are wrong are counted and the first ones named."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        report = Report()
        try:
            self._import(file_lines(path), report)
        except KeyboardInterrupt as error:
            raise CommandError("Interrupted: run it again to go on.") from error
        finally:
            if report.follows:
                end_import()
            self._tell(report)

    def _import(self, file: Iterable[bytes], report: Report) -> None:
        batch: list[tuple[int, int]] = []
        with tqdm(desc="follows", unit="", unit_scale=True, disable=None) as bar:
            for follow in _follows(file, report):
                batch.append(follow)
                if len(batch) == BATCH:
                    report.add(import_follows(batch))
                    bar.update(len(batch))
                    batch.clear()
            report.add(import_follows(batch))
            bar.update(len(batch))

    def _tell(self, report: Report) -> None:
        self.stdout.write(
            f"{report.lines} lines: {report.accounts} accounts and {report.follows} follows are"
            f" new, {report.bad} lines wrong, {report.themselves} follow themselves,"
            f" {report.taken} of accounts whose name is taken,"
            f" {report.left_out.total()} of accounts that follow FOLLOWING_MAX others already."
        )
        for username, number in report.left_out.most_common(SHOWN_LINES):
            self.stdout.write(f"  {username}: {number} left out")
        for number, reason in report.first_bad:
            self.stdout.write(f"  line {number}: {reason}")


def _follows(lines: Iterable[bytes], report: Report) -> Iterator[tuple[int, int]]:
    for number, line in enumerate(lines, 1):
        report.lines = number
        follower, tab, followed = line.rstrip(b"\r\n").partition(b"\t")
        if not (tab and _is_id(follower) and _is_id(followed)):
            report.bad += 1
            report.refuse(number, "not two numbers with a tab between them")
        elif int(follower) == int(followed):
            report.themselves += 1
            report.refuse(number, f"{int(follower)} follows itself")
        else:
            yield int(follower), int(followed)


def _is_id(text: bytes) -> bool:
    return text.isdigit() and len(text) <= len(str(MAX_EXTERNAL_ID))
