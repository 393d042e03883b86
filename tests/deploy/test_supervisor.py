"""The supervisor with small processes: whichever of them ends, nothing stays behind."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.deploy.stack import ROOT

PROGRAM = """
import signal
import sys
from pathlib import Path
from deploy.local.errors import StackError
from deploy.local.supervisor import Stopped, Supervisor
signal.signal(signal.SIGHUP, signal.{hangup})  # also if the tests were started by nohup
try:
    with Supervisor() as supervisor:
        supervisor.start("server", ["sleep", "1000"], log=Path(sys.argv[1]))
{body}
except (StackError, Stopped) as error:
    print(error, file=sys.stderr)
    sys.exit(error.code)
"""


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that runs statements inside a supervisor, in another process.

    `hangup`: what that process was told to do when its terminal closes.
    """
    started = []

    def start(*statements: str, hangup: str = "SIG_DFL") -> subprocess.Popen[str]:
        body = "\n".join(f"        {statement}" for statement in statements)
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(body=body, hangup=hangup), str(tmp_path / "log")],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def family_of(process: subprocess.Popen[str], *, size: int) -> list[psutil.Process]:
    """Return the processes below one, once there are so many."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        family = psutil.Process(process.pid).children(recursive=True)
        if len(family) == size and all(child.name() == "sleep" for child in family[-2:]):
            return family
        time.sleep(0.02)
    raise AssertionError(family)


@pytest.mark.parametrize(
    ("command", "code", "sentence"),
    [
        ("exit 7", 7, "one ended with code 7; everything else was stopped.\n"),
        ("exit 0", 1, "one ended with code 0; everything else was stopped.\n"),
        ("kill -9 $$", 137, "one was killed by signal 9; everything else was stopped.\n"),
    ],
)
def test_a_process_that_ends_ends_the_rest(supervise, command, code, sentence) -> None:
    process = supervise(
        'supervisor.start("two", ["sh", "-c", "sleep 1001 & echo heard; sleep 1002"])',
        f'supervisor.start("one", ["sh", "-c", "sleep 1; {command}"])',
        "supervisor.wait(lambda: False)",
    )
    family = family_of(process, size=6)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (code, sentence)
    assert output == "two      | heard\n"
    assert not psutil.wait_procs(family, timeout=30)[1]


def test_a_server_that_ends_says_why(supervise, tmp_path: Path) -> None:
    process = supervise(
        'log = Path(sys.argv[1] + "-db")',
        'supervisor.start("db", ["sh", "-c", "echo FATAL: no bits; exit 3"], log=log)',
        "supervisor.wait(lambda: False)",
    )
    _, errors = process.communicate(timeout=30)
    expected = 'db ended with code 3 after "FATAL: no bits"; everything else was stopped.\n'
    assert (process.returncode, errors) == (3, expected)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all(supervise, number: signal.Signals) -> None:
    process = supervise(
        'supervisor.start("one", ["sh", "-c", "sleep 1001 & sleep 1002"])',
        "supervisor.wait(lambda: False)",
    )
    family = family_of(process, size=4)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert not psutil.wait_procs(family, timeout=30)[1]


def test_under_nohup_a_closed_terminal_ends_nothing(supervise) -> None:
    process = supervise("supervisor.wait(lambda: False)", hangup="SIG_IGN")
    family = family_of(process, size=1)
    process.send_signal(signal.SIGHUP)
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert not psutil.wait_procs(family, timeout=30)[1]


def test_a_signal_ends_a_step(supervise) -> None:
    process = supervise('supervisor.run("step", ["sleep", "1000"])')
    family = family_of(process, size=2)
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert not psutil.wait_procs(family, timeout=30)[1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children")
def test_children_end_with_a_supervisor_that_is_killed(supervise) -> None:
    process = supervise(
        'supervisor.start("one", ["sleep", "1000"])', "supervisor.wait(lambda: False)"
    )
    family = family_of(process, size=2)
    process.kill()
    assert not psutil.wait_procs(family, timeout=30)[1]


def test_output_nobody_reads_is_one_sentence(supervise) -> None:
    process = supervise(
        'supervisor.start("one", ["sh", "-c", "while echo line; do :; done"])',
        "supervisor.wait(lambda: False)",
    )
    process.stdout.read(100)
    process.stdout.close()
    assert process.stderr.read() == "The output can't be written: Broken pipe.\n"
    assert process.wait(timeout=30) == 1


def test_the_foreground_command_s_exit_code_is_passed_on(supervise) -> None:
    process = supervise(
        "import os",
        'run = supervisor.run_in_foreground(["sh", "-c", "echo out; exit 5"], '
        "environment=os.environ)",
        "sys.exit(run)",
    )
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (5, "out\n")
