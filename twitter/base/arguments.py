"""Options and files of management commands. If one is wrong, a single sentence says why.

argparse turns ArgumentTypeError into that sentence, with the option's name before it.
"""

import gzip
import zlib
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from pathlib import Path

from django.core.management.base import CommandError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def whole_number(*, least: int, most: int) -> Callable[[str], int]:
    """Return the type of an option that is a whole number from `least` to `most`."""

    def read(text: str) -> int:
        # int() also reads other digits, blanks and underscores, and raises for very long ones.
        digits = text.removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) <= len(str(most)):
            number = int(text)
            if least <= number <= most:
                return number
        raise ArgumentTypeError(f"{text[:30]!r} is no whole number from {least} to {most}.")

    return read


def file_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, with their ends; it may be gzipped, and begin with a UTF-8 BOM.

    Raises CommandError when it can't be read, or not to its end.
    """
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
    except (EOFError, OSError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        place = f" after line {number}" if number else ""
        raise CommandError(f"{path} can't be read{place}: {reason}.") from error
