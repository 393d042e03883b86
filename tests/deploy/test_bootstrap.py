"""bootstrap.py: parsed by old Pythons, and asking the indexes that pip would ask."""

import ast
import os
import subprocess
from types import SimpleNamespace

import pytest

from deploy.local import bootstrap


def test_old_pythons_can_parse_it() -> None:
    source = (bootstrap.ROOT / "deploy/local/bootstrap.py").read_text()
    ast.parse(source, feature_version=(3, 7))
    check = source.index("sys.version_info < (3, 11)")
    assert check < source.index("\ndef "), "before annotations that they don't know"


def test_the_lock_pins_uv_with_hashes() -> None:
    first, *hashes = bootstrap.locked_lines_of("uv").splitlines()
    assert first.startswith("uv==")
    assert hashes
    assert all(line.startswith("    --hash=sha256:") for line in hashes)


def test_a_venv_of_another_user_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(bootstrap, "VENV", tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SystemExit) as refused:
        bootstrap.refuse_anothers()
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
