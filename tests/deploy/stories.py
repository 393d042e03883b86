"""Runs the stories of tests/e2e/features through nginx and both pools: `make prove/pools`.

The service is whole: a read pool with the role that may only SELECT, a write pool, worker and
relay, and nginx in front with the shipped configuration. DATABASE_URL and REDIS_URL must be new and
empty.
"""

import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

import django

from deploy.local import run
from tests.bench.stack import ending

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Return the exit code of the stories."""
    subprocess.run([*run.MANAGE, "migrate", "--noinput", "--verbosity", "0"], cwd=ROOT, check=True)
    django.setup()
    from accounts import facade as accounts
    from tests.deploy.nginx import two_pools

    moderator = {"ADMIN_USERNAME": "moderator", "ADMIN_PASSWORD": secrets.token_hex(16)}
    accounts.create_admin(username="moderator", password=moderator["ADMIN_PASSWORD"])

    with tempfile.TemporaryDirectory() as name, ending() as supervisor:
        folder = Path(name)
        for process in ("worker", "relay"):
            supervisor.start(
                process,
                run.PROCESSES[process],
                environment=os.environ,
                log=folder / f"{process}.log",
            )
        with two_pools(folder, os.environ) as pools:
            stories = [sys.executable, "-m", "deploy.local", "e2e", pools.url]
            told = os.environ | moderator
            return subprocess.run(stories, cwd=ROOT, env=told, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
