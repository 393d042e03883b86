"""All stories, on the embedded stack or on the service that `make e2e` names."""

import pytest
from pytest_bdd import scenarios

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

scenarios("../features")
