"""The tutorial shows code that is in the files which it names."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")


def blocks():
    """Return each block of code, with the file that the heading above it names."""
    found = []
    for section in re.split(r"^## ", TUTORIAL, flags=re.MULTILINE)[1:]:
        heading, _, rest = section.partition("\n")
        file = re.search(r"`(.+)`", heading)
        codes = re.findall(r"^```python\n(.*?)^```", rest, flags=re.MULTILINE | re.DOTALL)
        found += [(file[1], code) for code in codes]
    return found


@pytest.mark.parametrize(("file", "code"), blocks())
def test_a_block_is_in_its_file(file, code):
    assert code in (ROOT / file).read_text(encoding="utf-8")


def test_there_are_blocks_of_each_kind_of_file():
    assert len({file for file, _ in blocks()}) == 4
