# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The nemesis, one short seed whole; `make nemesis` takes longer ones."""

import os

import pytest
from poc.nemesis.faults import KINDS, LEFT_OUT, kinds_of, plan
from poc.nemesis.run import Nemesis, Settings

SEED = 5
SECONDS = 16.0
# Those that are over quickly: a stopped process is stopped for longer than its lease.
TOO_LONG = ("_stopped", "_fenced")
ELSEWHERE = [name for name in LEFT_OUT if name == (os.environ.get("PROTOCOL") or name) and name != "http"]


def find_nothing(report, protocol, name, **shop):
    kinds = tuple(kind for kind in kinds_of(protocol) if not kind.endswith(TOO_LONG))
    with report.scenario(name) as scenario:
        result = Nemesis(Settings(SEED, SECONDS, kinds=kinds, protocol=protocol, **shop), scenario.step).run()
        scenario.figure("; ".join(f"{name.strip()} {value}" for name, value in result.figures().items()))
        assert not result.violations, result.story()
        assert result.faults.strikes and result.traffic.sales


def test_a_short_nemesis_finds_nothing(report):
    find_nothing(report, "http", f"nemesis, seed {SEED}", tills=3)


@pytest.mark.at_length
@pytest.mark.parametrize("protocol", ELSEWHERE)
def test_nor_over_another_protocol(report, protocol):
    find_nothing(report, protocol, f"nemesis over {protocol}, seed {SEED}", tills=2, rate=1)


@pytest.mark.parametrize("protocol", LEFT_OUT)
def test_what_is_left_out_has_its_reason(protocol):
    assert set(LEFT_OUT[protocol]) <= set(KINDS) and all(LEFT_OUT[protocol].values())
    assert not set(kinds_of(protocol)) & set(LEFT_OUT[protocol])


def test_a_seed_gives_one_schedule_and_nothing_is_broken_twice_at_once():
    planned = plan(7, 150, list(KINDS))
    assert planned == plan(7, 150, list(KINDS)) != plan(8, 150, list(KINDS))
    assert {fault.kind for fault in planned} == set(KINDS)
    for thing in {thing for thing, _seconds in KINDS.values()}:
        own = [fault for fault in planned if KINDS[fault.kind][0] == thing]
        assert all(before.at + before.seconds < after.at for before, after in zip(own, own[1:], strict=False))
    assert {fault.kind for fault in plan(7, 60, ["network_cut"])} == {"network_cut"}
