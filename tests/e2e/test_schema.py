"""The API does what its schema says, and the schema in the repository is the one it serves.

FUZZ_SECONDS lets it go on with other requests, each time new ones, for so long:
`FUZZ_SECONDS=1800 make test ARGS=tests/e2e/test_schema.py`.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from deploy.local import bootstrap
from tests.e2e.client import Client, User
from tests.e2e.conftest import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

HERE = Path(__file__).parent
SNAPSHOT = HERE.parents[1] / "docs" / "openapi.yaml"
FUZZ_SECONDS = os.environ.get("FUZZ_SECONDS", "")
AS_EVER = ["--max-examples", "8", "--generation-deterministic"]
TIMEOUT_SECONDS = 300 + int(FUZZ_SECONDS or 0)
# What only a password or a refresh token opens. It may find some, for it signs up. With all of them
# tests/test_authorisation.py asks.
NEEDS_A_SECRET = {
    ("POST", "/auth/token"),
    ("POST", "/auth/token/refresh"),
    ("DELETE", "/auth/delete/{user_id}"),
}
NEEDS_NO_TOKEN = {
    *(("POST", "/auth/create"), ("POST", "/auth/token")),
    *(("POST", "/auth/token/refresh"), ("POST", "/auth/token/revoke")),
    *(("GET", f"/{service}/healthz") for service in ("auth", "tweet", "timeline")),
}
SUCCESS = {200, 201, 204}

Operation = tuple[str, str]


def fuzz(base_url: str, folder: Path, *options: str, token: str, user_id: int) -> dict[str, Any]:
    """Run schemathesis, which must find nothing; return what was asked and answered, as HAR.

    All its phases and checks; schemathesis.toml says what is left out. Valid requests and invalid
    ones. What needs a token is asked with it, without one and with a wrong one.
    """
    report = folder / "report.har"
    command = [
        *bootstrap.command("schemathesis", "schemathesis", "--no-color"),
        *("--config-file", str(HERE / "schemathesis.toml")),
        *("run", f"{base_url}/api/schema/", "--report-har-path", str(report), *options),
        *(["--max-time", FUZZ_SECONDS] if FUZZ_SECONDS else AS_EVER),
    ]
    run = subprocess.run(
        command,
        cwd=HERE.parents[1],
        env=os.environ | {"E2E_TOKEN": token, "E2E_USER_ID": str(user_id)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert run.returncode == 0, f"{run.stdout}{run.stderr}"
    har: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return har


def statuses(har: dict[str, Any], operations: set[Operation]) -> dict[Operation, set[int]]:
    """Return what each operation answered."""
    patterns = {path: re.compile(re.sub(r"{\w+}", "[^/]+", path)) for _, path in operations}
    found: dict[Operation, set[int]] = {operation: set() for operation in operations}
    for entry in har["log"]["entries"]:
        asked = urlsplit(entry["request"]["url"]).path
        for method, path in operations:
            if method == entry["request"]["method"] and patterns[path].fullmatch(asked):
                found[method, path].add(entry["response"]["status"])
    return found


@pytest.fixture(scope="module")
def operations(anybody: Client) -> set[Operation]:
    paths = yaml.safe_load(anybody.get("/api/schema/").body)["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def test_schemathesis_finds_nothing_as_a_user(
    anybody: Client, join: Callable[[], User], operations: set[Operation], tmp_path: Path
) -> None:
    """The user does not lock itself out: its password and refresh token are not known here."""
    user = join()
    user.follow(join())
    user.tweet("something to read")
    har = fuzz(anybody.base_url, tmp_path, token=user.token or "", user_id=user.id)
    answered = statuses(har, operations)
    assert {each for each, found in answered.items() if not found & SUCCESS} <= NEEDS_A_SECRET
    user.get("/auth/me")


def test_schemathesis_finds_nothing_as_a_moderator(stack: Stack, tmp_path: Path) -> None:
    """Renaming, the only way to lose this account, is left out."""
    moderator = User(stack.url, username="admin", password=stack.admin_password)
    options = ("--phases", "examples,coverage", "--exclude-path", "/auth/update")
    fuzz(stack.url, tmp_path, *options, token=moderator.token or "", user_id=moderator.id)
    moderator.get("/auth/me")


def test_schemathesis_opens_nothing_as_nobody(
    anybody: Client, ada: User, operations: set[Operation], tmp_path: Path
) -> None:
    options = ("--phases", "examples,coverage")
    har = fuzz(anybody.base_url, tmp_path, *options, token="nobody.signed.this", user_id=ada.id)
    answered = statuses(har, operations)
    assert {each for each, found in answered.items() if found & SUCCESS} <= NEEDS_NO_TOKEN
    assert {each for each, found in answered.items() if 401 in found} >= operations - NEEDS_NO_TOKEN


def test_the_snapshot_is_what_is_served(anybody: Client) -> None:
    served = yaml.safe_load(anybody.get("/api/schema/").body)
    assert yaml.safe_load(SNAPSHOT.read_text(encoding="utf-8")) == served
