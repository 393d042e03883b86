"""The commands behind the Makefile.

run                  serve until Ctrl-C
manage COMMAND       run a manage.py command on the servers of `run`
backup [FILE]        write a backup of the database of `run`
restore FILE         restore it (--replace: over what is there)
test PYTEST_OPTIONS  run the tests with temporary servers
e2e URL OPTIONS      run the stories on the service there; options of pytest
with -- COMMAND      run any command with temporary servers
check                run everything that is not a test
audit OPTIONS        ask whether a dependency has a known vulnerability; options of pip-audit
bench BENCH_OPTIONS  measure, and write docs/benchmarks.md
chaos CHAOS_OPTIONS  let things go wrong, and compare what was promised with what there is
openapi              write docs/openapi.yaml
requirements         write requirements.txt and requirements/ (--upgrade: newest)
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from deploy.local import audit, requirements, run, servers
from deploy.local.errors import StackError
from deploy.local.supervisor import Stopped, Supervisor

PYTEST = [sys.executable, "-m", "pytest", "-n", "auto", "--dist", "loadfile"]
CHECKS = [sys.executable, "-m", "deploy.local.checks"]
# Without tests/conftest.py and Django, which want servers; the stories need none but the service.
E2E = [
    *(sys.executable, "-m", "pytest", "tests/e2e/stories/test_stories.py"),
    *("--confcutdir=tests/e2e", "-p", "no:django", "-W", "ignore::pytest.PytestConfigWarning"),
    *("--gherkin-terminal-reporter", "-v", "-o", "log_cli=true", "-o", "log_cli_level=WARNING"),
]
USAGE = f"usage: python -m deploy.local COMMAND\n\n{__doc__}"
BENCH = [sys.executable, "-m", "tests.bench"]
CHAOS = [sys.executable, "-m", "tests.chaos"]
OPENAPI = [sys.executable, "manage.py", "spectacular", "--validate", "--fail-on-warn", "--file"]


def e2e(arguments: Sequence[str]) -> int:
    """Run the stories on the service at an address, the first argument; return the exit code."""
    url, *options = arguments or [""]
    if not url:
        raise StackError("Say where: make e2e BASE_URL=http://127.0.0.1:8080", code=2)
    with Supervisor() as supervisor:
        environment = os.environ | {"E2E_BASE_URL": url}
        return supervisor.run_in_foreground([*E2E, *options], environment=environment)


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "audit": audit.audit,
    "backup": run.backup,
    "e2e": e2e,
    "manage": run.manage,
    "requirements": requirements.write,
    "restore": run.restore,
}


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    code = 0
    match arguments:
        case ["run"]:
            run.run()
        case [name, *options] if name in COMMANDS:
            code = COMMANDS[name](options)
        case ["openapi"]:
            code = servers.run_with([*OPENAPI, "docs/openapi.yaml"])
        case ["check"]:
            code = servers.run_with(CHECKS)
        case ["test", *options]:
            code = servers.run_with([*PYTEST, *options])
        case ["bench", *options]:
            code = servers.run_with([*BENCH, *options], throwaway=False)
        case ["chaos", *options]:
            with Supervisor() as supervisor:
                code = supervisor.run_in_foreground([*CHAOS, *options], environment=os.environ)
        case ["with", "--", program, *options]:
            code = servers.run_with([program, *options])
        case _:
            raise StackError(USAGE, code=2)
    return code


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is started yet: no traceback either
    try:
        sys.exit(main(sys.argv[1:]))
    except Stopped as stopped:
        sys.exit(stopped.code)
    except StackError as error:
        with contextlib.suppress(OSError):
            print(error, file=sys.stderr)
        sys.exit(error.code)
