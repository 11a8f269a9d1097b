# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The till's nemesis, one short seed; `make till` takes longer ones."""

import os

import pytest
from harness.browser import executable
from poc.till_nemesis.run import TillNemesis

SEED = 7
SECONDS, TILLS = (15.0, 1) if os.environ.get("SHORT") else (60.0, 2)


@pytest.mark.skipif(not executable, reason="no Chromium or Chrome here")
def test_what_a_page_shows_as_paid_is_at_the_ofd(report):
    with report.scenario(f"the till's nemesis, seed {SEED}") as scenario:
        result = TillNemesis(SEED, SECONDS, scenario.step, TILLS).run()
        scenario.figure("; ".join(f"{name.strip()} {value}" for name, value in result.figures().items()))
        assert not result.violations, "\n".join(result.violations)
        assert result.struck and all(cashier.promises for cashier in result.cashiers)
