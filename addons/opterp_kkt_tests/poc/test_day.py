# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A day of a shop: its session is opened, there are receipts of every kind, X, corrections, Z, the next day. What each document
states of money, and what the reports on the shifts count, is computed here by hand.
"""

from decimal import Decimal
from itertools import dropwhile, takewhile

import pytest
from harness.hands import fiscal_administrator
from harness.shop import Shop
from harness.stack import WITH_FLOWS
from harness.till import Client, Line, Till

TAXED, EXEMPT = "Раствор", "Оправа «Нева»"
DOCUMENTS = "SELECT payload::json -> 'document' AS document FROM kkt_receipt ORDER BY fd_number"
SHIFT = "SELECT id FROM kkt_shift WHERE number = 1"
RATES = {
    "nds18": "20",
    "nds10": "10",
    "nds0": "0",
    "ndsNo": "no",
    "nds18118": "20/120",
    "nds10110": "10/110",
    7: "5",
    8: "7",
    11: "22",
    12: "22/122",
}
SALE, REFUND = 1, 2
RECEIPT, CORRECTION = 3, 31

# Kopecks, by FD number: code, operation, total = cash + card + advance set off + on credit, and VAT by rate; of 0 % and of what
# is exempt the format states the sum. VAT of a sum at 22 % is sum × 22 / 122: 100.00 has 18.03, 50.00 has 9.02, 99.99 has 18.03,
# 122.00 has 22.00, 110.00 has 19.84.
DAY = {
    2: (RECEIPT, SALE, 100_00, 100_00, 0, 0, 0, {"22": 18_03}),
    3: (RECEIPT, SALE, 200_00, 0, 200_00, 0, 0, {"no": 200_00}),
    4: (RECEIPT, SALE, 60_00, 20_00, 40_00, 0, 0, {"22": 9_02, "no": 10_00}),
    5: (RECEIPT, SALE, 99_99, 99_99, 0, 0, 0, {"22": 18_03}),  # 3 × 33.33
    6: (RECEIPT, SALE, 90_00, 90_00, 0, 0, 0, {"no": 90_00}),  # 100.00 less 10 %
    7: (RECEIPT, SALE, 70_00, 0, 0, 0, 70_00, {"no": 70_00}),  # on the customer's account
    8: (RECEIPT, SALE, 110_00, 110_00, 0, 0, 0, {"10": 10_00}),
    9: (RECEIPT, SALE, 105_00, 105_00, 0, 0, 0, {"5": 5_00}),
    10: (RECEIPT, SALE, 107_00, 107_00, 0, 0, 0, {"7": 7_00}),
    11: (RECEIPT, SALE, 40_00, 40_00, 0, 0, 0, {"0": 40_00}),
    12: (RECEIPT, REFUND, 100_00, 100_00, 0, 0, 0, {"22": 18_03}),  # of FD 2
    13: (RECEIPT, SALE, 122_00, 122_00, 0, 0, 0, {"22": 22_00}),  # in exchange for FD 3
    14: (RECEIPT, REFUND, 200_00, 200_00, 0, 0, 0, {"no": 200_00}),
    15: (RECEIPT, SALE, 60_00, 60_00, 0, 0, 0, {"no": 60_00}),  # advance of 200.00
    16: (RECEIPT, SALE, 200_00, 140_00, 0, 60_00, 0, {"no": 200_00}),  # its settlement
    17: (RECEIPT, SALE, 61_00, 0, 61_00, 0, 0, {"22/122": 11_00}),  # advance of 122.00
    18: (RECEIPT, SALE, 122_00, 0, 61_00, 61_00, 0, {"22": 22_00}),  # its settlement
    19: (RECEIPT, SALE, 30_00, 30_00, 0, 0, 0, {"no": 30_00}),  # all of 30.00 is paid before
    20: (RECEIPT, REFUND, 30_00, 30_00, 0, 0, 0, {"no": 30_00}),  # and given back
    21: (RECEIPT, SALE, 50_00, 0, 50_00, 0, 0, {"no": 50_00}),  # a gift card
    22: (RECEIPT, SALE, 80_00, 30_00, 0, 50_00, 0, {"no": 80_00}),  # it is spent
    23: (RECEIPT, SALE, 110_00, 110_00, 0, 0, 0, {"22": 19_84}),  # at a wrong rate; then X
    24: (CORRECTION, REFUND, 110_00, 110_00, 0, 0, 0, {"22": 19_84}),  # takes FD 23 back
    25: (CORRECTION, SALE, 110_00, 110_00, 0, 0, 0, {"10": 10_00}),  # what is right
    26: (CORRECTION, SALE, 120_00, 120_00, 0, 0, 0, {"20": 20_00}),  # a sale of 2025 without register
    27: (RECEIPT, REFUND, 120_00, 120_00, 0, 0, 0, {"20": 20_00}),  # is taken back at the rate of then
    28: (RECEIPT, SALE, 1_00, 1_00, 0, 0, 0, {"no": 1_00}),
    29: (RECEIPT, SALE, 2_00, 2_00, 0, 0, 0, {"no": 2_00}),
    30: (RECEIPT, SALE, 3_00, 3_00, 0, 0, 0, {"no": 3_00}),
    31: (RECEIPT, SALE, 4_00, 4_00, 0, 0, 0, {"no": 4_00}),
    32: (RECEIPT, SALE, 5_00, 5_00, 0, 0, 0, {"no": 5_00}),
    33: (RECEIPT, SALE, 6_00, 6_00, 0, 0, 0, {"no": 6_00}),
    34: (RECEIPT, SALE, 7_00, 7_00, 0, 0, 0, {"no": 7_00}),
}
NOT_PAID_SO = {"ecashSum": 0, "prepaidSum": 0, "creditSum": 0, "provisionSum": 0}
FIRST_DAY = {
    "totalReceiptBsoCount": 33,
    "sellOper": {
        "receiptBsoCount": 28,
        "totalSum": 2074_99,
        "cashSum": 1421_99,
        "ecashSum": 412_00,
        "prepaidSum": 171_00,
        "creditSum": 70_00,
        "provisionSum": 0,
        "tax18Sum": 20_00,
        "tax10Sum": 20_00,
        "tax0Sum": 40_00,
        "taxFreeSum": 818_00,
    },
    "sellReturnOper": {
        "receiptBsoCount": 5,
        "totalSum": 560_00,
        "cashSum": 560_00,
        **NOT_PAID_SO,
        "tax18Sum": 20_00,
        "taxFreeSum": 230_00,
    },
    "receiptCorrection": {
        "receiptCorrectionCount": 3,
        "sellCorrection": {"receiptBsoCount": 2, "totalSum": 230_00, "cashSum": 230_00, **NOT_PAID_SO},
        "sellReturnCorrection": {"receiptBsoCount": 1, "totalSum": 110_00, "cashSum": 110_00, **NOT_PAID_SO},
    },
}
OTHER_RATES = {"1": {"11": 108_92, "12": 11_00, "7": 5_00, "8": 7_00}, "2": {"11": 37_87}}
SECOND_DAY = {
    "totalReceiptBsoCount": 1,
    "sellOper": {"receiptBsoCount": 1, "totalSum": 1_00, "cashSum": 1_00, **NOT_PAID_SO, "taxFreeSum": 1_00},
}
BOTH_DAYS = {
    **FIRST_DAY,
    "totalReceiptBsoCount": 34,
    "sellOper": {**FIRST_DAY["sellOper"], "receiptBsoCount": 29, "totalSum": 2075_99, "cashSum": 1422_99, "taxFreeSum": 819_00},
}
NO_OTHER_FORM = ["СУММА БЕЗНАЛИЧ. 0.00", "СУММА АВАНС. 0.00", "СУММА КРЕДИТ. 0.00", "СУММА ИНОЙ ФОРМОЙ 0.00"]
X = [  # of FD 2 to 23
    "ВСЕГО ЧЕКОВ 22",
    *["ПРИХОД", "КОЛ. ЧЕКОВ 19", "СУММА ВСЕГО 1816.99", "СУММА НАЛИЧН. 1163.99", "СУММА БЕЗНАЛИЧ. 412.00"],
    *["СУММА АВАНС. 171.00", "СУММА КРЕДИТ. 70.00", "СУММА ИНОЙ ФОРМОЙ 0.00"],
    *["СУММА НДС 10% 10.00", "ОБОРОТ С НДС 0% 40.00", "ОБОРОТ БЕЗ НДС 790.00"],
    *["ВОЗВРАТ ПРИХОДА", "КОЛ. ЧЕКОВ 3", "СУММА ВСЕГО 330.00", "СУММА НАЛИЧН. 330.00", *NO_OTHER_FORM, "ОБОРОТ БЕЗ НДС 230.00"],
]
Z = [
    "ВСЕГО ЧЕКОВ 33",
    *["ПРИХОД", "КОЛ. ЧЕКОВ 28", "СУММА ВСЕГО 2074.99", "СУММА НАЛИЧН. 1421.99", "СУММА БЕЗНАЛИЧ. 412.00"],
    *["СУММА АВАНС. 171.00", "СУММА КРЕДИТ. 70.00", "СУММА ИНОЙ ФОРМОЙ 0.00", "СУММА НДС 20% 20.00"],
    *["СУММА НДС 10% 20.00", "ОБОРОТ С НДС 0% 40.00", "ОБОРОТ БЕЗ НДС 818.00"],
    *["ВОЗВРАТ ПРИХОДА", "КОЛ. ЧЕКОВ 5", "СУММА ВСЕГО 560.00", "СУММА НАЛИЧН. 560.00", *NO_OTHER_FORM],
    *["СУММА НДС 20% 20.00", "ОБОРОТ БЕЗ НДС 230.00"],
]


@pytest.fixture
def shop(environment):
    """The demo shop with sales orders and gift cards."""
    with Shop(template=WITH_FLOWS) as shop:
        yield shop


def test_a_day(shop, report):
    with report.scenario("a day: opened, 30 receipts of every kind, corrections, closed; the next day") as scenario:
        host = shop.host()
        administrator = fiscal_administrator(host)
        _choose_down_payment_product(shop, administrator)
        unregistered = _sell_without_register(shop, host, administrator)
        till = shop.till(host)
        [register] = administrator.call("kkt.register", "search", [("pos_config_id", "=", till.config_id)])
        wrong = _sell_all_day(shop, till, administrator)
        assert _read_slip(shop, administrator) == X
        assert administrator.first("kkt.register", [("id", "=", register)], ["last_fd_number"])["last_fd_number"] == 23
        [receipt] = administrator.call("kkt.receipt", "search", [("pos_order_id", "=", wrong["id"])])
        administrator.correct("kkt.receipt", receipt, "2")
        administrator.correct("pos.order", unregistered["id"], "1")
        till.refund(unregistered)
        for price in range(1, 8):
            till.sell([till.line(EXEMPT, price=price)])
        assert till.close()["successful"]
        assert _read_slip(shop, administrator) == Z
        till = Till(host, till.config_id)
        till.sell([till.line(EXEMPT, price=1)])
        administrator.close_shift(register)
        shop.settle()
        scenario.step("33 documents in the first shift, one in the second")

        documents = {row["document"]["fiscalDocumentNumber"]: row["document"] for row in shop.database.query(DOCUMENTS)}
        assert list(documents) == [*range(1, 39)]
        assert {number: _read(documents[number]) for number in DAY} == DAY
        opened, closed, *next_day = (documents[number] for number in (1, 35, 36, 38))
        assert [report["code"] for report in (opened, closed, *next_day)] == [2, 5, 2, 5]
        assert [document["shiftNumber"] for document in documents.values()] == [*35 * [1], *3 * [2]]
        assert closed["shiftSumReports"] == closed["fiscalDriveSumReports"] == FIRST_DAY
        assert (closed["receiptQuantity"], closed["documentsQuantity"]) == (33, 35)
        assert next_day[1]["shiftSumReports"] == SECOND_DAY
        assert next_day[1]["fiscalDriveSumReports"] == BOTH_DAYS
        assert (next_day[1]["receiptQuantity"], next_day[1]["documentsQuantity"]) == (1, 3)
        assert shop.database.value("SELECT other_rates FROM kkt_shift WHERE number = 1") == OTHER_RATES
        assert documents[24]["propertiesData"] == documents[25]["propertiesData"] == str(documents[23]["fiscalSign"])
        assert [request["fd_number"] for request in shop.ofd.accepted()] == [*range(1, 39)]
        assert shop.violations() == []
        assert host.errors() == []
        scenario.figure("30 receipts of every kind and 3 corrections between two reports: all sums are those computed by hand")


def _read(document: dict) -> tuple:
    """What a document states of money, as in the table of the day."""
    sums = (document.get(f"{form}Sum", 0) for form in ("total", "cashTotal", "ecashTotal", "prepaid", "credit"))
    named = {rate: document[name] for name, rate in RATES.items() if name in document}
    others = {RATES[each["nds"]]: each["ndsSum"] for each in document.get("amountsReceiptNds", {}).get("amountsNds", [])}
    return document["code"], document["operationType"], *sums, named | others


def _read_slip(shop: Shop, administrator: Client) -> list[str]:
    """The counters of the first shift, of sales and of refunds, as X or Z shows them."""
    lines = administrator.call("kkt.shift", "get_till_slip", [shop.database.value(SHIFT)])["lines"]
    counted = dropwhile(lambda line: line[0] != "СЧЕТЧИКИ ИТОГОВ СМЕНЫ", lines)
    next(counted)
    shown = [" ".join(line[:2]).strip() for line in takewhile(lambda line: line[0].startswith(" "), counted)]
    return shown[: shown.index("ЧЕКИ КОРРЕКЦИИ")] if "ЧЕКИ КОРРЕКЦИИ" in shown else shown


# -- what the shop does --------------------------------------------------------------------------------------------------------


def _choose_down_payment_product(shop: Shop, administrator: Client):
    """As the settings of a point of sale do."""
    product = _find(administrator, "pos_sale.default_downpayment_product")
    administrator.call("pos.config", "write", shop.configs(), {"down_payment_product_id": product})


def _find(client: Client, name: str) -> int:
    """What Odoo's own data has under that name."""
    module, name = name.split(".")
    return client.first("ir.model.data", [("module", "=", module), ("name", "=", name)], ["res_id"])["res_id"]


