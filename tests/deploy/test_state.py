"""The state folder: secrets, lock, and what is said when it can't be written."""

import multiprocessing
import os
import stat
import subprocess
from pathlib import Path

import pytest

from deploy.local.errors import StackError
from deploy.local.state import InUseError, hold
from tests.deploy.stack import refusal


def test_secrets_are_made_once_and_are_private(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with hold(path) as state:
        made = state.secrets()
        assert state.secrets() == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((path / "secrets.json").stat().st_mode) == 0o600
    with hold(path) as state:
        assert state.secrets() == made
    with hold(tmp_path / "other") as other:
        assert not set(other.secrets().values()) & set(made.values())


def test_a_folder_has_one_holder(tmp_path: Path) -> None:
    servers = {"DATABASE_URL": "postgres://there", "REDIS_URL": "redis://there"}
    with hold(tmp_path) as state:
        state.announce(url="http://127.0.0.1:1", servers=servers)
        with pytest.raises(InUseError) as refused, hold(tmp_path):
            pass
        assert refused.value.servers == servers
        assert f"(process {os.getpid()}, http://127.0.0.1:1)" in str(refused.value.reason)
    with hold(tmp_path):
        assert not (tmp_path / "running.json").exists()


def test_what_a_killed_holder_announced_is_deleted(tmp_path: Path) -> None:
    def be_killed() -> None:
        with hold(tmp_path) as state:
            state.announce(url="http://127.0.0.1:1", servers={})
            os.kill(os.getpid(), 9)

    holder = multiprocessing.get_context("fork").Process(target=be_killed)
    holder.start()
    holder.join()
    assert (tmp_path / "running.json").exists()
    with hold(tmp_path):
        assert not (tmp_path / "running.json").exists()


def test_a_file_is_no_state_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StackError, match="not a folder"), hold(path):
            pass


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("ro", "it is on a read-only file system"),
        ("size=8m", "its disk is full"),
    ],
)
def test_a_state_folder_that_cannot_be_written_is_said_in_one_sentence(
    tmp_path: Path, options: str, why: str
) -> None:
    mount = f'mount -t tmpfs -o {options} tmpfs "$STATE_DIR" && exec "$@"'
    prefix = ("unshare", "--user", "--map-root-user", "--mount", "--", "sh", "-c", mount, "sh")
    try:
        there = os.environ | {"STATE_DIR": str(tmp_path)}
        probe = subprocess.run([*prefix, "true"], env=there, check=False)
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if probe.returncode != 0:
        pytest.skip("mounting in a user namespace is not allowed here")
    code, sentence = refusal(tmp_path, prefix=prefix)
    assert code == 1
    assert sentence.startswith(f"The state folder {tmp_path} can't be used: {why}.")
    assert sentence.count("\n") == 1
