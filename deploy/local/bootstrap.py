"""Make an environment hold exactly what its lock file pins, then become a program of it.

    python3 deploy/local/bootstrap.py run python -m deploy.local run

`run` has its pins in requirements/run.txt and is `.venv`; any other NAME has them in
requirements/NAME.txt and is `.venv-NAME`. It needs the standard library only, and older Pythons
must be able to parse it: they shall say that they are too old, not raise a SyntaxError.
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

# What pip's configuration may say, and the option of uv that says the same.
AS_UV_OPTION = {
    "cert": "--cert",
    "extra-index-url": "--index",
    "find-links": "--find-links",
    "index-url": "--default-index",
    "trusted-host": "--allow-insecure-host",
}
# A constraint says nothing about what is pinned, and uv refuses one that pins no version itself.
OF_NO_CONCERN_TO_UV = {
    "config-file", "constraint", "default-timeout", "disable-pip-version-check", "no-cache-dir",
    "no-compile", "no-input", "no-python-version-warning", "no-warn-script-location",
    "progress-bar", "quiet", "require-virtualenv", "retries", "root-user-action", "timeout",
    "verbose",
}  # fmt: skip


class Environment:
    """A virtual environment, and the lock file of what is in it."""

    def __init__(self, name: str) -> None:
        self.name = ".venv" if name == "run" else f".venv-{name}"
        self.folder = ROOT / self.name
        self.lock = ROOT / "requirements" / f"{name}.txt"
        self.stamp = self.folder / "installed"

    def program(self, name: str) -> str:
        """Return the path of one of its programs."""
        return str(self.folder / "bin" / name)

    def wanted(self) -> str:
        """Return what the stamp holds once all is installed; scripts in there know its path."""
        digest = hashlib.sha256(self.lock.read_bytes()).hexdigest()
        return f"{digest} {sys.version} {self.folder}\n"

    def is_current(self) -> bool:
        """Tell whether an installation for this Python and these requirements was finished."""
        return self.stamp.exists() and self.stamp.read_text(encoding="utf-8") == self.wanted()


# Has pip as well, the only one that does: the two fill the other environments from outside.
UV = Environment("uv")


def main() -> None:
    """Install when the stamp says so, one process at a time, and become the program."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    name, program, *arguments = sys.argv[1:]
    environment = Environment(name)
    try:
        with locked(ROOT):
            if not environment.is_current():
                install(environment)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except OSError as error:
        sys.exit(f"{environment.folder} can't be made: {error.strerror}.")
    path = environment.program(program)
    os.execv(path, [path, *arguments])  # noqa: S606 - no shell is the point


def command(environment: str, program: str, *arguments: str) -> list[str]:
    """Return the command that runs a program of an environment, which is made if need be."""
    return [sys.executable, str(Path(__file__).resolve()), environment, program, *arguments]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; it leaves no file behind and ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another make that installs.")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def install(environment: Environment) -> None:
    """Make it from nothing. The stamp comes last: an interrupted installation is done again."""
    if importlib.util.find_spec("ensurepip") is None:
        sys.exit(
            f"{sys.executable} can't make virtual environments: ensurepip is missing "
            "(on Debian and Ubuntu: apt-get install python3-venv)."
        )
    say(f"Installing the pinned dependencies into {environment.name}; this happens once.")
    if environment.name == UV.name:
        make(UV)
        succeed(UV, *pip(UV), "--requirement", str(UV.lock))
    else:
        has_uv = has_installer()
        make(environment, "--without-pip")
        if not (has_uv and install_with_uv(environment)):
            say("Without uv, pip installs them, which takes a minute or two.")
            succeed(environment, *pip(environment), "--requirement", str(environment.lock))
    environment.stamp.write_text(environment.wanted(), encoding="utf-8")


def refuse_anothers(folder: Path) -> None:
    """End with a sentence when a folder belongs to another user, as after a `sudo make`."""
    if folder.exists() and not os.access(folder, os.W_OK):
        owner = folder.stat().st_uid
        sys.exit(
            f"{folder} belongs to another user (number {owner}; 0 is root), so it can't be brought "
            f"up to date. Remove it, or take it over: sudo chown -R $(id -u) {folder}"
        )


def make(environment: Environment, *options: str) -> None:
    """Make an empty environment, without a stamp."""
    refuse_anothers(environment.folder)
    environment.stamp.unlink(missing_ok=True)
    succeed(environment, sys.executable, "-m", "venv", "--clear", *options, str(environment.folder))


def has_installer() -> bool:
    """Make the environment of pip and uv if need be; tell whether uv is there."""
    if not UV.is_current():
        make(UV)
        if call(*pip(UV), "--requirement", str(UV.lock)) != 0:
            return False
        UV.stamp.write_text(UV.wanted(), encoding="utf-8")
    return True


def install_with_uv(environment: Environment) -> bool:
    """Let uv fill an environment, in a tenth of the time that pip takes.

    False when uv can't be told what pip is told, or fails: then pip does it.
    """
    options = uv_options()
    if options is None:
        return False
    python, lock = environment.program("python"), str(environment.lock)
    install = [UV.program("uv"), "pip", "install", "--quiet", "--python", python, *options]
    # Like pip. Where PYTHONDONTWRITEBYTECODE is set, each process would compile all it imports.
    return call(*install, "--compile-bytecode", "--require-hashes", "--requirement", lock) == 0


def uv_options() -> list[str] | None:
    """Translate pip's configuration (files and environment), so that uv asks the same indexes.

    None when something is configured that this does not know how to translate.
    """
    settings: dict[str, str] = {}
    listed = subprocess.run(
        [UV.program("python"), "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        check=False,
    )
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


def pip(environment: Environment) -> list[str]:
    """Return the command by which pip installs into an environment, silent but for errors."""
    run = [UV.program("python"), "-m", "pip", "-qq", "--disable-pip-version-check"]
    return [*run, "--python", environment.program("python"), "install", "--require-hashes"]


def call(*command: str) -> int:
    """Run a command to its end and return its exit code."""
    return subprocess.run(command, check=False).returncode


def succeed(environment: Environment, *command: str) -> None:
    """Run a command; when it fails, leave no half-made environment and say so."""
    if call(*command) != 0:
        shutil.rmtree(environment.folder, ignore_errors=True)
        sys.exit(
            f"The dependencies could not be installed into {environment.name}; the reason stands "
            "above."
        )


def say(sentence: str) -> None:
    """Tell the person who waits."""
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