def _sell_without_register(shop: Shop, host, administrator: Client) -> dict:
    """A sale of 2025 at a till that has no register."""
    config = shop.configs()[1]
    [register] = administrator.call("kkt.register", "search", [("pos_config_id", "=", config)])
    administrator.change("kkt.register", register, active=False)
    till = Till(host, config)
    order = till.sell([till.line(TAXED, price=120)])
    shop.database.execute("UPDATE pos_order SET date_order = '2025-12-30 09:00:00' WHERE id = %s", order["id"])
    assert till.close()["successful"]
    return order


def _sell_all_day(shop: Shop, till: Till, administrator: Client) -> dict:
    """FD 2 to 23; returns the last order, whose rate is wrong."""
    first = till.sell([till.line(TAXED, price=100)])
    second = till.sell([till.line(EXEMPT, price=200)], {till.card: Decimal(200)})
    till.sell([till.line(TAXED, price=50), till.line(EXEMPT, price=10)], {till.cash: Decimal(20), till.card: Decimal(40)})
    till.sell([till.line(TAXED, quantity=3, price="33.33")])
    till.sell([till.line(EXEMPT, price=100, discount=10)])
    account = shop.database.value("SELECT id FROM pos_payment_method WHERE split_transactions AND journal_id IS NULL")
    partner = shop.database.value("SELECT partner_id FROM res_users WHERE id = %s", till.uid)
    till.sell([till.line(EXEMPT, price=70)], {account: Decimal(70)}, partner_id=partner)
    for rate, price in (("2", 110), ("7", 105), ("8", 107), ("5", 40)):
        _set_rate(shop, rate)
        till.sell([till.line(TAXED, price=price)])
    _set_rate(shop, "11")
    till.refund(first)
    till.exchange(second, [till.line(TAXED, price=122)])
    _sell_ordered_goods(till, administrator, partner)
    _sell_and_spend_gift_card(till, administrator)
    return till.sell([till.line(TAXED, price=110)])


