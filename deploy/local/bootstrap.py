"""Make `.venv` hold exactly what requirements-dev.txt pins, then become its Python.

    python3 deploy/local/bootstrap.py ARGUMENTS...      like  .venv/bin/python ARGUMENTS...

It needs the standard library only, and older Pythons must be able to parse it: they shall say that
they are too old, not raise a SyntaxError.
"""

import ast
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - the message is for those who are outdated
    sys.exit(
        f"Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}. "
        "Name a newer one, for example: make run PYTHON=python3.12"
    )

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements-dev.txt"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed"

# What pip's configuration may say, and the option of uv that says the same.
AS_UV_OPTION = {
    "cert": "--cert",
    "extra-index-url": "--index",
    "find-links": "--find-links",
    "index-url": "--default-index",
    "trusted-host": "--allow-insecure-host",
}
OF_NO_CONCERN_TO_UV = {
    "default-timeout", "disable-pip-version-check", "no-cache-dir", "no-compile", "no-input",
    "no-python-version-warning", "no-warn-script-location", "progress-bar", "quiet",
    "require-virtualenv", "retries", "root-user-action", "timeout", "verbose",
}  # fmt: skip


def main() -> None:
    """Install when the stamp says so, one process at a time, and become `.venv`'s Python."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    os.chdir(ROOT)
    try:
        with locked(ROOT):
            if not is_current():
                install()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except OSError as error:
        sys.exit(f"{VENV} can't be made: {error.strerror}.")
    os.execv(PYTHON, [str(PYTHON), *sys.argv[1:]])  # noqa: S606 - no shell is the point


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; it leaves no file behind and ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another make that installs into .venv.")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def wanted() -> str:
    """Return what the stamp holds once everything is installed; scripts in .venv know its path."""
    return f"{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()} {sys.version} {VENV}\n"


def is_current() -> bool:
    """Tell whether an installation for this Python and these requirements was finished."""
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text(encoding="utf-8") == wanted()


def install() -> None:
    """Make .venv anew. The stamp comes last: an interrupted installation is done again."""
    if importlib.util.find_spec("ensurepip") is None:
        sys.exit(
            f"{sys.executable} can't make virtual environments: ensurepip is missing "
            "(on Debian and Ubuntu: apt-get install python3-venv)."
        )
    refuse_anothers()
    say("Installing the pinned dependencies into .venv; this happens once.")
    STAMP.unlink(missing_ok=True)
    succeed(sys.executable, "-m", "venv", "--clear", str(VENV))
    if not install_with_uv():
        say("Without uv, pip installs them, which takes a minute or two.")
        succeed(*pip("install", "--require-hashes", "--requirement", str(REQUIREMENTS)))
    STAMP.write_text(wanted(), encoding="utf-8")


def refuse_anothers() -> None:
    """End with a sentence when .venv belongs to another user, as after a `sudo make`."""
    if VENV.exists() and not os.access(VENV, os.W_OK):
        owner = VENV.stat().st_uid
        sys.exit(
            f"{VENV} belongs to another user (number {owner}; 0 is root), so it can't be brought "
            f"up to date. Remove it, or take it over: sudo chown -R $(id -u) {VENV}"
        )


def install_with_uv() -> bool:
    """Let pip bring uv, and uv the rest: about 8 s where pip alone takes 50 s.

    False when uv can't be had, can't be told what pip is told, or fails: then pip does it.
    """
    options = uv_options()
    if options is None:
        return False
    only_uv = VENV / "uv.txt"
    only_uv.write_text(locked_lines_of("uv"), encoding="utf-8")
    if call(*pip("install", "--require-hashes", "--requirement", str(only_uv))) != 0:
        return False
    uv = [str(VENV / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(PYTHON)]
    return call(*uv, "--require-hashes", "--requirement", str(REQUIREMENTS), *options) == 0


def locked_lines_of(package: str) -> str:
    """Return the lines of requirements-dev.txt that pin one package and its hashes."""
    lock = REQUIREMENTS.read_text(encoding="utf-8")
    found = re.search(rf"^{package}==.*\n(?:    --hash=.*\n)*", lock, re.MULTILINE)
    if found is None:
        sys.exit(f"{REQUIREMENTS} does not pin {package}; run `make requirements`.")
    return found.group()


def uv_options() -> list[str] | None:
    """Translate pip's configuration (files and environment), so that uv asks the same indexes.

    None when something is configured that this does not know how to translate.
    """
    settings: dict[str, str] = {}
    listed = subprocess.run(pip("config", "list"), capture_output=True, text=True, check=False)
    parsed = re.findall(r"^(global|install|:env:)\.([a-z-]+)=(.*)$", listed.stdout, re.MULTILINE)
    for section in ("global", "install", ":env:"):  # the later one wins, as in pip
        settings.update({key: value for where, key, value in parsed if where == section})
    # Like pip: the platform's certificates, and the best match of all indexes (hashes are checked).
    options = ["--system-certs", "--index-strategy", "unsafe-best-match"]
    if not os.access(Path("~").expanduser(), os.W_OK) or "no-cache-dir" in settings:
        options.append("--no-cache")
    for key, value in settings.items():
        if key in AS_UV_OPTION:
            for word in str(ast.literal_eval(value)).split():
                options += [AS_UV_OPTION[key], word]
        elif key not in OF_NO_CONCERN_TO_UV:
            return None
    return options


def pip(*arguments: str) -> list[str]:
    """Return the command that runs .venv's pip, silent but for errors."""
    return [str(PYTHON), "-m", "pip", "-qq", "--disable-pip-version-check", *arguments]


def call(*command: str) -> int:
    """Run a command to its end and return its exit code."""
    return subprocess.run(command, check=False).returncode


def succeed(*command: str) -> None:
    """Run a command; when it fails, leave no half-made .venv and say so."""
    if call(*command) != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit("The dependencies could not be installed into .venv; the reason stands above.")


def say(sentence: str) -> None:
    """Tell the person who waits."""
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
