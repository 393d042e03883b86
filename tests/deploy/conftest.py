"""nginx with the shipped configuration: in front of both pools, and of stand-ins for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy import web_servers
from tests.deploy.nginx import LOG_INS, TwoPools, two_pools
from tests.deploy.proxy import Proxy, in_front
from tests.deploy.upstream import Upstream, upstream
from tests.e2e.client import Client, User, sign_up


@pytest.fixture(scope="module")
def pools(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[TwoPools]:
    """Return both pools behind nginx, on the servers and the database of these tests."""
    with django_db_blocker.unblock():
        environment = web_servers.environment(
            # A day, so that no window ends while one counts.
            RATE_LIMIT_LOG_INS_PER_ADDRESS=f"{LOG_INS}/86400",
            LOG_LEVEL="WARNING",
        )
    with two_pools(tmp_path_factory.mktemp("pools"), environment) as running:
        yield running


@pytest.fixture
def anybody(pools: TwoPools) -> Client:
    return Client(pools.url)


@pytest.fixture
def ada(pools: TwoPools, transactional_db: None) -> User:
    return sign_up(pools.url)


@pytest.fixture
def read() -> Iterator[Upstream]:
    """Return what stands where the read pool is expected."""
    with upstream() as server:
        yield server


@pytest.fixture
def write() -> Iterator[Upstream]:
    """Return what stands where the write pool is expected."""
    with upstream() as server:
        yield server


@pytest.fixture
def proxy(read: Upstream, write: Upstream, tmp_path: Path) -> Iterator[Proxy]:
    with in_front(tmp_path / "nginx", read=[read.port], write=[write.port]) as running:
        yield running