def _set_rate(shop: Shop, rate: str):
    """What documents state of the tax; Odoo's own percentage plays no part in them."""
    shop.database.execute("UPDATE account_tax SET kkt_vat_rate = %s WHERE kkt_vat_rate IN ('2', '5', '7', '8', '11')", rate)


def _sell_ordered_goods(till: Till, administrator: Client, partner: int):
    """FD 15 to 20: two sales orders with an advance and its settlement, and one that comes to nothing."""
    frame = _order(till, administrator, partner, EXEMPT, 200)
    _pay_down(till, frame, EXEMPT, 60)
    _settle(till, administrator, frame, {till.cash: Decimal(140)})
    solution = _order(till, administrator, partner, TAXED, 122)
    _pay_down(till, solution, TAXED, 61, {till.card: Decimal(61)})
    _settle(till, administrator, solution, {till.card: Decimal(61)})
    till.refund(_pay_down(till, _order(till, administrator, partner, EXEMPT, 30), EXEMPT, 30))


def _order(till: Till, administrator: Client, partner: int, code: str, price: int) -> int:
    line = {"product_id": till.product(code)["id"], "price_unit": price}
    order = administrator.call("sale.order", "create", {"partner_id": partner, "order_line": [[0, 0, line]]})
    administrator.call("sale.order", "action_confirm", [order])
    return order


