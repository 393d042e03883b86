"""What a command that looks at the service has found, one line for each thing."""

import contextlib
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple, TextIO

import redis
from django.db import Error as DatabaseError
from django.db import connection
from kombu.exceptions import OperationalError as BrokerError


class Level(StrEnum):
    """How a finding is to be taken."""

    FINE = "ok"
    WARNING = "warning"
    WRONG = "WRONG"


class Finding(NamedTuple):
    """One thing that was looked at, and what there is to say about it."""

    level: Level
    subject: str
    text: str


def fine(subject: str, text: str) -> Finding:
    """Return a finding that asks for nothing."""
    return Finding(Level.FINE, subject, text)


def warning(subject: str, text: str) -> Finding:
    """Return a finding that is worth knowing."""
    return Finding(Level.WARNING, subject, text)


def wrong(subject: str, text: str) -> Finding:
    """Return a finding that has to be mended."""
    return Finding(Level.WRONG, subject, text)


def judged(subject: str, text: str, *, right: bool) -> Finding:
    """Return a finding that is right or wrong."""
    return fine(subject, text) if right else wrong(subject, text)


class Findings:
    """Prints findings as they come, and knows whether one is wrong."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self.all_right = True

    def add(self, found: Iterator[Finding], *, of: str) -> None:
        """Print what is found; that a part can't be looked at is a finding of the subject `of`."""
        with self._unreachable_is_wrong(of):
            for finding in found:
                self._print(finding)

    @contextlib.contextmanager
    def _unreachable_is_wrong(self, subject: str) -> Iterator[None]:
        try:
            yield
        except (DatabaseError, redis.RedisError, BrokerError, OSError) as error:
            if isinstance(error, DatabaseError):
                connection.close()  # the next part may be reached over another one
            reason = " ".join(str(error).split()) or type(error).__name__
            self._print(wrong(subject, reason[:300]))

    def _print(self, finding: Finding) -> None:
        self.all_right &= finding.level != Level.WRONG
        self._output.write(f"{finding.level:8}{finding.subject:12}{finding.text}\n")
        self._output.flush()
