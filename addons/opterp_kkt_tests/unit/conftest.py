import harness.product  # noqa: F401  (tests import the product's package without Odoo)
import pytest
from unit.servers import running_postgres, running_redis


@pytest.fixture
def redis_server(tmp_path):
    """An empty Redis of this test's own."""
    with running_redis(tmp_path / "redis") as server:
        yield server


@pytest.fixture(scope="session")
def postgres():
    """One PostgreSQL for all tests; a test that stops it must start it again."""
    with running_postgres() as server:
        yield server