def _pay_down(till: Till, order: int, code: str, price: int, payments: dict | None = None) -> dict:
    """What *Apply a down payment* of the till makes of an order with one product: a line at its taxes."""
    product = till.config["down_payment_product_id"]
    goods = {"id": product, "display_name": "Down Payment", "taxes": till.product(code)["taxes"]}
    return till.sell([till.line(goods, price=price, sale_order_origin_id=order)], payments)


def _settle(till: Till, administrator: Client, order: int, payments: dict):
    """What *Settle the order* makes of it: what was ordered, and what was paid before with a quantity of -1."""
    lines = administrator.call("sale.order.line", "search", [("order_id", "=", order), ("display_type", "=", False)])
    till.sell([_settled(till, order, line) for line in administrator.call("sale.order.line", "read_converted", lines)], payments)


def _settled(till: Till, order: int, line: dict) -> Line:
    is_advance = line["is_downpayment"]
    product = till.config["down_payment_product_id"] if is_advance else line["product_id"]
    goods = {"id": product, "display_name": line["display_name"], "taxes": [till.taxes[tax] for tax in line["tax_ids"]]}
    quantity = -1 if is_advance else line["product_uom_qty"]
    return till.line(goods, quantity, line["price_unit"], sale_order_origin_id=order, sale_order_line_id=line["id"])


