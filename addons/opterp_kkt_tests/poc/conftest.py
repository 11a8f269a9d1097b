# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import os
import signal
from contextlib import nullcontext, suppress
from functools import cache
from pathlib import Path

import pytest
from harness import nursery
from harness.excerpt import what_to_look_at
from harness.report import Report
from harness.shop import Shop

NEEDED = ("PGHOST", "PGPORT", "PGUSER", "ODOO_RC")


def pytest_configure(config):
    # An ended run must end its servers too: fixtures unwind on KeyboardInterrupt, not on SIGTERM's default.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    config.addinivalue_line("markers", "at_length: a part of `make proofs` and `make poc`, which `make test` (SHORT) leaves out")


def pytest_collection_modifyitems(items):
    """The POCs and the nemeses are the longest: with them at the beginning, lanes end at about the same time."""
    items.sort(key=lambda item: not any(name in item.path.name for name in ("poc_", "nemesis")))
    for item in items:
        if os.environ.get("SHORT") and item.get_closest_marker("at_length"):
            item.add_marker(pytest.mark.skip(reason="a part of make proofs"))


def pytest_runtest_protocol(item):
    """Where several runs share the proofs, leave a file to the run that came to it first."""
    return None if _is_ours(item.path.stem) else True


@cache
def _is_ours(name: str) -> bool:
    """`KKT_SHARED` is the folder where the runs leave their marks."""
    shared = os.environ.get("KKT_SHARED")
    with suppress(FileExistsError):
        if shared:
            (Path(shared) / name).touch(exist_ok=False)
        return True
    return False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.failed and (report := item.funcargs.get("report")):
        scenario = report.scenarios[-1].name if report.scenarios else item.name
        outcome.sections.append((f"what to look at: {scenario}", what_to_look_at(call.start)))
    return outcome


@pytest.fixture(scope="session")
def environment():
    """The cluster, the Odoo and the demo database that the set-up made; without them no proof is possible.

    At full length (`SLOW`) every Odoo process is a program of its own, started as an administrator starts it.
    """
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        pytest.fail(f"{', '.join(missing)} not set: these proofs are run by `make poc`", pytrace=False)
    with nullcontext() if os.environ.get("SLOW") else nursery.opened():
        yield


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
