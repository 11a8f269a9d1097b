# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A register on the counter, through the web server of the ATOL driver (emulated): real Odoo, real crons, real HTTP. It
fiscalises each receipt once and in order, when answers get lost after fiscalisation, when it is busy and when the paper ends.
"""

from contextlib import suppress

import pytest
from harness.processes import wait_until
from harness.receivers import get_receiver, open_elsewhere
from harness.till import Client, RpcError

DRIVE = get_receiver("atol_web", 1).drive
SETTLED = """
    SELECT r.fd_number, r.fiscal_sign, r.qr, r.shift_number, r.document_type, r.total, r.state, r.queue_number, r.pos_order_id
      FROM kkt_receipt r JOIN kkt_register g ON g.id = r.register_id AND g.fiscal_drive_number = %s
     ORDER BY r.queue_number
"""
WAITING_MOVES = "SELECT count(*) FROM kkt_cash_move WHERE state = 'waiting'"
WITHOUT_PAPER = "SELECT count(*) FROM kkt_cash_move WHERE last_error LIKE '44:%%'"
BESIDE = ("cashIn", "cashOut", "printFnDocument", "reportX")
TYPES = {"receipt": "sell", "shift_open": "openShift", "shift_close": "closeShift"}


@pytest.fixture
def counter(shop):
    """A shop whose first till has a register on the counter, and a host that delivers."""
    yield open_elsewhere(shop, "atol_web")


def delivered(shop):
    """What the shop's database says was fiscalised, in the order of its queue."""
    return shop.database.query(SETTLED, DRIVE)


def count_sales(shop):
    return len([record for record in shop.ofd.history() if record["accepted"] and record["document_type"] == "sell"])


def assert_once_and_in_order(shop, orders):
    """The drive has each document once, in the order of the queue, and the shop has the drive's numbers."""
    on_drive = [
        (record["document_type"], record["total_sum"], record["fd_number"], record["ofd_id"])
        for record in shop.ofd.history()
        if record["accepted"]
    ]
    here = delivered(shop)
    assert {row["state"] for row in here} == {"delivered"}
    assert [(TYPES[row["document_type"]], row["total"] or None, row["fd_number"], row["fiscal_sign"]) for row in here] == on_drive
    assert [row["pos_order_id"] for row in here if row["pos_order_id"]] == [order["id"] for order in orders]
    assert all(f"fn={DRIVE}&i={row['fd_number']}&" in row["qr"] for row in here if row["pos_order_id"])


def test_each_receipt_once_and_in_order(counter, report):
    shop, till = counter
    with report.scenario("A register on the counter: once and in order"):
        orders = [till.sell() for _number in range(3)]
        shop.settle()
        shop.ofd.mode("drop", count=2)  # fiscalised, and the answer is lost
        orders += [till.sell() for _number in range(3)]
        shop.settle()
        shop.ofd.device(busy_for=3)
        orders += [till.sell() for _number in range(2)]
        shop.settle()
        shop.ofd.device(busy_for=0)
        assert_once_and_in_order(shop, orders)


@pytest.mark.at_length
def test_the_paper_ends(counter, report):
    shop, till = counter
    with report.scenario("A register on the counter: paper"):
        shop.ofd.device(paper=False)
        orders = [till.sell() for _number in range(3)]
        tries = "SELECT max(attempts) AS tries FROM kkt_receipt"
        wait_until(lambda: (shop.database.value(tries) or 0) >= 6, 300, "several tries without paper")
        assert not count_sales(shop)
        shop.ofd.device(paper=True)
        shop.settle()
        assert_once_and_in_order(shop, orders)


@pytest.mark.at_length
def test_an_answer_about_another_document_holds(counter, report):
    shop, till = counter
    with report.scenario("A register on the counter: mismatch"):
        till.sell()
        shop.settle()
        shop.ofd.device(stated={"fnNumber": "8710000100000002"})
        till.sell()
        till.sell()
        held = "SELECT hold_reason FROM kkt_delivery WHERE hold_cause = 'mismatch'"
        wait_until(lambda: shop.database.value(held), 300, "the hold")
        assert "8710000100000002" in shop.database.value(held)
        waits = "SELECT count(*) FROM kkt_receipt WHERE state = 'pending'"
        assert shop.database.value(waits) == 1, "the document after it"
        assert count_sales(shop) == 2


def done_beside(shop):
    """What the device did that is no document: type and kopecks."""
    return [
        (record["document_type"], record["total_sum"])
        for record in shop.ofd.history()
        if record["results"] and record["results"][-1]["status"] == "ready" and record["document_type"] in BESIDE
    ]


def move_cash(till, kind, amount):
    till.call("pos.session", "try_cash_in_out", till.session_id, kind, amount, "change", False, {"translatedType": kind})


def look_again(admin):
    """What the cron does a minute later; the other one may be at it."""
    [cron] = admin.call("ir.cron", "search", [("code", "=", "model._cron_do()")])
    with suppress(RpcError):
        admin.call("ir.cron", "method_direct_trigger", [cron])


@pytest.mark.at_length
def test_cash_is_counted_once_and_copies_are_printed(counter, report):
    shop, till = counter
    with report.scenario("A register on the counter: cash, copies, a report without closing") as scenario:
        admin = Client(till.odoo)
        orders = [till.sell()]
        shop.settle()
        move_cash(till, "in", 100.5)
        wait_until(lambda: not shop.database.value(WAITING_MOVES), 120, "the first move")
        shop.ofd.mode("drop", count=1)  # done, and the answer is lost
        move_cash(till, "out", 20)
        wait_until(lambda: len(done_beside(shop)) == 2, 120, "a move whose answer is lost")
        shop.ofd.device(paper=False)
        move_cash(till, "in", 7)
        wait_until(lambda: look_again(admin) or shop.database.value(WITHOUT_PAPER), 300, "a move without paper")
        shop.ofd.device(paper=True)
        wait_until(lambda: look_again(admin) or not shop.database.value(WAITING_MOVES), 300, "all moves")
        [receipt] = admin.call("kkt.receipt", "search", [("pos_order_id", "=", orders[0]["id"])])
        [register] = admin.call("kkt.register", "search", [("fiscal_drive_number", "=", DRIVE)])
        for model, button, record in (
            ("kkt.receipt", "action_print_again", receipt),
            ("kkt.register", "action_report_x", register),
        ):
            assert admin.call(model, button, [record])["params"]["type"] == "success"
        cash = [("cashIn", 10050), ("cashOut", 2000), ("cashIn", 700)]
        assert done_beside(shop) == [*cash, ("printFnDocument", None), ("reportX", None)]
        assert_once_and_in_order(shop, orders)
        scenario.figure("3 cash moves counted once each, through a lost answer and a paper that ended; a copy; a report X")
