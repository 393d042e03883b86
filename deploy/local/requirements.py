"""The lock files: requirements.txt and requirements-dev.txt, compiled from pyproject.toml."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

RUNTIME, EVERYTHING = Path("requirements.txt"), Path("requirements-dev.txt")
# For every platform and Python from 3.11 on; no addresses of the indexes that happened to be used.
COMPILE = [
    *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--quiet", "--no-header"),
    *("--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--no-emit-index-url", "--no-emit-find-links"),
]
UNREACHABLE = ("Failed to fetch", "error sending request", "Could not connect")


def write(options: Sequence[str]) -> int:
    """Compile both files anew, keeping pins that still fit; return uv's exit code."""
    for command in _commands(Path()):
        compiled = subprocess.run([*command, *options], check=False)
        if compiled.returncode != 0:
            return compiled.returncode
    return 0


def problem() -> str:
    """Return why the lock files no longer fit pyproject.toml, or "" when they do.

    Without an index to ask, that can't be known; then it is printed, and no problem.
    """
    with tempfile.TemporaryDirectory() as folder:
        for file in (RUNTIME, EVERYTHING):
            shutil.copy(file, folder)  # uv keeps the pins that it finds in its output file
        for command in _commands(Path(folder)):
            compiled = subprocess.run(command, capture_output=True, text=True, check=False)
            if any(words in compiled.stderr for words in UNREACHABLE):
                print("requirements: not checked, the package index can't be reached")
                return ""
            if compiled.returncode != 0:
                return compiled.stderr
        stale = [str(file) for file in (RUNTIME, EVERYTHING) if _pins(file) != _pins(folder / file)]
    return f"{' and '.join(stale)} not current: run `make requirements`." if stale else ""


def _commands(folder: Path) -> list[list[str]]:
    """Return the commands that compile both files, in order; the second keeps the first's pins."""
    runtime, everything = str(folder / RUNTIME), str(folder / EVERYTHING)
    return [
        [*COMPILE, "--output-file", runtime],
        [*COMPILE, "--all-extras", "--constraints", runtime, "--output-file", everything],
    ]


def _pins(file: Path) -> list[str]:
    """Return the lines that pin versions; hashes depend on what an index has of a version."""
    return re.findall(r"^[^\s#].*?(?= \\$|$)", file.read_text(encoding="utf-8"), re.MULTILINE)
