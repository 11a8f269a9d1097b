# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The verdict of the till's nemesis sees what it is there for."""

from dataclasses import replace

from harness.judge import Receipt
from poc.till_nemesis.faults import KINDS, plan
from poc.till_nemesis.verdict import Promise, in_the_tills_order, kept, nothing_else, true_on_the_screen

FIRST, SECOND = Promise("a", 100, (1, 0)), Promise("b", 200, (2, 0))
RECEIPTS = [Receipt("ka", "9999", 1, uuid="a"), Receipt("kb", "9999", 2, uuid="b")]


def accepted(key: str, total: int) -> dict:
    return {"key": key, "outcome": "accepted", "total_sum": total}


HISTORY = [accepted("ka", 100), accepted("kb", 200)]


def test_a_good_run_has_no_violation():
    assert kept([FIRST, SECOND], RECEIPTS, HISTORY) == nothing_else(["a", "b", "c"], RECEIPTS) == []
    assert in_the_tills_order([SECOND, FIRST], RECEIPTS) == true_on_the_screen({"a": "delivered"}, {"a": "delivered"}) == []


def test_a_sale_that_is_lost_on_the_way_to_the_server_or_to_the_ofd_is_seen():
    assert kept([FIRST], RECEIPTS[1:], HISTORY)[0].startswith("lost: order a")
    assert "accepted 0 times" in kept([FIRST], RECEIPTS, HISTORY[1:])[0]


def test_a_sale_that_is_accepted_twice_or_over_another_sum_is_seen():
    assert "accepted 2 times" in kept([FIRST], RECEIPTS, [*HISTORY, accepted("ka", 100)])[0]
    assert "over 100" in kept([FIRST], RECEIPTS, [accepted("ka", 99)])[0]


def test_a_receipt_of_no_sale_is_seen():
    assert nothing_else(["a"], RECEIPTS) == [f"nobody sold it: {RECEIPTS[1]}"]


def test_sales_that_arrive_out_of_order_are_seen():
    late = [replace(RECEIPTS[0], fd_number=3), RECEIPTS[1]]
    assert len(in_the_tills_order([FIRST, SECOND], late)) == 1
    assert in_the_tills_order([FIRST, replace(SECOND, till=1)], late) == []


def test_what_the_screen_shows_wrong_is_seen():
    assert true_on_the_screen({"a": "pending"}, {"a": "delivered"}) == ["order a is shown as pending, but it is delivered"]
    assert len(true_on_the_screen({"a": "pending"}, {})) == 1


def test_a_seed_gives_one_schedule_in_which_a_thing_is_broken_once_at_a_time():
    planned = plan(7, 300, 2)
    assert planned == plan(7, 300, 2) != plan(8, 300, 2)
    assert {fault.kind for fault in planned} == set(KINDS)
    for thing in {fault.thing for fault in planned}:
        own = [fault for fault in planned if fault.thing == thing]
        assert all(before.at + before.seconds < after.at for before, after in zip(own, own[1:], strict=False))
