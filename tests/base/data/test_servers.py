"""The addresses of servers: a broker over TLS is one whose certificate is good."""

import kombu
import pytest
from kombu.exceptions import OperationalError

from twitter.base.data import servers


def reach(url):
    with kombu.Connection(servers.broker("CELERY_BROKER_URL", url, redis_url="")) as connection:
        connection.ensure_connection(max_retries=1, timeout=5)
        assert connection.default_channel.client.ping()


def test_a_broker_over_tls_needs_a_certificate_that_is_vouched_for(tls_url, certificate):
    """kombu by itself would check none."""
    with pytest.raises(OperationalError, match="certificate"):
        reach(tls_url)
    reach(f"{tls_url}?ssl_ca_certs={certificate}")
    reach(f"{tls_url}?ssl_cert_reqs=none")
