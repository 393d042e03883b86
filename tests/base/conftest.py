"""Valkey behind TLS."""

import shutil
import ssl
import subprocess

import pytest

from tests.base.data.forwarder import Forwarder


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return the file of a self-signed certificate for 127.0.0.1, its key in it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(file), "-out", f"{file}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text() + file.with_name("server.pem.crt").read_text())
    return file


@pytest.fixture
def tls_url(settings, certificate):
    """Return the address of the test's Redis database behind TLS, without options."""
    plain, _, database = settings.CACHES["default"]["LOCATION"].rpartition("/")
    access, _, port = plain.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Forwarder(int(port), tls=context) as server:
        yield f"{access.replace('redis://', 'rediss://')}:{server.port}/{database}"


@pytest.fixture
def over_tls(settings, tls_url):
    """Return a function that points the cache at that address, with options."""

    def point(options=""):
        settings.CACHES = {
            "default": {**settings.CACHES["default"], "LOCATION": f"{tls_url}{options}"}
        }

    return point
