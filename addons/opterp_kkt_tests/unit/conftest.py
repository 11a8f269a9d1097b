import ssl
import subprocess

import harness.product  # noqa: F401  (tests import the product's package without Odoo)
import pytest
import requests.adapters
from harness.stack import Emulator, Postgres, Redis
from hypothesis import HealthCheck, settings
from unit.transport_peer import TOKEN

# A busy machine is no failure: no example has a deadline, and none is too slow to make.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture
def redis_server():
    """An empty Redis of this test's own."""
    with Redis() as server:
        yield server


@pytest.fixture(scope="session")
def postgres():
    """One PostgreSQL for all tests; a test that stops it must start it again."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def emulator():
    """What documents are sent to: an OFD, a register on the counter and a cloud in one, with a token that is a password, too."""
    with Emulator(token=TOKEN) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate for localhost, signed by itself: (path of the certificate, the server's TLS context)."""
    path = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command += " -addext subjectAltName=DNS:localhost"
    subprocess.run([*command.split(), "-keyout", path / "key", "-out", path / "crt"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path / "crt", path / "key")
    return str(path / "crt"), context


@pytest.fixture
def trusted(authority, monkeypatch):
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", authority[0])
    return authority[1]
