# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The nemesis, one short seed whole; `make nemesis` takes longer ones."""

from poc.nemesis.faults import KINDS, plan
from poc.nemesis.run import Nemesis, Settings

SEED = 5
SECONDS = 16.0
# Those that are over quickly: a stopped process is stopped for longer than its lease.
KINDS_OF_A_SHORT_RUN = tuple(kind for kind in KINDS if not kind.endswith(("_stopped", "_fenced")))


def test_a_short_nemesis_finds_nothing(report):
    with report.scenario(f"nemesis, seed {SEED}") as scenario:
        result = Nemesis(Settings(SEED, SECONDS, tills=3, kinds=KINDS_OF_A_SHORT_RUN), scenario.step).run()
        scenario.figure("; ".join(f"{name.strip()} {value}" for name, value in result.figures().items()))
        assert not result.violations, result.story()
        assert result.faults.strikes and result.traffic.sales


def test_a_seed_gives_one_schedule_and_nothing_is_broken_twice_at_once():
    planned = plan(7, 150, list(KINDS))
    assert planned == plan(7, 150, list(KINDS)) != plan(8, 150, list(KINDS))
    assert {fault.kind for fault in planned} == set(KINDS)
    for thing in {thing for thing, _seconds in KINDS.values()}:
        own = [fault for fault in planned if KINDS[fault.kind][0] == thing]
        assert all(before.at + before.seconds < after.at for before, after in zip(own, own[1:], strict=False))
    assert {fault.kind for fault in plan(7, 60, ["network_cut"])} == {"network_cut"}
