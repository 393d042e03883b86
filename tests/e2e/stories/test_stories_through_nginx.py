"""Stories of reading, on the same service behind the shipped nginx: one pool reads, one writes.

`make e2e` runs them all on whatever nginx one has.
"""

from collections.abc import Iterator

import pytest
from pytest_bdd import scenarios

from tests.deploy.nginx import needs_nginx, two_pools
from tests.e2e.conftest import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e"), needs_nginx]

scenarios("../features/reading.feature")


@pytest.fixture(scope="module")
def base_url(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of nginx; worker and relay are the stack's own."""
    if not stack.environment:
        pytest.skip("pools cannot be added to a service that was not started here")
    with two_pools(tmp_path_factory.mktemp("pools"), stack.environment) as pools:
        yield pools.url
