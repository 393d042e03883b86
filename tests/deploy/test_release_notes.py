"""What a release says is what CHANGELOG.md says of its version."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "release-notes"
CHANGELOG = """# Changelog

## [Unreleased]

- Later.

## [1.2.0] - 2026-12-01

### Added

- Something.

## [1.1.0] - 2026-11-01

- Before.
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Return the script in a project of version 1.2.0."""
    (tmp_path / "deploy").mkdir()
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    return Path(shutil.copy(SCRIPT, tmp_path / "deploy"))


def notes(script: Path, tag: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([script, tag], capture_output=True, text=True, check=False)


def test_the_notes_are_the_section_of_the_version(script: Path) -> None:
    done = notes(script, "v1.2.0")
    assert (done.returncode, done.stdout.strip()) == (0, "### Added\n\n- Something.")


def test_a_version_that_the_project_does_not_have_is_refused(script: Path) -> None:
    done = notes(script, "v1.1.0")
    assert (done.returncode, done.stdout) == (1, "")
    assert "pyproject.toml" in done.stderr


def test_a_version_without_a_section_is_refused(script: Path) -> None:
    changelog = script.parent.parent / "CHANGELOG.md"
    changelog.write_text(CHANGELOG.replace("- Something.", "").replace("### Added", ""))
    done = notes(script, "v1.2.0")
    assert (done.returncode, done.stdout) == (1, "")
    assert "CHANGELOG.md" in done.stderr
