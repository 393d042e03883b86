"""`make check` finds migrations under which the old version could not go on serving."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.checks import CHECKS
from tests.deploy.stack import ROOT

MIGRATION = """
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently
from django.db import migrations, models

{comment}
class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = {dependencies}
    operations = [{operation}]
"""
TABLE = """migrations.CreateModel(
    "Thing",
    fields=[
        ("id", models.BigAutoField(primary_key=True)),
        ("number", models.IntegerField(null=True)),
    ],
    options={"indexes": [models.Index(fields=["number"], name="with_table")]},
)"""
INDEX = 'models.Index(fields=["number"], name="by_number")'
CHECK = 'models.CheckConstraint(condition=models.Q(number__gt=0), name="positive")'
REMOVE = 'migrations.RemoveField("thing", "number")'
EXCEPTION = "# Nothing has used it since 1.1.\n# squawk-ignore-file {}"

# Name of a planted app: operation of its second migration, and the rule that it breaks.
UNSAFE = {
    "default": (
        'migrations.AddField("thing", "new", models.IntegerField(default=0))',
        "ban-drop-default",
    ),
    "required": (
        'migrations.RunSQL("ALTER TABLE required_thing ADD COLUMN new integer NOT NULL")',
        "adding-required-field",
    ),
    "not_null": (
        'migrations.AlterField("thing", "number", models.IntegerField())',
        "adding-not-nullable-field",
    ),
    "type": (
        'migrations.AlterField("thing", "number", models.BigIntegerField(null=True))',
        "changing-column-type",
    ),
    "rename": ('migrations.RenameField("thing", "number", "figure")', "renaming-column"),
    "remove": (REMOVE, "ban-drop-column"),
    "rename_model": ('migrations.RenameModel("Thing", "Object")', "renaming-table"),
    "delete_model": ('migrations.DeleteModel("Thing")', "ban-drop-table"),
    "index": (f'migrations.AddIndex("thing", {INDEX})', "require-concurrent-index-creation"),
    "check": (f'migrations.AddConstraint("thing", {CHECK})', "constraint-missing-not-valid"),
    "other_exception": (REMOVE, "ban-drop-column"),
}
SAFE = {
    "nullable": 'migrations.AddField("thing", "new", models.IntegerField(null=True))',
    "db_default": 'migrations.AddField("thing", "new", models.IntegerField(db_default=0))',
    "concurrently": f'AddIndexConcurrently("thing", {INDEX})',
    "not_valid": f'AddConstraintNotValid("thing", {CHECK})',
    "exception": REMOVE,
}
COMMENTS = {
    "exception": EXCEPTION.format("ban-drop-column"),
    "other_exception": EXCEPTION.format("ban-drop-table"),
}


def plant(folder: Path, app: str, operation: str) -> None:
    """Write an app with a migration that makes a table, and one with the operation."""
    migrations = folder / app / "migrations"
    migrations.mkdir(parents=True)
    for package in (migrations, migrations.parent):
        (package / "__init__.py").touch()
    (migrations / "0001_initial.py").write_text(
        MIGRATION.format(operation=TABLE, atomic=True, dependencies=[], comment="")
    )
    (migrations / "0002_planted.py").write_text(
        MIGRATION.format(
            operation=operation,
            atomic="Concurrently" not in operation,
            dependencies=[(app, "0001_initial")],
            comment=COMMENTS.get(app, ""),
        )
    )


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what is said about this project with all of the planted apps."""
    folder = tmp_path_factory.mktemp("project")
    planted = {app: operation for app, (operation, _) in UNSAFE.items()} | SAFE
    for app, operation in planted.items():
        plant(folder, app, operation)
    (folder / "planted_settings.py").write_text(
        f"from twitter.settings import *\nINSTALLED_APPS += {[*planted]}\n"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "planted_settings", "PYTHONPATH": str(folder)}
    judged = subprocess.run(
        [sys.executable, "-m", "deploy.local.migrations"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.stdout, judged.stderr
    assert judged.returncode == 1
    return judged.stdout


@pytest.mark.parametrize(("app", "rule"), [(app, rule) for app, (_, rule) in UNSAFE.items()])
def test_an_unsafe_migration_is_named_with_the_rule(said: str, app: str, rule: str) -> None:
    """An exception for another rule does not help."""
    assert re.search(rf"^{app}\.0002_planted\.sql:.* {rule} ", said, re.MULTILINE), said


@pytest.mark.parametrize("app", SAFE)
def test_a_safe_migration_or_one_with_an_exception_passes(said: str, app: str) -> None:
    assert f"{app}." not in said.replace("other_exception.", "")


def test_a_migration_that_makes_a_table_passes(said: str) -> None:
    assert "0001_initial" not in said


def test_make_check_asks_and_this_projects_migrations_pass() -> None:
    assert CHECKS["migrations are safe"]() == ""
