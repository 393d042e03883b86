"""The servers that the processes of this project need, as environment variables."""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local import postgres, valkey
from deploy.local.state import StateFolder, hold
from deploy.local.supervisor import Supervisor


def start(supervisor: Supervisor, state: StateFolder) -> dict[str, str]:
    """Return DATABASE_URL and REDIS_URL: those of the environment, else of embedded servers."""
    return {
        "DATABASE_URL": os.environ.get("DATABASE_URL")
        or postgres.start(supervisor, state, throwaway=False),
        "REDIS_URL": os.environ.get("REDIS_URL") or valkey.start(supervisor, state),
    }


def environment(state: StateFolder, servers: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of this project's processes; docs/configuration.md has it."""
    secrets = state.secrets()
    inherited = dict(os.environ)
    if servers["REDIS_URL"] != os.environ.get("REDIS_URL"):
        inherited.pop("CELERY_BROKER_URL", None)  # it belongs to a Redis that is not used
    return {
        "TWITTER_ENV": "development",
        "SECRET_KEY": secrets["SECRET_KEY"],
        "JWT_SIGNING_KEYS": secrets["JWT_SIGNING_KEYS"],
        "PYTHONUNBUFFERED": "1",
        **inherited,
        **servers,
        "DJANGO_SETTINGS_MODULE": "twitter.settings",
        "STATE_DIR": str(state.path),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }


def run_with(command: Sequence[str], *, throwaway: bool = True) -> int:
    """Run a command with servers of its own, which are gone afterwards; return its exit code.

    DATABASE_URL and REDIS_URL of the environment are not used: tests empty what they are given.
    `throwaway`: PostgreSQL may lose everything in a crash, and is faster for it.
    """
    with (
        tempfile.TemporaryDirectory(prefix="twitter-", ignore_cleanup_errors=True) as folder,
        hold(Path(folder)) as state,
        Supervisor() as supervisor,
    ):
        urls = {
            "DATABASE_URL": postgres.start(supervisor, state, throwaway=throwaway),
            "REDIS_URL": valkey.start(supervisor, state),
        }
        surroundings = environment(state, urls)
        # Hundreds of processes follow, each of which would compile this project again.
        surroundings.pop("PYTHONDONTWRITEBYTECODE", None)
        return supervisor.run_in_foreground(command, environment=surroundings)
