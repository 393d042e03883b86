"""The documentation says what is so: variables, paths, targets, files and tests that it names."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.urls import URLPattern, get_resolver

from twitter.base import environment

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

CODE = ("twitter", "accounts", "tweets", "timelines", "config", "deploy")
# How a variable is read: by twitter/base/environment.py, by django-environ, or from os.environ;
# WSGI has an `environ` as well, which is another matter.
READ = re.compile(
    r"(?:\brequired|\bnumber|\bswitch|\bchoice|\brate|\benv\.\w+|\bos\.environ\.get|\bgetenv)"
    r"""\(\s*["']([A-Z_]+)["']"""
    r'|\bos\.environ\["([A-Z_]+)"\]'
)
# A variable that is refused, and one that the library of metrics looks for in our own processes.
NOT_OURS = {"PATH", "SCRIPT_NAME", "PROMETHEUS_MULTIPROC_DIR"}

SERVICES = ("auth/", "tweet/", "timeline/")


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of a table, without the heading."""
    for line in re.findall(r"^\|(.*)\|$", text, re.MULTILINE):
        cells = [cell.strip() for cell in line.split("|")]
        if "`" in cells[0]:
            yield cells


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def code_in(document: Path) -> str:
    """Return what a document sets in code, in line or in blocks."""
    text = document.read_text(encoding="utf-8")
    blocks = re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)
    for block in blocks:
        text = text.replace(block, "")
    return "\n".join(blocks + [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)])


def test_the_table_of_variables_is_what_the_code_reads():
    found = {
        name
        for folder in CODE
        for file in (ROOT / folder).rglob("*.py")
        for names in READ.findall(file.read_text(encoding="utf-8"))
        for name in names
        if name
    }
    assert {quoted(cells[0])[0] for cells in rows(page("configuration"))} == found - NOT_OURS


def test_every_variable_of_the_table_is_known_so_that_it_is_not_called_misspelt():
    listed = {quoted(cells[0])[0] for cells in rows(page("configuration"))}
    assert listed == environment._names - {"DEMO_USERNAME", "ADMIN_USERNAME"}  # of `make run`


def operations() -> Iterator[tuple[str, str]]:
    """Yield method and path of each operation of the API."""
    for prefix in get_resolver().url_patterns:
        if str(prefix.pattern) in SERVICES:
            for route in prefix.url_patterns:
                assert isinstance(route, URLPattern)
                path = re.sub("<.*?>", "{}", f"/{prefix.pattern}{route.pattern}")
                for method in ("get", "post", "put", "patch", "delete"):
                    if hasattr(route.callback.cls, method):
                        yield method.upper(), path


def test_the_table_of_the_api_is_the_urlconf():
    named = {
        (method, re.sub("{.*?}", "{}", path))
        for cells in rows(page("endpoints"))
        for method in quoted(cells[0])
        for path in quoted(cells[1])
    }
    assert named == set(operations())


def commands() -> set[str]:
    return {
        file.stem
        for folder in CODE
        for file in (ROOT / folder).glob("**/management/commands/[a-z]*.py")
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_exists(document):
    code = code_in(document)
    targets = re.findall(r"^([a-z0-9/]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"\bmake ([a-z][a-z0-9/]*)", code):
        assert target in targets, f"make {target}"
    for file, test in re.findall(r"\b(tests/[\w/]+\.py)::(\w+)", code):
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), test
    for path in re.findall(r"^[\w.]+(?:/[\w.-]+)+\.\w+", code, re.MULTILINE):
        assert (ROOT / path).exists(), path
    for command in re.findall(r"\bmanage(?:\.py)? ([a-z_]+)", code):
        assert command in {*commands(), *get_commands()}, command
    for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
        assert (document.parent / link).exists(), link


def test_the_table_of_commands_is_what_there_is():
    named = {quoted(cells[0])[0].split()[0] for cells in rows(page("commands"))}
    assert named == commands()
