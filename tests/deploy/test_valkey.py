"""The embedded Valkey."""

import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD is Linux's")
def test_it_runs_with_the_allocator_of_the_wheel(valkey):
    """ADR 0017: with glibc's, deliveries take it twice the time."""
    process = valkey.info("server")["process_id"]
    assert "libmimalloc.so" in Path(f"/proc/{process}/maps").read_text()
