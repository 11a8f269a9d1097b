"""Fiscal documents: sums to the kopeck, whatever the discounts and the payments; the QR code's text."""

import json
import os
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal

import pytest
from core import tlv, vat
from core.document_error import DocumentError
from core.ffd import settlement, share_payments, signed_total, to_text
from core.lines import Item, fit_items
from core.qr import qr_text
from core.rules import PAYMENT_FORMS, check
from core.text import fit_texts
from hypothesis import given, settings
from hypothesis import strategies as st
from opterp_kkt.drivers import Emulator, Numbers

BASKETS = 10_000 if os.environ.get("SLOW") else 200
QUICK = settings(max_examples=200, database=None)
KOPECKS = st.integers(0, 10**9)


TODAY = date(2026, 11, 24)
HEAD = {
    "operator": "Анна",
    "user": "ООО «Оптика»",
    "userInn": "7700123459",
    "kktRegId": "0000000001012345",
    "retailPlaceAddress": "Москва, Тверская ул., 1",
    "retailPlace": "Оптика — Нева",
    "appliedTaxationType": 1,
}


def number(body, moment, fiscalDriveNumber, fiscalDocumentNumber, shiftNumber, requestNumber):
    """The document as the emulated register leaves it."""
    numbers = Numbers(fiscalDriveNumber, fiscalDocumentNumber, shiftNumber, requestNumber, moment)
    return Emulator().sign(body, numbers)[0]


def item(total, quantity="1", name="Frame", vat_rate=6, **values):
    return Item(name, Decimal(quantity), total, vat_rate, **values)


@st.composite
def orders(draw):
    """Goods, discounts that are not larger, and what is paid for them."""
    goods = draw(st.lists(KOPECKS, min_size=1, max_size=8))
    discounts, left = [], sum(goods)
    for share in draw(st.lists(st.floats(0, 1), max_size=3)):
        discounts.append(-int(left * share))
        left += discounts[-1]
    items = [item(total, name=str(index)) for index, total in enumerate(goods + [d for d in discounts if d])]
    return draw(st.permutations(items)), left


@st.composite
def payments(draw, total):
    """Kopecks by form that add up to `total`, and change that is less than what was handed over in some form."""
    paid, left = {}, total
    for form in draw(st.lists(st.sampled_from(["cash", "ecash", "credit"]), min_size=1, unique=True)):
        paid[form] = draw(st.integers(0, left))
        left -= paid[form]
    paid[form] += left
    main = max(paid, key=paid.get)
    change = draw(st.integers(0, 10**6))
    paid[main] += change
    paid["cash"] = paid.get("cash", 0) - change
    return paid


# -- discounts -----------------------------------------------------------------------------------------------------------------


@QUICK
@given(orders())
def test_discounts_are_spread_to_the_kopeck(order):
    items, total = order
    fitted = fit_items(items, total)
    before = {i.name: i.total for i in items}
    assert sum(i.total for i in fitted) == total
    assert all(0 <= i.total <= before[i.name] for i in fitted)
    assert [i.name for i in fitted] == [i.name for i in items if i.total >= 0]


@QUICK
@given(st.lists(KOPECKS, min_size=1, max_size=8), st.integers(-100, 100))
def test_rounding_is_fitted_into_the_items(goods, rounding):
    total = max(0, sum(goods) + rounding) if sum(goods) else 0
    fitted = fit_items([item(amount) for amount in goods], total)
    assert sum(i.total for i in fitted) == total
    assert all(i.total >= 0 for i in fitted)


@QUICK
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=8))
def test_without_discounts_nothing_changes(goods):
    items = [item(amount) for amount in goods]
    assert fit_items(items, sum(goods)) == items


def test_discount_goes_to_each_in_proportion():
    fitted = fit_items([item(890000), item(-100000), item(84990)], 874990)
    assert [i.total for i in fitted] == [798718, 76272]


@pytest.mark.parametrize(
    ("totals", "paid"),
    [
        ([84990, -100000], -15010),
        ([-100], -100),
        ([0, -100], -100),
        ([0], 100),
        ([], 0),
    ],
)
def test_discounts_larger_than_the_goods(totals, paid):
    with pytest.raises(DocumentError) as refusal:
        fit_items([item(total) for total in totals], paid)
    assert refusal.value.code == "negative_total"


# -- payments ------------------------------------------------------------------------------------------------------------------


