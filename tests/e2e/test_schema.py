"""The API does what its schema says, and the schema in the repository is the one it serves."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.e2e.client import Client, User

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

HERE = Path(__file__).parent
SNAPSHOT = HERE.parents[1] / "docs" / "openapi.yaml"
SECONDS = 300


def test_schemathesis_finds_nothing(anybody: Client, join: Callable[[], User]) -> None:
    """All its phases and checks, over all operations; schemathesis.toml says what is left out.

    The user does not lock itself out: schemathesis knows neither its password nor a refresh token.
    """
    user = join()
    user.follow(join())
    user.tweet("something to read")
    paths = yaml.safe_load(anybody.get("/api/schema/").body)["paths"]
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--no-color"),
        *("--config-file", str(HERE / "schemathesis.toml")),
        *("run", f"{anybody.base_url}/api/schema/"),
    ]
    environment = os.environ | {"E2E_TOKEN": user.token or "", "E2E_USER_ID": str(user.id)}
    run = subprocess.run(
        command,
        cwd=HERE.parents[1],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert run.returncode == 0, f"{run.stdout}{run.stderr}"
    operations = sum(len(methods) for methods in paths.values())
    assert f"Tested: {operations}" in run.stdout, run.stdout
    user.get("/auth/me")


def test_the_snapshot_is_what_is_served(anybody: Client) -> None:
    served = yaml.safe_load(anybody.get("/api/schema/").body)
    assert yaml.safe_load(SNAPSHOT.read_text(encoding="utf-8")) == served
