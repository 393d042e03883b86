"""The examples of README and of docs/api.md, run as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Stack

ROOT = Path(__file__).parents[2]
EXAMPLE = re.compile(
    r"^```(sh|python)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL
)
MADE_BY_RUN = "http://127.0.0.1:8080"
END_OF_BLOCK = "--- end of block ---"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("e2e"),
    pytest.mark.skipif(
        not (shutil.which("curl") and shutil.which("bash")),
        reason="there is no curl: install it, for example `apt-get install curl`",
    ),
]


def examples(document: str, *, section: str = "") -> Iterator[tuple[str, str, str | None]]:
    """Yield the examples of a document: language, code, and what it prints (None: not said)."""
    text = (ROOT / document).read_text(encoding="utf-8")
    if section:
        text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    for language, code, output in EXAMPLE.findall(text):
        yield language, code, output or None


@pytest.mark.parametrize(
    ("document", "section"),
    [("README.md", "A tour in five minutes"), ("docs/api.md", "")],
    ids=["README", "api"],
)
def test_the_examples_do_what_they_say(stack: Stack, document: str, section: str) -> None:
    blocks = list(examples(document, section=section))
    assert len(blocks) > 3
    script = "set -euo pipefail\n"
    for language, code, _ in blocks:
        script += f"{sys.executable} - <<'END'\n{code}END\n" if language == "python" else code
        script += f"echo '{END_OF_BLOCK}'\n"
    done = subprocess.run(
        ["bash", "-c", script.replace(MADE_BY_RUN, stack.url)],
        env=os.environ | {"no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    printed = done.stdout.split(f"{END_OF_BLOCK}\n")
    for (_, code, expected), actual in zip(blocks, printed, strict=False):
        assert expected in (None, actual), code