@QUICK
@given(st.data(), KOPECKS)
def test_payments_of_a_sale_add_up(data, total):
    paid = data.draw(payments(total))
    shared = share_payments(paid, total, 0, 0)
    assert sum(shared.values()) == total
    assert all(amount >= 0 for amount in shared.values())


@QUICK
@given(st.data(), st.integers(1, 10**9), st.integers(1, 10**9))
def test_both_documents_of_an_exchange_add_up(data, one, two):
    sold, taken_back = max(one, two), min(one, two)
    paid = data.draw(payments(sold - taken_back))
    given_back = {form: -amount for form, amount in paid.items()}
    for document, shared in (
        (sold, share_payments(paid, sold, taken_back, 0)),
        (taken_back, share_payments(given_back, taken_back, sold, 0)),
    ):
        assert sum(shared.values()) == document
        assert all(amount >= 0 for amount in shared.values())


@pytest.mark.parametrize(
    ("paid", "total", "other", "shared"),
    [
        ({"cash": 1000}, 1000, 0, {"cash": 1000}),
        ({"cash": 400, "ecash": 600}, 1000, 0, {"cash": 400, "ecash": 600}),
        ({"ecash": 1000, "cash": -100}, 900, 0, {"ecash": 900}),
        ({"ecash": 500, "credit": 500, "cash": -100}, 900, 0, {"credit": 500, "ecash": 400}),
        ({"ecash": 500, "prepaid": 600, "cash": -100}, 1000, 0, {"prepaid": 600, "ecash": 400}),
        ({}, 0, 0, {"cash": 0}),
        ({}, 1000, 1000, {"cash": 1000}),
        ({"ecash": 700}, 1000, 300, {"ecash": 1000}),
        ({"ecash": -700}, 300, 1000, {"ecash": 300}),
        ({"cash": 849}, 850, 0, {"cash": 849}),
    ],
)
def test_who_paid_what(paid, total, other, shared):
    assert share_payments(paid, total, other, 1) == shared


@pytest.mark.parametrize(
    ("paid", "total", "other"), [({"cash": 1000}, 1002, 0), ({"cash": 1000}, 998, 0), ({}, 2, 0), ({"cash": 700}, 1000, 200)]
)
def test_payments_that_do_not_add_up(paid, total, other):
    with pytest.raises(DocumentError) as refusal:
        share_payments(paid, total, other, 1)
    assert refusal.value.code == "payments"
    assert refusal.value.values["total"] == total


# -- the document --------------------------------------------------------------------------------------------------------------


def settle(items, paid=None, operation_type=1, day=TODAY, **head):
    """A receipt, paid in cash where nothing else is said."""
    paid = paid or {"cash": sum(item.total for item in items)}
    return settlement(operation_type, items, paid, {**HEAD, **head}, day)


def stated(body):
    """Items as (quantity, price, sum, VAT code, VAT)."""
    return [(i["quantity"], i["price"], i["sum"], i["nds"], i.get("ndsSum")) for i in body["items"]]


def test_a_receipt_field_by_field():
    frame = item(890000, name="Оправа «Нева»")
    solution = item(169980, "2", "Раствор — 360 мл", 11)
    body = settle([frame, solution], {"cash": 59980, "ecash": 1000000}, propertiesData="123")
    document = number(
        body,
        datetime(2026, 11, 24, 12, 30),
        shiftNumber=7,
        requestNumber=3,
        fiscalDriveNumber="9999078900001341",
        fiscalDocumentNumber=5548,
    )
    assert document == {
        "code": 3,
        "fiscalDocumentFormatVer": 4,
        "operationType": 1,
        "operator": "Анна",
        "user": 'ООО "Оптика"',
        "userInn": "7700123459  ",
        "kktRegId": "0000000001012345    ",
        "retailPlaceAddress": "Москва, Тверская ул., 1",
        "retailPlace": "Оптика - Нева",
        "appliedTaxationType": 1,
        "propertiesData": "123",
        "fnsUrl": "www.nalog.gov.ru",
        "items": [
            {
                "name": 'Оправа "Нева"',
                "price": 890000,
                "quantity": 1,
                "sum": 890000,
                "nds": 6,
                "paymentType": 4,
                "productType": 1,
                "itemsQuantityMeasure": 0,
            },
            {
                "name": "Раствор - 360 мл",
                "price": 84990,
                "quantity": 2,
                "sum": 169980,
                "nds": 11,
                "ndsSum": 30652,
                "paymentType": 4,
                "productType": 1,
                "itemsQuantityMeasure": 0,
            },
        ],
        "totalSum": 1059980,
        "cashTotalSum": 59980,
        "ecashTotalSum": 1000000,
        "prepaidSum": 0,
        "creditSum": 0,
        "provisionSum": 0,
        "ndsNo": 890000,
        "amountsReceiptNds": {"amountsNds": [{"nds": 11, "ndsSum": 30652}]},
        "dateTime": datetime(2026, 11, 24, 12, 30, tzinfo=UTC).timestamp(),
        "shiftNumber": 7,
        "requestNumber": 3,
        "fiscalDriveNumber": "9999078900001341",
        "fiscalDocumentNumber": 5548,
        "fiscalSign": document["fiscalSign"],
    }
    assert tlv.decode(tlv.encode(document)) == document


