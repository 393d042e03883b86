"""The short form of `make chaos`: each fault once, for about a second."""

import subprocess
from pathlib import Path

from deploy.local import bootstrap

ROOT = Path(__file__).resolve().parents[2]
SHORT = ["--seeds", "1", "--faults", "15", "--longest", "1.0", "--recovery", "1.0"]


def test_whatever_was_promised_is_there_after_every_fault() -> None:
    done = subprocess.run(
        bootstrap.command("bench", "python", "-m", "tests.chaos", *SHORT),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-5_000:]
