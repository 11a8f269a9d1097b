import sys
from pathlib import Path
from types import ModuleType

import pytest
from unit.servers import running_postgres, running_redis

# The product's package, but not its __init__, which needs Odoo: what lies below the models is imported without it.
product = ModuleType("opterp_kkt")
product.__path__ = [str(Path(__file__).parents[2] / "opterp_kkt")]
sys.modules.setdefault("opterp_kkt", product)


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