@QUICK
@given(st.data(), orders())
def test_settlement_adds_up(data, order):
    items, total = order
    body = settle(items, share_payments(data.draw(payments(total)), total, 0, 0))
    assert sum(i["sum"] for i in body["items"]) == body["totalSum"] == total
    assert sum(body[name] for name in PAYMENT_FORMS.values()) == total
    assert json.loads(to_text(body)) == body


def taxed(price, quantity, percent, rounding, included, rate):
    """What Odoo charges for a line: prices without VAT are rounded once VAT is added."""
    net = Decimal(price) * quantity * (100 - percent) / 100
    gross = net if included else net.quantize(1, rounding) * (100 + vat.RATES[rate].percent) / 100
    return int(gross.quantize(1, rounding))


@st.composite
def baskets(draw):
    """Lines as shops have them, a discount of so many roubles, a rounding of the cash, several payments and change."""
    lines = draw(
        st.lists(
            st.builds(
                lambda price, quantity, percent, included, rate: item(
                    taxed(price, quantity, percent, ROUND_HALF_UP, included, rate), quantity, vat_rate=rate
                ),
                st.integers(0, 10**7),
                st.integers(1, 30_000).map(lambda n: Decimal(n) / 1000) | st.integers(1, 200).map(Decimal),
                st.sampled_from([0, 0, 5, 10, 33, 100]),
                st.booleans(),
                st.sampled_from([2, 4, 5, 6, 7, 8, 11, 12]),
            ),
            min_size=1,
            max_size=8,
        )
    )
    gross = sum(line.total for line in lines)
    discount = draw(st.sampled_from([0, 0, gross // 3, min(gross, 50_000)]))
    total = gross - discount
    total -= draw(st.sampled_from([0, 0, total % 100, total % 5]))
    paid = share_payments(draw(payments(total)), total, 0, 0)
    return lines + [item(-discount)] * bool(discount), paid, total


@settings(max_examples=BASKETS, database=None)
@given(baskets())
def test_any_basket(basket):
    items, paid, total = basket
    body = settle(items, paid)
    assert body["totalSum"] == total == sum(i["sum"] for i in body["items"])
    assert sum(body[name] for name in PAYMENT_FORMS.values()) == total
    for i in body["items"]:
        assert abs(i["sum"] - i["price"] * Decimal(str(i["quantity"]))) <= 1
    sold = sum((i.quantity for i in items if i.total >= 0), Decimal())
    assert sum(Decimal(str(i["quantity"])) for i in body["items"]) == sold
    amounts = {}
    for i in body["items"]:
        rate = vat.RATES[i["nds"]]
        exact = Decimal(i["sum"]) * rate.percent / (100 + rate.percent)
        assert i.get("ndsSum", 0) == exact.quantize(1, ROUND_HALF_UP)
        amounts[i["nds"]] = amounts.get(i["nds"], 0) + (i["ndsSum"] if rate.percent else i["sum"])
    common = {name: body[name] for name in ("nds10", "nds10110", "nds0", "ndsNo") if name in body}
    assert common == {vat.RATES[code].total: a for code, a in amounts.items() if vat.RATES[code].total and (a or code in (5, 6))}
    others = {o["nds"]: o["ndsSum"] for o in body.get("amountsReceiptNds", {"amountsNds": []})["amountsNds"]}
    assert others == {code: a for code, a in amounts.items() if a and not vat.RATES[code].total}
    assert tlv.decode(tlv.encode(body)) == body


# -- named baskets, computed by hand -------------------------------------------------------------------------------------------


def test_frame_with_exempt_lenses():
    body = settle([item(890000, name="Оправа"), item(500000, "2", "Линзы для коррекции зрения")])
    assert stated(body) == [(1, 890000, 890000, 6, None), (2, 250000, 500000, 6, None)]
    assert body["ndsNo"] == 1390000 and "amountsReceiptNds" not in body


def test_sunglasses():
    body = settle([item(1499000, vat_rate=11)])
    assert stated(body) == [(1, 1499000, 1499000, 11, 270311)]  # 14 990 × 22 / 122 = 2 703.114…
    assert body["amountsReceiptNds"] == {"amountsNds": [{"nds": 11, "ndsSum": 270311}]} and "ndsNo" not in body


def test_mixed_vat_is_the_sum_of_the_lines():
    """[R2] at 22 %: 119.99, 76.99, 49.99 have 44.53, the VAT of their sum is 44.54; at 10 % 28.73 and 28.72."""
    prices = [(11999, 11), (7699, 11), (4999, 11), (5999, 2), (4199, 2), (4199, 2), (4199, 2), (12999, 2)]
    body = settle([item(price, vat_rate=code) for price, code in prices])
    assert body["amountsReceiptNds"]["amountsNds"] == [{"nds": 11, "ndsSum": 4453}]
    assert body["nds10"] == 2873


def test_eye_test_with_contact_lenses():
    body = settle([item(150000, subject=4), item(249000, "1", "Контактные линзы")])
    assert [i["productType"] for i in body["items"]] == [4, 1]
    assert body["ndsNo"] == 399000


def test_advance_of_thirty_percent_then_settlement():
    advances = [item(267000, name="Оправа", method=2, subject=10), item(450000, vat_rate=11, method=2, subject=10)]
    body = settle(advances)
    assert stated(body) == [(1, 267000, 267000, 6, None), (1, 450000, 450000, 12, 81148)]
    assert {(i["paymentType"], i["productType"]) for i in body["items"]} == {(2, 10)}
    assert body["amountsReceiptNds"] == {"amountsNds": [{"nds": 12, "ndsSum": 81148}]} and body["ndsNo"] == 267000
    body = settle([item(890000, name="Оправа"), item(1500000, vat_rate=11)], {"ecash": 1673000, "prepaid": 717000})
    assert stated(body) == [(1, 890000, 890000, 6, None), (1, 1500000, 1500000, 11, 270492)]
    assert (body["totalSum"], body["prepaidSum"], body["ecashTotalSum"]) == (2390000, 717000, 1673000)
    assert {i["paymentType"] for i in body["items"]} == {4}


def test_advance_returned():
    """The rate that was stated is stated again."""
    body = settle([item(450000, vat_rate=12, subject=10, method=2, of_earlier_sale=True)], operation_type=2)
    assert stated(body) == [(1, 450000, 450000, 12, 81148)]
    assert (body["operationType"], body["items"][0]["paymentType"]) == (2, 2)


def test_refund_of_a_sale_of_2025():
    body = settle([item(120000, vat_rate=1, of_earlier_sale=True)], operation_type=2)
    assert stated(body) == [(1, 120000, 120000, 1, 20000)]
    assert body["nds18"] == 20000


def test_a_third_off_odd_prices():
    """6 × 33 % off 99.99, 149.95 and 333.33 are 401.96, 602.80 and 1339.99, of which the first two can't be a price × 6."""
    body = settle([item(40196, "6", vat_rate=11), item(60280, "6", vat_rate=11), item(133999, "6", vat_rate=11)])
    assert stated(body) == [
        (2, 6700, 13400, 11, 2416),
        (4, 6699, 26796, 11, 4832),
        (4, 10047, 40188, 11, 7247),
        (2, 10046, 20092, 11, 3623),
        (6, 22333, 133999, 11, 24164),
    ]


def test_chain_by_the_metre():
    body = settle([item(11652, "0.333", vat_rate=11, measure=22)])
    assert stated(body) == [(0.333, 34991, 11652, 11, 2101)]
    assert body["items"][0]["itemsQuantityMeasure"] == 22


def test_two_payments_with_change():
    body = settle([item(84990)], share_payments({"ecash": 50000, "cash": 40000 - 5010}, 84990, 0, 0))
    assert (body["ecashTotalSum"], body["cashTotalSum"], body["totalSum"]) == (50000, 34990, 84990)


@pytest.mark.parametrize(
    ("paid", "method"), [({"credit": 890000}, 6), ({"credit": 800000, "cash": 90000}, 5), ({"ecash": 890000}, 4)]
)
def test_on_account(paid, method):
    assert settle([item(890000)], paid)["items"][0]["paymentType"] == method


def test_gift_card_sold_and_spent():
    body = settle([item(500000, name="Подарочная карта", method=3, subject=10)])
    assert stated(body) == [(1, 500000, 500000, 6, None)]
    body = settle([item(890000)], {"prepaid": 500000, "cash": 390000})
    assert stated(body) == [(1, 890000, 890000, 6, None)]
    assert (body["prepaidSum"], body["cashTotalSum"]) == (500000, 390000)


def test_simplified_shop_at_five_percent():
    body = settle([item(105000, vat_rate=7), item(210000, vat_rate=7)], appliedTaxationType=2)
    assert stated(body) == [(1, 105000, 105000, 7, 5000), (1, 210000, 210000, 7, 10000)]
    assert body["amountsReceiptNds"] == {"amountsNds": [{"nds": 7, "ndsSum": 15000}]}


# -- lines ---------------------------------------------------------------------------------------------------------------------


@QUICK
@given(st.integers(0, 10**9), st.integers(1, 10**6).map(lambda n: Decimal(n) / 1000) | st.integers(1, 3000).map(Decimal))
def test_a_line_is_split_to_the_kopeck(total, quantity):
    parts = item(total, quantity).split()
    assert sum(part.total for part in parts) == total
    assert sum(part.quantity for part in parts) == quantity
    assert all(abs(part.total - part.price * part.quantity) <= 1 and part.quantity > 0 for part in parts)
    assert len(parts) <= (2 if quantity % 1 == 0 else 3)
    assert len(parts) == 1 or quantity > 2
    whole = [part.price for part in parts if part.quantity % 1 == 0]
    assert max(whole, default=0) - min(whole, default=0) <= 1


def test_four_for_ten_roubles_and_two_kopecks():
    assert [(p.quantity, p.price, p.total) for p in item(1002, "4").split()] == [(2, 251, 502), (2, 250, 500)]


@pytest.mark.parametrize(
    ("items", "paid", "values"),
    [
        ([], {}, {"code": "no_items"}),
        ([item(1), item(100, "0")], {"cash": 101}, {"code": "quantity", "line": 2}),
        ([item(100, "-1")], {"cash": 100}, {"code": "quantity", "line": 1}),
        ([item(100, "0.1234567")], {"cash": 100}, {"code": "decimals", "line": 1, "field": 1023}),
        ([item(100)], {"cash": 200, "ecash": -100}, {"code": "payments"}),
        ([item(100), item(-300)], {"cash": -200}, {"code": "negative_total"}),
        ([item(10**14, "0.1")], {"cash": 10**14}, {"code": "too_large", "line": 1}),
        ([item(2**47), item(2**47)], {"cash": 2**48}, {"code": "too_large"}),
        (
            [item(-5), item(105, vat_rate=1)],
            {"cash": 100},
            {"code": "vat_day", "line": 2, "field": 1199, "rate": 1, "day": TODAY},
        ),
        ([item(100, vat_rate=13)], {"cash": 100}, {"code": "vat_day", "line": 1}),
        ([item(100, subject=33)], {"cash": 100}, {"code": "marked", "line": 1, "field": 1212}),
        (
            [item(1002, "4"), item(-2), item(5, name="™")],
            {"cash": 1005},
            {"code": "missing", "line": 3, "field": 1030, "name": "™"},
        ),
    ],
)
def test_what_can_not_be_settled(items, paid, values):
    with pytest.raises(DocumentError) as refusal:
        settlement(1, items, paid, HEAD, TODAY)
    assert {"code": refusal.value.code, **{k: v for k, v in refusal.value.values.items() if k in values}} == values


@pytest.mark.parametrize(
    ("head", "code", "field"),
    [
        ({"retailPlace": "™"}, "missing", 1187),
        ({"user": None}, "missing", 1048),
        ({"userInn": ""}, "missing", 1018),
        ({"kktRegId": "1" * 21}, "length", 1037),
        ({"appliedTaxationType": "1"}, "value", 1055),
        ({"colour": "red"}, "unknown", "colour"),
    ],
)
def test_a_head_that_does_not_do(head, code, field):
    with pytest.raises(DocumentError) as refusal:
        settle([item(100)], **head)
    assert (refusal.value.code, refusal.value.values["field"]) == (code, field)
    assert "line" not in refusal.value.values


def test_largest_document_and_one_more():
    """The room for the numbers is kept, so that a document that was let through has place for them."""
    numbers = {"shiftNumber": 1, "requestNumber": 1, "fiscalDriveNumber": "9999078900001341", "fiscalDocumentNumber": 1}
    items = [item(100, name="N" * 128)] * 188

    def size(length):
        body = settle(items, retailPlace="P" * length)
        return len(tlv.encode(number(body, datetime(2026, 11, 24), **numbers)))

    length = tlv.LARGEST_DOCUMENT - size(1) + 1
    assert 1 < length < 256 and size(length) == tlv.LARGEST_DOCUMENT
    with pytest.raises(DocumentError) as refusal:
        settle(items, retailPlace="P" * (length + 1))
    assert (refusal.value.code, refusal.value.values["size"]) == ("size", tlv.LARGEST_DOCUMENT + 1)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda body: body["items"][0].update(price=84992), "price"),
        (lambda body: body["items"][0].update(ndsSum=15325), "vat_amount"),
        (lambda body: body["items"][0].pop("ndsSum"), "vat_amount"),
        (lambda body: body.update(totalSum=1), "payments"),
        (lambda body: body.update(cashTotalSum=1), "payments"),
        (lambda body: body.update(ndsNo=0), "vat_totals"),
        (lambda body: body.pop("ndsNo"), "vat_totals"),
        (lambda body: body.update(nds18=15326), "vat_totals"),
        (lambda body: body["items"][1].pop("productType"), "missing"),
    ],
)
def test_a_document_is_checked_as_a_whole(change, code):
    body = settle([item(84990, vat_rate=11), item(500)])
    check(body)
    change(body)
    with pytest.raises(DocumentError) as refusal:
        check(body)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("quantity", "total", "price", "written"),
    [("2", 1602000, 801000, 2), ("1.5", 49500, 33000, 1.5), ("3", 100, 33, 3), ("0.333", 10989, 33000, 0.333)],
)
def test_item(quantity, total, price, written):
    assert item(total, quantity, "Name", 12).as_json() == {
        "name": "Name",
        "price": price,
        "quantity": written,
        "sum": total,
        "nds": 12,
        "ndsSum": vat.amount(total, 12),
        "paymentType": 4,
        "productType": 1,
        "itemsQuantityMeasure": 0,
    }