def _sell_and_spend_gift_card(till: Till, administrator: Client):
    """FD 21 and 22, and what the till tells of the card after each."""
    program = administrator.call("loyalty.program", "create_from_template", "gift_card")["res_id"]
    administrator.change("loyalty.program", program, pos_report_print_id=_find(administrator, "loyalty.report_gift_card"))
    goods = {"id": _find(administrator, "loyalty.gift_card_product_50"), "display_name": "Gift Card", "taxes": []}
    sold = till.sell([till.line(goods, price=50)], {till.card: Decimal(50)})
    _confirm(till, sold, -1, program, 50)
    card = administrator.first("loyalty.card", [("program_id", "=", program)], ["points"])
    assert card["points"] == 50
    spent = till.sell([till.line(EXEMPT, price=80), _spend(till, administrator, program, card)], {till.cash: Decimal(30)})
    _confirm(till, spent, card["id"], program, -50)
    assert administrator.first("loyalty.card", [("id", "=", card["id"])], ["points"])["points"] == 0


def _spend(till: Till, administrator: Client, program: int, card: dict) -> Line:
    """The line that the till makes of a card's reward."""
    reward = administrator.first("loyalty.reward", [("program_id", "=", program)], ["discount_line_product_id"])
    product, name = reward["discount_line_product_id"]
    spent = {"is_reward_line": True, "reward_id": reward["id"], "reward_identifier_code": "1", "coupon_id": card["id"]}
    goods = {"id": product, "display_name": name, "taxes": []}
    return till.line(goods, price=-card["points"], points_cost=card["points"], **spent)


def _confirm(till: Till, order: dict, card: int, program: int, points: int):
    told = {str(card): {"program_id": program, "points": points, "line_codes": []}}
    till.call("pos.order", "confirm_coupon_programs", [order["id"]], told)
