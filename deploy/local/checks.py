"""`make check`: everything that must hold and is not a test. All checks run, then it fails."""

import difflib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from deploy.local import requirements

SNAPSHOT = Path("docs/openapi.yaml")
MANAGE = (sys.executable, "manage.py")


def problem_of(*command: str, **variables: str) -> Callable[[], str]:
    """Return a check that runs a command: "" when it succeeds, else what it printed.

    `variables` are added to the environment.
    """

    def check() -> str:
        done = subprocess.run(
            command,
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return "" if done.returncode == 0 else done.stdout or f"exit code {done.returncode}"

    return check


def openapi_problem() -> str:
    """Return how the API differs from its reviewed snapshot, or "" when it does not."""
    with tempfile.TemporaryDirectory() as folder:
        current = Path(folder) / "openapi.yaml"
        options = ("spectacular", "--validate", "--fail-on-warn", "--file", str(current))
        if problem := problem_of(*MANAGE, *options)():
            return problem
        new = current.read_text(encoding="utf-8").splitlines()
    old = SNAPSHOT.read_text(encoding="utf-8").splitlines() if SNAPSHOT.exists() else []
    difference = list(difflib.unified_diff(old, new, str(SNAPSHOT), "the API", lineterm=""))
    if difference:
        difference += ["", f"{SNAPSHOT} is not current: run `make openapi`, review, commit."]
    return "\n".join(difference)


CHECKS: dict[str, Callable[[], str]] = {
    "ruff check": problem_of("ruff", "check", "."),
    "ruff format": problem_of("ruff", "format", "--check", "."),
    "mypy": problem_of("mypy"),
    "import contracts": problem_of("lint-imports"),
    "migrations": problem_of(*MANAGE, "makemigrations", "--check", "--dry-run"),
    "migrations are safe": problem_of(sys.executable, "-m", "deploy.local.migrations"),
    "system checks": problem_of(*MANAGE, "check"),
    "deployment checks": problem_of(
        *MANAGE,
        *("check", "--deploy", "--fail-level", "WARNING"),
        TWITTER_ENV="production",
        ALLOWED_HOSTS="example.com",
    ),
    "API snapshot": openapi_problem,
    "docker-compose.yml": problem_of(
        "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"
    ),
    "Dockerfile": problem_of("hadolint", "deploy/Dockerfile"),
    "workflows": problem_of(
        *("check-jsonschema", "--builtin-schema", "vendor.github-workflows"),
        *map(str, Path(".github/workflows").glob("*.yml")),
    ),
    "Dependabot": problem_of(
        *("check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml"),
    ),
    "requirements": requirements.problem,
}


def main() -> int:
    """Run every check, print what each found, and return 1 when one found something."""
    failed = []
    for name, check in CHECKS.items():
        begun = time.monotonic()
        problem = check().strip()
        seconds = time.monotonic() - begun
        print(f"{'FAILED' if problem else 'ok':<6}  {name}  ({seconds:.1f} s)", flush=True)
        if problem:
            failed.append(name)
            print(problem, flush=True)
    if failed:
        print(f"make check failed: {', '.join(failed)}.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
