"""The lock files, compiled from pyproject.toml: requirements.txt, what the service needs, and
requirements/NAME.txt for each environment that bootstrap.py makes.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deploy.local import bootstrap

RUNTIME = Path("requirements.txt")
# Those that import this project have its pins; tools that only run beside it need not fit to them.
WITH_PROJECT = ("run", "test", "check", "bench")
ALONE = ("audit", "schemathesis", "uv")
# For every platform and Python from 3.11 on; no addresses of the indexes that happened to be used.
COMPILE = [
    *bootstrap.command("uv", "uv", "pip", "compile", "--quiet", "--no-header"),
    *("--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--no-emit-index-url", "--no-emit-find-links"),
]
UNREACHABLE = ("Failed to fetch", "error sending request", "Could not connect")


def write(options: Sequence[str]) -> int:
    """Compile all of them again, keeping pins that still fit; return uv's exit code."""
    for command in _commands(Path()):
        compiled = subprocess.run([*command, *options], check=False)
        if compiled.returncode != 0:
            return compiled.returncode
    return 0


def problem() -> str:
    """Return why the lock files no longer fit pyproject.toml, or "" when they do.

    Without an index to ask, that can't be known; then it is printed, and no problem.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "requirements").mkdir()
        for file in _files():
            shutil.copy(file, folder / file)  # uv keeps the pins that it finds in its output file
        for command in _commands(folder):
            compiled = subprocess.run(command, capture_output=True, text=True, check=False)
            if any(words in compiled.stderr for words in UNREACHABLE):
                print("requirements: not checked, the package index can't be reached")
                return ""
            if compiled.returncode != 0:
                return compiled.stderr
        stale = [str(file) for file in _files() if _pins(file) != _pins(folder / file)]
    return f"{' and '.join(stale)} not current: run `make requirements`." if stale else ""


def _files() -> list[Path]:
    return [RUNTIME, *(Path("requirements", f"{name}.txt") for name in (*WITH_PROJECT, *ALONE))]


def _commands(folder: Path) -> list[list[str]]:
    """Return the commands that compile the files, in order; those after the first keep its pins."""
    runtime = str(folder / RUNTIME)
    project = [*COMPILE, "pyproject.toml"]

    def group(name: str) -> list[str]:
        return ["--group", name, "--output-file", str(folder / "requirements" / f"{name}.txt")]

    return [
        [*project, "--output-file", runtime],
        *([*project, "--constraints", runtime, *group(name)] for name in WITH_PROJECT),
        *([*COMPILE, *group(name)] for name in ALONE),
    ]


def _pins(file: Path) -> list[str]:
    """Return the lines that pin versions; hashes depend on what an index has of a version."""
    return re.findall(r"^[^\s#].*?(?= \\$|$)", file.read_text(encoding="utf-8"), re.MULTILINE)
