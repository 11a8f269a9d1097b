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
    assert kept([FIRST], RECEIPTS[1:], HISTORY)[0].startswith("lost: sale a")
    assert "accepted 0 times" in kept([FIRST], RECEIPTS, HISTORY[1:])[0]


def test_a_sale_that_is_accepted_twice_or_over_another_sum_is_seen():
    assert "accepted 2 times" in kept([FIRST], RECEIPTS, [*HISTORY, accepted("ka", 100)])[0]
    assert "over 100" in kept([FIRST], RECEIPTS, [accepted("ka", 99)])[0]


def test_an_exchange_is_judged_by_what_was_paid_for_its_two_documents():
    sold, taken_back = (
        Receipt("ks", "9999", 5, uuid="x", operation_type="1"),
        Receipt("kt", "9999", 6, uuid="x", operation_type="2"),
    )
    exchange = Promise("x", 70, (3, 0), kind="exchange")
    history = [accepted("ks", 100), accepted("kt", 30)]
    assert kept([exchange], [sold, taken_back], history) == []
    assert "over 100" in kept([exchange], [sold, taken_back], history[:1])[-1]
    assert kept([replace(exchange, total=-70, kind="refund")], [replace(taken_back, uuid="x")], [accepted("kt", 70)]) == []


def test_a_number_that_was_shown_and_is_anothers_is_seen():
    assert kept([replace(FIRST, numbers=(1,))], RECEIPTS, HISTORY) == []
    assert "FD [2]" in kept([replace(FIRST, numbers=(1, 2))], RECEIPTS, HISTORY)[0]


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
