# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A day of a shop: its session is opened, all kinds of receipts, the session is closed, the next day. What the reports on its
shifts state is computed here by hand.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal

from harness.hands import Refused, fiscal_administrator
from harness.till import Till

ROUNDS = 100 if os.environ.get("SLOW") else 3 if os.environ.get("SHORT") else 10
CLOSINGS = "SELECT count(*) FROM kkt_receipt WHERE document_type = 'shift_close'"
REPORTS = """
    SELECT payload::json -> 'document' AS document FROM kkt_receipt
     WHERE document_type IN ('shift_open', 'shift_close') ORDER BY fd_number
"""
TAXED, EXEMPT = "Раствор", "Оправа «Нева»"
NONE = {"prepaidSum": 0, "creditSum": 0, "provisionSum": 0}
# 22 %: 100.00 has 18.03, 50.00 has 9.02, 99.99 has 18.03, 122.00 has 22.00; of the day's rates the format counts 10 % alone
FIRST_DAY = {
    "totalReceiptBsoCount": 21,
    "sellOper": {
        "receiptBsoCount": 19,
        "totalSum": 1108_99,
        "cashSum": 798_99,
        "ecashSum": 240_00,
        "prepaidSum": 0,
        "creditSum": 70_00,
        "provisionSum": 0,
        "tax10Sum": 10_00,
        "taxFreeSum": 415_00,
    },
    "sellReturnOper": {"receiptBsoCount": 2, "totalSum": 300_00, "cashSum": 300_00, "ecashSum": 0, **NONE, "taxFreeSum": 200_00},
}
OTHER_RATES = {"1": {"11": 67_08, "7": 5_00, "8": 7_00}, "2": {"11": 18_03}}
SECOND_DAY = {
    "totalReceiptBsoCount": 1,
    "sellOper": {"receiptBsoCount": 1, "totalSum": 1_00, "cashSum": 1_00, "ecashSum": 0, **NONE, "taxFreeSum": 1_00},
}
BOTH_DAYS = {
    **FIRST_DAY,
    "totalReceiptBsoCount": 22,
    "sellOper": {**FIRST_DAY["sellOper"], "receiptBsoCount": 20, "totalSum": 1109_99, "cashSum": 799_99, "taxFreeSum": 416_00},
}


def test_a_day(shop, report):
    with report.scenario("a day: opened, 21 receipts, closed; the next day") as scenario:
        host = shop.host()
        till, administrator = shop.till(host), fiscal_administrator(host)
        [register] = administrator.call("kkt.register", "search", [("pos_config_id", "=", till.config_id)])
        _sell_all_day(shop, till)
        assert till.close()["successful"]
        till = Till(host, till.config_id)
        till.sell([till.line(EXEMPT, price=1)])
        administrator.close_shift(register)
        shop.settle()

        opened, closed, *next_day = (row["document"] for row in shop.database.query(REPORTS))
        assert [report["code"] for report in (opened, closed, *next_day)] == [2, 5, 2, 5]
        assert [report["fiscalDocumentNumber"] for report in (opened, closed, *next_day)] == [1, 23, 24, 26]
        assert [report["shiftNumber"] for report in (opened, closed, *next_day)] == [1, 1, 2, 2]
        assert closed["shiftSumReports"] == closed["fiscalDriveSumReports"] == FIRST_DAY
        assert (closed["receiptQuantity"], closed["documentsQuantity"]) == (21, 23)
        assert next_day[1]["shiftSumReports"] == SECOND_DAY
        assert next_day[1]["fiscalDriveSumReports"] == BOTH_DAYS
        assert shop.database.value("SELECT other_rates FROM kkt_shift WHERE number = 1") == OTHER_RATES
        assert [request["fd_number"] for request in shop.ofd.accepted()] == list(range(1, 27))
        assert shop.violations() == []
        assert host.errors() == []
        scenario.figure("21 receipts of ten kinds between the reports on their shift; its counters are those computed by hand")


def _sell_all_day(shop, till: Till):
    first = till.sell([till.line(TAXED, price=100)])
    second = till.sell([till.line(EXEMPT, price=200)], {till.card: Decimal(200)})
    till.sell([till.line(TAXED, price=50), till.line(EXEMPT, price=10)], {till.cash: Decimal(20), till.card: Decimal(40)})
    till.sell([till.line(TAXED, quantity=3, price="33.33")])
    till.sell([till.line(EXEMPT, price=100, discount=10)])
    account = shop.database.value("SELECT id FROM pos_payment_method WHERE split_transactions AND journal_id IS NULL")
    partner = shop.database.value("SELECT partner_id FROM res_users WHERE id = %s", till.uid)
    till.sell([till.line(EXEMPT, price=70)], {account: Decimal(70)}, partner_id=partner)
    for rate, price in (("2", 110), ("7", 105), ("8", 107)):
        _set_rate(shop, rate)
        till.sell([till.line(TAXED, price=price)])
    _set_rate(shop, "11")
    till.refund(first)
    till.exchange(second, [till.line(TAXED, price=122)])
    for price in range(1, 10):
        till.sell([till.line(EXEMPT, price=price)])


def _set_rate(shop, rate: str):
    """What documents state of the tax; Odoo's own percentage plays no part in them."""
    shop.database.execute("UPDATE account_tax SET kkt_vat_rate = %s WHERE kkt_vat_rate IN ('2', '7', '8', '11')", rate)


def test_two_hosts_close_one_shift(shop, report):
    with report.scenario(f"two hosts close one shift at once, {ROUNDS} times, while a till sells") as scenario:
        hosts = [shop.host(), shop.host()]
        till = shop.till(hosts[0])
        people = [fiscal_administrator(host) for host in hosts]
        [register] = people[0].call("kkt.register", "search", [("pos_config_id", "=", till.config_id)])
        for _round in range(ROUNDS):
            till.sell()
            before = shop.database.value(CLOSINGS)
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda person: _close(person, register), people))
            assert shop.database.value(CLOSINGS) == before + 1
        shop.settle()
        assert len(_closings(shop)) == ROUNDS, "the OFD got one report for each shift"
        scenario.step(f"{ROUNDS} shifts closed by two at once: {ROUNDS} reports at the OFD")
        _close_while_selling(till, people, register)
        shop.settle()
        assert len(_closings(shop)) == shop.database.value(CLOSINGS)
        assert shop.violations() == []
        scenario.figure(f"{len(_closings(shop))} shifts, each with one report on its closing and its receipts before it")


def _closings(shop) -> set[int]:
    """FD numbers of the reports on a closing that the OFD has."""
    return {request["fd_number"] for request in shop.ofd.accepted() if request["document_type"] == "shift_close"}


def _close(person, register: int):
    with suppress(Refused):  # the other one was first
        person.close_shift(register)


def _close_while_selling(till: Till, people: list, register: int):
    done = threading.Event()

    def close_again_and_again(person):
        while not done.wait(0.5):
            _close(person, register)

    with ThreadPoolExecutor(2) as pool:
        closing = [pool.submit(close_again_and_again, person) for person in people]
        try:
            for _number in range(2 * ROUNDS):
                till.sell()
        finally:
            done.set()
        for each in closing:
            each.result()
