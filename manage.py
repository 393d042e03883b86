#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError, ProgrammingError


def main(arguments: list[str]) -> None:
    """Run a command. What only an operator can mend is told in one sentence."""
    try:
        execute_from_command_line(arguments)
    except (ImproperlyConfigured, OperationalError, ProgrammingError) as error:
        reason = _reason(error)
        if not reason or "--traceback" in arguments:
            raise
        sys.exit(f"manage.py: {reason}")


def _reason(error: Exception) -> str:
    """Return what to tell an operator; "" if it is a bug, which needs its traceback."""
    if isinstance(error, ImproperlyConfigured):
        return str(error)
    if isinstance(error, OperationalError):
        return f"PostgreSQL: {str(error).strip()}"
    missing_table = getattr(error.__cause__, "sqlstate", "") == "42P01"
    return "The database lacks a table: run `manage.py migrate` first." if missing_table else ""


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "twitter.settings")
    main(sys.argv)
