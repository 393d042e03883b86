"""`make run` from its first start to its end: real servers, web, worker and relay."""

import signal
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from deploy.local.ports import free_port
from tests.deploy.stack import READY_SECONDS, Stack, environment, manage, refusal, running


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the state folder of all copies of this module: longer than a Unix socket's path."""
    return tmp_path_factory.mktemp("a folder's long name " * 6) / "state"


def get(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.status


def assert_gone(family: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive


def wait_for(stack: Stack, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not condition():
        assert stack.process.poll() is None, stack.output.read_text()
        assert time.monotonic() < deadline, stack.output.read_text()
        time.sleep(0.05)


def accounts(stack: Stack) -> int:
    with psycopg.connect(stack.servers()["DATABASE_URL"]) as connection:
        row = connection.execute("SELECT count(*) FROM accounts_account").fetchone()
        assert row is not None
        return row[0]


def test_first_start_a_process_that_dies_and_second_start(state: Path, tmp_path: Path) -> None:
    settings = {"ADMIN_PATH": "staff/office/", "WEB_HOST": "0.0.0.0"}
    with running(state, tmp_path / "first", PORT=str(free_port()), **settings) as stack:
        stack.wait_until_ready()
        assert get(f"{stack.url}/auth/healthz?ready=1") == 200
        output = stack.output.read_text()
        office = f"{stack.url}/staff/office/"
        for said in (f"{stack.url}/api/docs/", f"{office} ", "as admin", "Demo user"):
            assert said in output
        assert "WEB_HOST is 0.0.0.0: clients that send or read slowly can stop this" in output
        assert get(office) == 200
        assert "Unavailable" not in output  # it asks until all is there, and says nothing of that

        made = accounts(stack)
        assert made > 1
        private = ("secrets.json", "running.json", "postgresql.conf", "valkey.conf")
        assert {(state / name).stat().st_mode & 0o777 for name in private} == {0o600}

        code, sentence = refusal(state, PORT=str(free_port()))
        assert code == 1
        assert f"in use by another running copy (process {stack.process.pid}" in sentence
        assert sentence.count("\n") == 1

        verified = manage(state, "verify_timelines", "--all")
        assert verified.returncode == 0, verified.stderr
        assert verified.stdout.startswith("0 homes compared, 0 differ.\nThere is no home")
        assert manage(state, "verify_timelines", "--user", "nobody").returncode == 1
        status = manage(state, "status")
        assert status.returncode == 0, status.stdout
        assert "WRONG" not in manage(state, "doctor").stdout

        family = stack.family()
        stack.processes()["relay"].kill()
        assert stack.process.wait(timeout=60) == 128 + signal.SIGKILL
        assert "relay was killed by signal 9; everything else was stopped." in (
            stack.output.read_text()
        )
        assert_gone(family)

    with running(state, tmp_path / "second", PORT=str(free_port())) as stack:
        wait_for(stack, (state / "running.json").exists)
        assert accounts(stack) == made
        assert "demo" not in stack.output.read_text(), "demo data are made once"

        family = stack.family()
        stack.process.terminate()
        assert stack.process.wait(timeout=60) == 128 + signal.SIGTERM
        assert_gone(family)
        assert "database system is shut down" in (state / "postgres.log").read_text()


def test_a_copy_that_was_killed_is_recovered(state: Path, tmp_path: Path) -> None:
    """The copy's processes end after it (Linux tells them), and the next start waits for that."""
    with running(state, tmp_path / "first", PORT=str(free_port())) as stack:
        wait_for(stack, lambda: {"bin/postgres", "valkey-server"} <= stack.processes().keys())
        family = stack.family()
        stack.process.kill()
        stack.process.wait()
    with running(state, tmp_path / "second", PORT=str(free_port())) as stack:
        wait_for(stack, lambda: "migrate" in stack.output.read_text())
        assert_gone(family)
        stack.process.send_signal(signal.SIGINT)
        assert stack.process.wait(timeout=60) == 128 + signal.SIGINT


def test_a_command_for_a_new_state_folder_says_that_it_is_new(tmp_path: Path) -> None:
    done = manage(tmp_path / "new", "verify_timelines")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{tmp_path / 'new'} is new: its database is empty until `make run/migration`.",
        "manage.py: The database lacks a table: run `manage.py migrate` first.",
    ]


def test_a_taken_port_is_said_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, sentence = refusal(tmp_path / "state", PORT=str(port))
    assert code == 1
    assert sentence.startswith(f"Port {port} is taken by another program.")
    assert sentence.count("\n") == 1


@pytest.mark.parametrize("port", ["none", "0", "65536", "-1", "²"])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: str) -> None:
    code, sentence = refusal(tmp_path / "state", PORT=port)
    assert code == 1
    assert sentence == f"PORT must be a number from 1 to 65535, not {port!r}.\n"


def test_a_path_prefix_is_refused_in_one_sentence(tmp_path: Path) -> None:
    code, sentence = refusal(tmp_path / "state", PORT=str(free_port()), SCRIPT_NAME="/tw")
    assert code == 1
    assert sentence.startswith("SCRIPT_NAME: the service can't live below a path")
    assert sentence.count("\n") == 1


def test_stack_has_an_environment_of_its_own(tmp_path: Path) -> None:
    assert "DATABASE_URL" not in environment(tmp_path)
