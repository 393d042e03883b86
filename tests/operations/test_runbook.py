"""The runbook can be followed: its SQL runs, links lead somewhere, sections have the same parts."""

import re
from pathlib import Path

import psycopg
import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SQL = [
    statement.strip()
    for block in re.findall(r"^```sql\n(.*?)^```", RUNBOOK + OPERATIONS, re.MULTILINE | re.DOTALL)
    for statement in block.split(";")
    if statement.strip()
]
SECTIONS = [
    part.removeprefix("### ").split("\n", 1)
    for part in re.split(r"^(?=##+ )", RUNBOOK, flags=re.MULTILINE)
    if part.startswith("### ")
]


@pytest.fixture
def maintenance(django_db_setup, django_db_blocker):
    """Return a connection to the database in which the set-up makes the extension."""
    with django_db_blocker.unblock():
        parameters = connection.get_connection_params()
    names = ("user", "password", "host", "port")
    with psycopg.connect(
        dbname="postgres", autocommit=True, **{name: parameters[name] for name in names}
    ) as opened:
        yield opened


@pytest.mark.parametrize("statement", SQL, ids=lambda sql: sql[:40])
def test_its_sql_runs(maintenance, statement):
    maintenance.execute(statement)


@pytest.mark.django_db
def test_slow_statements_are_shown_without_what_people_wrote(maintenance):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'a-word-of-ann', count(*) FROM accounts_account")
        cursor.execute("CREATE ROLE somebody PASSWORD 'a-word-of-ann'")
    [statement] = [sql for sql in SQL if "FROM pg_stat_statements ORDER BY" in sql]
    everything = statement.replace("LIMIT 10", "").replace(", 100)", ", 100000)")
    found = [row[-1] for row in maintenance.execute(everything).fetchall()]
    assert "SELECT $1, count(*) FROM accounts_account" in found
    assert not any("a-word-of-ann" in statement for statement in found)
    assert not any("CREATE ROLE somebody" in statement for statement in found)


@pytest.mark.parametrize(("title", "text"), SECTIONS, ids=[title for title, _ in SECTIONS])
def test_each_section_says_what_people_see_and_what_to_do(title, text):
    for words in ("**Customers see:**", "**Data lost:**", "**Look:**", "**Do:**"):
        assert words in text, words


@pytest.mark.parametrize("document", sorted((ROOT / "docs").glob("*.md")), ids=lambda f: f.name)
def test_links_into_pages_lead_to_headings(document):
    text = document.read_text(encoding="utf-8")
    for page, anchor in re.findall(r"\]\(([\w./-]*\.md|)#([\w-]+)\)", text):
        target = document if not page else document.parent / page
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
        assert anchor in anchors, f"{page}#{anchor}"
