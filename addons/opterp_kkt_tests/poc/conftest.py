# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import os
import signal

import pytest
from harness.report import Report
from harness.shop import Shop

NEEDED = ("PGHOST", "PGPORT", "PGUSER", "ODOO_RC")


def pytest_configure(config):
    # An ended run must end its servers too: fixtures unwind on KeyboardInterrupt, not on SIGTERM's default.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def environment():
    """The cluster, the Odoo and the demo database that the set-up made; without them no proof is possible."""
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        pytest.fail(f"{', '.join(missing)} not set: these proofs are run by `make poc`", pytrace=False)


@pytest.fixture(scope="session")
def report(environment, request):
    """Step lines, the summary and go or no-go; what was found is kept for POC_REPORT.md."""
    report = Report()
    yield report
    failures = request.session.testsfailed
    print(f"\n{report.table()}\n\n{report.decision(failures)}")
    report.save(failures)


@pytest.fixture
def shop(environment):
    """A fresh copy of the demo shop with its own Redis and OFD, no host running yet."""
    with Shop() as shop:
        yield shop
