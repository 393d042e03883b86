"""deploy/entrypoint and deploy/health.py, as the image runs them, without a container."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from deploy.local.ports import free_port
from deploy.local.run import PROCESSES, READ_POOL
from tests.conftest import WORKER
from tests.deploy.stack import ROOT

ENTRYPOINT = str(ROOT / "deploy" / "entrypoint")
HEALTH = [sys.executable, str(ROOT / "deploy" / "health.py")]
ROLES = {"web": "api", "worker": "worker", "relay": "relay"}


def health(**environment: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        HEALTH, env=kept | environment, capture_output=True, text=True, check=False
    )


def in_place_of_python(folder: Path, script: str) -> dict[str, str]:
    """Return an environment in which `python` is that script."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def run(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ENTRYPOINT, *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", PROCESSES)
def test_a_role_is_what_make_run_runs(name, tmp_path):
    environment = in_place_of_python(tmp_path, 'echo "$@"')
    words = run(ROLES[name], environment=environment).stdout.split()
    assert [sys.executable, *words] == PROCESSES[name]


def test_the_read_pool_has_a_server_of_its_own(tmp_path):
    environment = in_place_of_python(tmp_path, 'echo "$@"')
    words = run("read-api", environment=environment).stdout.split()
    assert [sys.executable, *words] == READ_POOL


def test_manage_runs_a_command_with_its_arguments_as_they_are(tmp_path):
    environment = in_place_of_python(tmp_path, "printf '%s\\n' \"$@\"")
    done = run("manage", "export_account", "a b", environment=environment)
    assert done.stdout.splitlines() == ["manage.py", "export_account", "a b"]


def test_migrate_makes_the_readers_role_when_it_has_a_password(tmp_path):
    environment = in_place_of_python(tmp_path, 'echo "$@"')
    assert run("migrate", environment=environment).stdout == "manage.py migrate --noinput\n"
    environment["READER_PASSWORD"] = "secret"
    done = run("migrate", environment=environment)
    assert done.stdout.splitlines() == [
        "manage.py migrate --noinput",
        "manage.py create_reader_role",
    ]


def test_a_migration_that_fails_is_the_end(tmp_path):
    environment = in_place_of_python(tmp_path, 'echo "$@"; exit 3')
    done = run("migrate", environment=environment | {"READER_PASSWORD": "secret"})
    assert (done.returncode, done.stdout) == (3, "manage.py migrate --noinput\n")


@pytest.mark.parametrize("role", [(), ("",), ("web",)])
def test_what_is_no_role_is_told_which_there_are(role):
    done = run(*role, environment=dict(os.environ))
    assert done.returncode == 2
    assert "api | read-api | worker [QUEUES] | relay | migrate" in done.stderr


@contextlib.contextmanager
def roles(folder: Path) -> Iterator[dict[str, tuple[subprocess.Popen[bytes], dict[str, str]]]]:
    """Run all roles as containers do, each with the environment in which its health is asked."""
    redis = settings.REDIS_URL.rpartition("/")[0]
    common = os.environ | {
        "DATABASE_URL": f"{os.environ['DATABASE_URL'].rpartition('/')[0]}"
        f"/{connection.settings_dict['NAME']}",
        "REDIS_URL": settings.CACHES["default"]["LOCATION"],
        "CELERY_BROKER_URL": f"{redis}/{40 + WORKER}",
        "WEB_HOST": "127.0.0.1",
        "WEB_WORKERS": "1",
        "WORKER_PROCESSES": "1",
        "TWITTER_ENV": "production",
        "ALLOWED_HOSTS": "twitter.example.com",
    }
    with contextlib.ExitStack() as ending:
        started = {}
        for role in ROLES.values():
            own = {"ALIVE_FILE": str(folder / f"{role}.alive"), "PORT": str(free_port())}
            environment = common | own
            log = ending.enter_context((folder / f"{role}.log").open("wb"))
            process = subprocess.Popen(
                [ENTRYPOINT, role], env=environment, cwd=folder, stdout=log, stderr=log
            )
            ending.callback(process.wait)
            ending.callback(process.kill)
            started[role] = process, environment
        yield started


@pytest.mark.django_db(transaction=True)
def test_each_role_becomes_healthy_and_ends_on_term(tmp_path):
    with roles(tmp_path) as started:
        for role, (process, environment) in started.items():
            deadline = time.monotonic() + 180
            while (looked := health(**environment)).returncode != 0:
                told = looked.stderr + (tmp_path / f"{role}.log").read_text()
                assert process.poll() is None, told
                assert time.monotonic() < deadline, told
                time.sleep(0.1)
        for process, _ in started.values():
            process.terminate()
        for role, (process, _) in started.items():
            assert process.wait(timeout=30) == 0, (tmp_path / f"{role}.log").read_text()
        assert health(**started["api"][1]).returncode == 1, "no process answers any more"
    assert not (tmp_path / "api.alive").exists()


def test_a_process_that_shows_no_more_life_is_not_healthy(tmp_path):
    alive = tmp_path / "alive"
    alive.touch()
    assert health(ALIVE_FILE=str(alive)).returncode == 0
    os.utime(alive, (time.time() - 90,) * 2)
    done = health(ALIVE_FILE=str(alive))
    assert done.returncode == 1
    assert "no sign of life for 9" in done.stderr
