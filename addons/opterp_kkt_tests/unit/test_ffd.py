"""Fiscal documents: sums to the kopeck, whatever the discounts and the payments; the QR code's text."""

import hashlib
import json
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from core.ffd import (
    PAYMENT_FORMS,
    DocumentError,
    Item,
    emulated_sign,
    fit_items,
    number,
    settlement,
    share_payments,
    to_text,
)
from core.qr import qr_text
from hypothesis import given, settings
from hypothesis import strategies as st

QUICK = settings(max_examples=200, deadline=None, database=None)
KOPECKS = st.integers(0, 10**9)
MOSCOW = ZoneInfo("Europe/Moscow")


def item(total, quantity="1", name="Frame", vat_rate=6):
    return Item(name, Decimal(quantity), total, vat_rate)


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


@pytest.mark.parametrize(("totals", "paid"), [
    ([84990, -100000], -15010),
    ([-100], -100),
    ([0, -100], -100),
    ([0], 100),
    ([], 0),
])
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


@pytest.mark.parametrize(("paid", "total", "other", "shared"), [
    ({"cash": 1000}, 1000, 0, {"cash": 1000}),
    ({"cash": 400, "ecash": 600}, 1000, 0, {"cash": 400, "ecash": 600}),
    ({"ecash": 1000, "cash": -100}, 900, 0, {"ecash": 900}),
    ({"ecash": 500, "credit": 500, "cash": -100}, 900, 0, {"credit": 500, "ecash": 400}),
    ({}, 0, 0, {"cash": 0}),
    ({}, 1000, 1000, {"cash": 1000}),
    ({"ecash": 700}, 1000, 300, {"ecash": 1000}),
    ({"ecash": -700}, 300, 1000, {"ecash": 300}),
    ({"cash": 849}, 850, 0, {"cash": 849}),
])
def test_who_paid_what(paid, total, other, shared):
    assert share_payments(paid, total, other, 1) == shared


@pytest.mark.parametrize(("paid", "total", "other"), [
    ({"cash": 1000}, 1002, 0), ({"cash": 1000}, 998, 0), ({}, 2, 0), ({"cash": 700}, 1000, 200)])
def test_payments_that_do_not_add_up(paid, total, other):
    with pytest.raises(DocumentError) as refusal:
        share_payments(paid, total, other, 1)
    assert refusal.value.code == "payments"
    assert refusal.value.values["total"] == total


# -- the document --------------------------------------------------------------------------------------------------------------


@QUICK
@given(st.data(), orders())
def test_settlement_adds_up(data, order):
    items, total = order
    paid = share_payments(data.draw(payments(total)), total, 0, 0)
    body = settlement(1, items, paid, {"operator": "Anna"})
    assert sum(i["sum"] for i in body["items"]) == body["totalSum"] == total
    assert sum(body[name] for name in PAYMENT_FORMS.values()) == total
    assert json.loads(to_text(body)) == body


@pytest.mark.parametrize(("items", "paid", "code"), [
    ([], {}, "no_items"),
    ([item(100, "0")], {"cash": 100}, "quantity"),
    ([item(100, "-1")], {"cash": 100}, "quantity"),
    ([item(100)], {"cash": 200, "ecash": -100}, "payments"),
    ([item(100), item(-300)], {"cash": -200}, "negative_total"),
])
def test_what_can_not_be_settled(items, paid, code):
    with pytest.raises(DocumentError) as refusal:
        settlement(1, items, paid, {})
    assert refusal.value.code == code


@pytest.mark.parametrize(("quantity", "total", "price", "written"), [
    ("2", 1602000, 801000, 2), ("1.5", 49500, 33000, 1.5), ("3", 100, 33, 3), ("0.333", 10989, 33000, 0.333)])
def test_item(quantity, total, price, written):
    assert item(total, quantity, "N" * 200, 11).as_json() == {
        "name": "N" * 128, "price": price, "quantity": written, "sum": total, "nds": 11,
        "paymentType": 4, "productType": 1, "itemsQuantityMeasure": 0}


def test_time_is_the_local_time_of_the_register():
    moment = datetime(2026, 11, 23, 9, 30, tzinfo=UTC).astimezone(MOSCOW)
    document = number({"totalSum": 1}, "9999078900001341", 5548, moment)
    assert document["dateTime"] == datetime(2026, 11, 23, 12, 30, tzinfo=UTC).timestamp()
    assert (document["fiscalDriveNumber"], document["fiscalDocumentNumber"]) == ("9999078900001341", 5548)


def test_sign_covers_everything_and_has_up_to_ten_digits():
    document = {"totalSum": 100, "user": "Оптика"}
    digest = hashlib.sha256('{"totalSum":100,"user":"Оптика"}'.encode()).digest()
    assert emulated_sign(document) == int.from_bytes(digest[:4], "big") < 10**10
    assert emulated_sign({**document, "totalSum": 101}) != emulated_sign(document)


def test_text_is_strict_json():
    assert to_text({"a": "Оптика", "b": [1, 2]}) == '{"a":"Оптика","b":[1,2]}'
    with pytest.raises(ValueError, match="JSON compliant"):
        to_text({"quantity": float("nan")})


# -- QR code -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "moment", "kopecks"), [
    # the example in order ED-7-20/662@ of the Federal Tax Service
    ("t=20150720T1638&s=9999999.00&fn=000110000105&i=12345678&fp=123456&n=2", datetime(2015, 7, 20, 16, 38), 999999900),
    # a receipt of 2018, from Vasfed's receipt_result_spec.rb
    ("t=20181022T1936&s=0.01&fn=9999078900001341&i=5548&fp=787980846&n=1", datetime(2018, 10, 22, 19, 36), 1),
])
def test_qr_text_of_real_receipts(text, moment, kopecks):
    said = dict(part.split("=") for part in text.split("&"))
    document = {
        "totalSum": kopecks, "fiscalDriveNumber": said["fn"], "fiscalDocumentNumber": int(said["i"]),
        "fiscalSign": int(said["fp"]), "operationType": int(said["n"])}
    assert qr_text(document, moment) == text


def test_qr_text_has_the_time_of_the_register():
    moment = datetime(2026, 11, 23, 21, 30, tzinfo=UTC).astimezone(MOSCOW)
    document = number({"totalSum": 84990, "operationType": 1}, "9999078900001341", 1, moment)
    assert qr_text(document, moment).startswith("t=20261124T0030&s=849.90&fn=9999078900001341&i=1&fp=")
