"""Are migrations safe while the old version still serves? Squawk judges the SQL of each.

    python -m deploy.local.migrations

The rule, and what to write instead, is in docs/operations.md. `.squawk.toml` says which of Squawk's
rules do not matter here. What a migration may do all the same, because no old version uses what it
removes, it says itself, in a comment that Squawk reads:

    # squawk-ignore-file ban-drop-column
"""

import io
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import django
from django.core.management import call_command
from django.db.migrations.loader import MigrationLoader

from deploy.local import bootstrap

CONFIGURATION = Path(".squawk.toml").absolute()
# Squawk reads it from the SQL that Django makes, where a migration's comments are not.
EXCEPTION = re.compile(r"^# (squawk-ignore-file .*)$", re.MULTILINE)


def main() -> int:
    """Print what is unsafe in this project's migrations; return Squawk's exit code."""
    django.setup()
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for app, name, source in _own_migrations():
            files.append(f"{app}.{name}.sql")
            Path(folder, files[-1]).write_text(_sql(app, name, source), encoding="utf-8")
        options = ["--config", str(CONFIGURATION), "--reporter", "gcc", *files]
        squawk = bootstrap.command("check", "squawk", *options)
        return subprocess.run(squawk, cwd=folder, check=False).returncode


def _own_migrations() -> Iterator[tuple[str, str, Path]]:
    """Yield app, name and file of each migration that was not installed with a package."""
    packages = sysconfig.get_path("purelib")
    for (app, name), migration in sorted(MigrationLoader(None).disk_migrations.items()):
        file = Path(sys.modules[migration.__module__].__file__ or "")
        if not file.is_relative_to(packages):
            yield app, name, file


def _sql(app: str, name: str, source: Path) -> str:
    exceptions = EXCEPTION.findall(source.read_text(encoding="utf-8"))
    sql = io.StringIO()
    call_command("sqlmigrate", app, name, stdout=sql, no_color=True)
    return "".join(f"-- {exception}\n" for exception in exceptions) + sql.getvalue()


if __name__ == "__main__":
    sys.exit(main())
