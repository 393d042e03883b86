"""`manage.py import_tweets FILE`: post the lines of a file by imported accounts, in the past."""

import hashlib
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone
from tqdm import tqdm

from accounts import facade as accounts
from tweets import text
from tweets.models import ImportedFile
from tweets.posts import importing
from twitter.base.arguments import file_lines, whole_number
from twitter.base.data.ids import EPOCH

BATCH = 1_000
CHUNK = 10_000


class Command(BaseCommand):
    help = (
        "Post each line of FILE (UTF-8, may be gzipped) by one imported account after the other,"
        " with dates spread over the last days. Interrupted, run it again: it goes on. A file that"
        " is all in is not imported twice, and of a file that is damaged, or not UTF-8, nothing is"
        " imported. Lines that break the rules for texts are refused, counted and named."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        days = (timezone.now() - EPOCH).days
        parser.add_argument(
            "--days",
            type=whole_number(least=1, most=days),
            default=7,
            help=f"spread dates over so many days (7), at most {days}: ids begin with 2024",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        _read_through(path)
        progress, _ = ImportedFile.objects.get_or_create(
            digest=_digest(path),
            defaults={"first_line_at": timezone.now() - timedelta(days=options["days"])},
        )
        began_at = progress.lines_done
        refused: dict[int, str] = {}
        try:
            lines = islice(file_lines(path), began_at, None)
            self._import(lines, progress, options["days"], refused)
        except KeyboardInterrupt as error:
            raise CommandError(
                f"Interrupted after line {progress.lines_done}: run it again to go on."
            ) from error
        finally:
            importing.end_import()
        done = progress.lines_done - began_at
        self.stdout.write(
            f"{done - len(refused)} tweets imported, {len(refused)} of {done} lines refused"
            + (f" ({began_at} lines were in before)." if began_at else ".")
        )
        for line, reason in refused.items():
            self.stdout.write(f"  line {line}: {reason}")

    def _import(
        self, lines: Iterator[bytes], progress: ImportedFile, days: int, refused: dict[int, str]
    ) -> None:
        authors = islice(_authors(), progress.lines_done, None)
        # Another number of days than the first time must not lead beyond today.
        until_now = timezone.now() - progress.first_line_at
        seconds = min(timedelta(days=days), until_now).total_seconds()
        with tqdm(desc="tweets", unit="", initial=progress.lines_done, disable=None) as bar:
            while batch := list(islice(lines, BATCH)):
                # Seeded by place, so that a file gives the same tweets however often interrupted.
                dice = random.Random(f"{progress.digest}:{progress.lines_done}")  # noqa: S311
                tweets = []
                for number, line in enumerate(batch, progress.lines_done + 1):
                    author_id = next(authors)
                    posted_at = _later(progress.first_line_at, dice.random() * seconds)
                    try:
                        accepted = text.parse(line.decode().removesuffix("\n")).text
                    except text.TextError as error:
                        refused[number] = str(error)
                    else:
                        tweets.append(importing.OldTweet(author_id, accepted, posted_at))
                with transaction.atomic():
                    importing.import_batch(tweets)
                    progress.lines_done += len(batch)
                    progress.save()
                bar.update(len(batch))


def _later(first: datetime, seconds: float) -> datetime:
    return first + timedelta(seconds=seconds)


def _authors() -> Iterator[int]:
    """Yield the imported accounts' ids round and round, a page in memory at a time."""
    after = 0
    while True:
        page = accounts.imported_ids(after=after, limit=CHUNK)
        if not page and after == 0:
            raise CommandError("There are no imported accounts: run import_graph first.")
        yield from page
        after = page[-1] if page else 0


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_through(path: Path) -> None:
    """Raise CommandError unless the whole file can be imported.

    How far an import came is kept by the file's digest. If the sound part of a damaged file were
    imported, the repaired file, which has another digest, would bring it once more.
    """
    number = 0
    try:
        for line in file_lines(path):
            number += 1
            line.decode()
    except UnicodeDecodeError as error:
        raise CommandError(f"Line {number} of {path} is not UTF-8; nothing is imported.") from error
    except CommandError as error:
        raise CommandError(f"{error} Nothing is imported.") from error
