"""Architecture is a test: the contracts hold, and each one fails when it is violated."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local import bootstrap

ROOT = Path(__file__).parent.parent
PACKAGES = ("twitter", "accounts", "tweets", "timelines")

# Contract -> a file and a line that breaks it.
VIOLATIONS = {
    "apps": ("accounts/people/services.py", "from tweets import facade"),
    "accounts": ("accounts/people/services.py", "from accounts.graph import services"),
    "tweets": ("tweets/posts/services.py", "from tweets.reactions import services"),
    "rooms-of-accounts": ("accounts/graph/reads.py", "from accounts.graph import services"),
    "rooms-of-tweets": ("tweets/pipeline.py", "from tweets.posts import services"),
    "base": ("twitter/base/data/ids.py", "from twitter.base.http import errors"),
    "timelines": ("timelines/home/store.py", "from timelines import news"),
    "home": ("timelines/home/popular.py", "from timelines.home import build"),
    "privacy": ("twitter/privacy/export.py", "from twitter.privacy import api"),
    "operations": ("twitter/operations/findings.py", "from twitter.operations import status"),
    "accounts-private": ("tweets/posts/services.py", "from accounts.models import Account"),
    "tweets-private": ("timelines/home/services.py", "from tweets.posts import reads"),
    "timelines-private": ("twitter/events.py", "from timelines.home import store"),
    "services": ("tweets/posts/services.py", "from rest_framework import status"),
    "library": ("twitter/base/data/ids.py", "from accounts import facade"),
}
# More than one contract's worth: each room that writes, where it must not be known.
WRITERS = {
    "accounts/graph/reads.py": ("accounts.graph.popularity", "accounts.graph.importing"),
    "accounts/people/declares.py": ("accounts.people.counters", "accounts.people.services"),
    "tweets/posts/reads.py": ("tweets.posts.counts", "tweets.posts.importing"),
    "tweets/reactions/declares.py": ("tweets.reactions.bookmarks", "tweets.reactions.services"),
    "tweets/pipeline.py": ("tweets.posts.moderation", "tweets.posts.counts"),
}
STRAY_FILES = ("accounts/helpers.py", "tweets/helpers.py", "timelines/helpers.py")


def lint(folder: Path, *contracts: str) -> subprocess.CompletedProcess:
    command = bootstrap.command("check", "lint-imports", "--no-cache")
    for contract in contracts:
        command += ["--contract", contract]
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def contracts_in_pyproject() -> set[str]:
    import tomllib

    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {contract["id"] for contract in config["tool"]["importlinter"]["contracts"]}


def test_every_contract_is_planted_against():
    assert set(VIOLATIONS) == contracts_in_pyproject()


def test_all_contracts_hold(copy):
    result = lint(copy)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_planted_violation_breaks_its_contract(copy, contract):
    file, line = VIOLATIONS[contract]
    target = copy / file
    target.write_text(f"{target.read_text()}\n{line}\n")
    result = lint(copy, contract)
    assert result.returncode == 1
    assert "BROKEN" in result.stdout


def test_every_room_that_writes_is_unknown_to_what_reads(copy):
    """All planted at once: the answer names each."""
    for file, writers in WRITERS.items():
        target = copy / file
        lines = "".join(f"import {writer}\n" for writer in writers)
        target.write_text(f"{target.read_text()}\n{lines}")
    said = lint(copy, "rooms-of-accounts", "rooms-of-tweets").stdout
    for file, writers in WRITERS.items():
        reader = file.removesuffix(".py").replace("/", ".")
        for writer in writers:
            assert f"{reader} -> {writer} " in said, (reader, writer, said)


@pytest.mark.parametrize("file", STRAY_FILES)
def test_a_stray_module_has_no_place_in_an_app(copy, file):
    (copy / file).write_text("")
    assert lint(copy, file.partition("/")[0]).returncode == 1


@pytest.mark.parametrize(
    "line",
    ["from django.db.models.signals import post_save", "from django.apps import apps"],
)
def test_the_escapes_are_closed(tmp_path, line):
    planted = tmp_path / "services.py"
    planted.write_text(f'"""A module."""\n\n{line}\n')
    options = ["--select", "TID251", "--no-cache", "--config", str(ROOT / "pyproject.toml")]
    command = bootstrap.command("check", "ruff", "check", *options, str(planted))
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "TID251" in result.stdout
