"""Each service says how it is."""

import pytest

from tests.e2e.client import Client, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]


@pytest.mark.parametrize("service", ["auth", "tweet", "timeline"])
@pytest.mark.parametrize("spelling", ["healthz", "helthz"])
def test_alive_and_ready(anybody: Client, service: str, spelling: str) -> None:
    path = f"/{service}/{spelling}"
    assert anybody.get(path).json == {"status": "ok"}
    parts = {"postgres": "ok", "redis": "ok", "relay": "ok", "worker": "ok"}

    def ready() -> None:
        assert anybody.get(path, ready=1).json == {"status": "ok", "parts": parts}

    eventually(ready)
