# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The judge against small histories made by hand: it is silent about a good one, and each fault alone makes
it speak.
"""

import pytest
from poc import judge
from poc.judge import Receipt

DRIVE = "9999078900001234"


def request(seq, fd_number, outcome="accepted", *, key=None, arrived=None, answered=0, method="POST", **more):
    """One line of history; request n arrives at n seconds and is answered half a second later."""
    arrived = seq * 1000.0 if arrived is None else arrived
    return {
        "seq": seq,
        "arrived": arrived,
        "answered": arrived + 500 if answered == 0 else answered,
        "method": method,
        "register": DRIVE,
        "key": key or f"k{fd_number}",
        "fd_number": fd_number,
        "epoch": 1,
        "sha256": f"bytes of {key or fd_number}",
        "outcome": outcome,
    } | more


def receipt(fd_number, **more):
    values = {
        "key": f"k{fd_number}",
        "register": DRIVE,
        "fd_number": fd_number,
        "hlc": (1000 + (fd_number or 0), 0),
        "order": fd_number,
    }
    return Receipt(**values | more)


GOOD = [
    request(1, 1),
    request(2, 2, "failed"),
    request(3, 2, "lookup_miss", method="GET", sha256=None),
    request(4, 2),
    request(5, 3),
    request(6, 3, "duplicate"),
    request(7, 4, "refused"),
    request(8, 5),
]
RECEIPTS = [receipt(1), receipt(2), receipt(3), receipt(4, state="rejected"), receipt(5)]
ORDERS = [1, 2, 3, 4, 5]


def test_a_good_history_is_left_alone():
    assert judge.violations(GOOD, RECEIPTS, ORDERS) == []


@pytest.mark.parametrize(
    "history, receipts, orders, words",
    [
        (GOOD, RECEIPTS, [*ORDERS, 6], "order 6 is paid and has no receipt"),
        (GOOD, [*RECEIPTS[:4], receipt(5, order=3)], [1, 2, 3, 4], "order 3 has 2 receipts"),
        (GOOD, [*RECEIPTS, receipt(None, key="x", order=6, state="rejected")], [*ORDERS, 6], "the OFD never refused it: FD None"),
        (GOOD, [*RECEIPTS, receipt(6)], [*ORDERS, 6], "lost: FD 6"),
        (GOOD, [receipt(1, state="sending"), *RECEIPTS[1:]], ORDERS, "not recorded: FD 1"),
        ([*GOOD, request(9, 5)], RECEIPTS, ORDERS, "accepted 2 times: key k5"),
        ([*GOOD, request(9, 6)], RECEIPTS, ORDERS, "the shop knows nothing of it: key k6"),
        ([*GOOD, request(9, 5, "duplicate", sha256="other")], RECEIPTS, ORDERS, "key k5 was sent with 2 different contents"),
        ([*GOOD, request(9, 5, "conflict")], RECEIPTS, ORDERS, "conflict: key k5 at request 9"),
        (
            [request(1, 2), request(2, 1)],
            [receipt(1), receipt(2)],
            [1, 2],
            "FD 1 (request 2, key k1) was accepted after POST of FD 2",
        ),
        (
            [request(1, 1), request(2, 3)],
            [receipt(1), receipt(3)],
            [1, 3],
            "was accepted after POST of FD 1 (request 1, key k1), without [2]",
        ),
        (
            [request(1, 1), request(2, 1, key="x")],
            [receipt(1), receipt(1, key="x", order=2, hlc=(2000, 0))],
            [1, 2],
            "FD 1 (request 2, key x) was accepted after POST of FD 1",
        ),
        ([request(1, 1), request(2, 2, arrived=1400.0)], RECEIPTS[:2], [1, 2], "request 2, key k2) arrived while POST of FD 1"),
        ([request(1, 1), request(2, 2, epoch=0)], RECEIPTS[:2], [1, 2], "accepted from epoch 0 after epoch 1"),
        ([request(1, 1), request(2, 2)], [receipt(1), receipt(2, hlc=(1001, 0))], [1, 2], "FD 2 has HLC (1001, 0), not later"),
        (
            [request(1, 1), request(2, 1, register="other", key="r")],
            [receipt(1), receipt(1, key="r", register="other", refunds="k1", order=2)],
            [1, 2],
            "not later than (1001, 0) of its sale",
        ),
    ],
)
def test_each_fault_is_seen_and_only_that(history, receipts, orders, words):
    found = judge.violations(history, receipts, orders)
    assert len(found) == 1 and words in found[0], found


def test_a_refused_document_that_is_accepted_later_is_out_of_the_order():
    history = [*GOOD, request(9, 4)]
    assert judge.violations(history, [*RECEIPTS[:3], receipt(4), RECEIPTS[4]], ORDERS) == []


def test_an_answer_that_never_came_ends_with_the_next_question_about_its_key():
    hung = request(1, 1, "in_flight", answered=None)
    looked_up = request(2, 1, "lookup_miss", method="GET", register=None, sha256=None)
    assert judge.one_in_flight([hung, looked_up, request(3, 1), request(4, 2)]) == []
    assert len(judge.one_in_flight([hung, request(4, 2)])) == 1


def test_a_slow_sender_is_still_under_way_when_a_second_one_is_already_done():
    slow = request(1, 1, answered=9000.0)
    second = [request(2, 1, "duplicate"), request(3, 2)]
    assert "request 3" in judge.one_in_flight([slow, *second])[0]


def test_an_acceptance_whose_answer_was_dropped_counts():
    dropped = request(1, 1, "dropped", accepted=True)
    assert judge.violations([dropped, request(2, 1, "lookup_hit", method="GET", accepted=False)], [receipt(1)]) == []
    assert judge.violations([dropped, request(2, 1, accepted=True)], [receipt(1)]) == ["accepted 2 times: key k1"]


def test_registers_do_not_wait_for_each_other():
    other = {"register": "other", "key": "o7"}
    history = [request(1, 1, answered=9000.0), request(2, 7, **other), request(3, 8, **other | {"key": "o8"})]
    assert judge.one_in_flight(history) == judge.in_order(history) == judge.epochs_never_fall(history) == []
