"""`manage.py export_account`: all that is stored of a person, as JSON."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from accounts import facade as accounts
from twitter.base.data.ids import parse_id
from twitter.base.http.errors import NotFound
from twitter.privacy import export


class Command(BaseCommand):
    help = (
        "Write all that is stored of an account as JSON, what `GET /auth/export` answers; of a"
        " suspended account as well. A file is there when it is complete; only you may read it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("account", help="a username (perhaps with @ in front), or an id")
        parser.add_argument("--output", type=Path, help="a file, instead of standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            blocks = export.document(_account_id(options["account"]))
        except NotFound as error:
            raise CommandError(error.detail) from error
        blocks = _with_progress(blocks)
        if options["output"] is None:
            for block in blocks:
                self.stdout.write(block.decode(), ending="")
        else:
            _write(options["output"], blocks)


def _account_id(text: str) -> int:
    """Return the id of the account that a username, or else an id, names. Raises NotFound."""
    account_id = accounts.resolve_username(text.removeprefix("@"))
    if account_id is None:
        try:
            account_id = parse_id(text)
        except ValidationError as error:
            raise NotFound("There is no such account.") from error
    return account_id


def _with_progress(blocks: Iterator[bytes]) -> Iterator[bytes]:
    with tqdm(desc="export", unit="B", unit_scale=True, disable=None, file=sys.stderr) as bar:
        for block in blocks:
            yield block
            bar.update(len(block))


def _write(path: Path, blocks: Iterator[bytes]) -> None:
    """Put the file there when it is complete. Raises CommandError."""
    try:
        # mkstemp's files are for their owner only.
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise CommandError(f"--output: {error}") from error
    try:
        with os.fdopen(number, "wb") as file:
            file.writelines(blocks)
        Path(name).replace(path)
    except OSError as error:
        raise CommandError(f"--output: {error}") from error
    finally:
        Path(name).unlink(missing_ok=True)