def test_texts_of_documents_of_before_are_fitted_too():
    old = {"code": 3, "user": "ООО «Оптика»", "items": [{"name": "Линзы – " + "N" * 200, "sum": 5}], "userInn": "7700123459"}
    assert fit_texts(old) == {
        "code": 3,
        "user": 'ООО "Оптика"',
        "items": [{"name": "Линзы - " + "N" * 120, "sum": 5}],
        "userInn": "7700123459  ",
    }


def test_text_is_strict_json():
    assert to_text({"a": "Оптика", "b": [1, 2]}) == '{"a":"Оптика","b":[1,2]}'
    with pytest.raises(ValueError, match="JSON compliant"):
        to_text({"quantity": float("nan")})


# -- QR code -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "moment", "kopecks"),
    [
        # the example in order ED-7-20/662@ of the Federal Tax Service
        ("t=20150720T1638&s=9999999.00&fn=000110000105&i=12345678&fp=123456&n=2", datetime(2015, 7, 20, 16, 38), 999999900),
        # a receipt of 2018, from Vasfed's receipt_result_spec.rb
        ("t=20181022T1936&s=0.01&fn=9999078900001341&i=5548&fp=787980846&n=1", datetime(2018, 10, 22, 19, 36), 1),
    ],
)
def test_qr_text_of_real_receipts(text, moment, kopecks):
    said = dict(part.split("=") for part in text.split("&"))
    document = {
        "totalSum": kopecks,
        "fiscalDriveNumber": said["fn"],
        "fiscalDocumentNumber": int(said["i"]),
        "fiscalSign": int(said["fp"]),
        "operationType": int(said["n"]),
    }
    assert qr_text(document, moment) == text


def test_sums_add_up_to_what_was_taken():
    documents = [{"operationType": operation, "totalSum": 100} for operation in (1, 2, 3, 4)]
    assert [signed_total(document) for document in (*documents, {"code": 2})] == [100, -100, -100, 100, 0]
