"""Correction receipts (document 31): computed by hand, there and back through the binary, each rule broken once."""

from calendar import timegm
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from core import paper, tlv
from core.contact import contact
from core.correction import FIRST_DAY, MIRRORED, Cause, complete, correction, mirror, stated_method
from core.document_error import DocumentError
from core.ffd import settlement
from core.lines import Item
from core.rules import PAYMENT_FORMS, check
from core.text import fit_texts
from hypothesis import given, settings
from hypothesis import strategies as st
from opterp_kkt.drivers import Emulator, Numbers
from unit.test_ffd import BASKETS, HEAD, TODAY, baskets, item, number

LAST_YEAR = date(2025, 12, 30)
DAY = 1767052800  # 30.12.2025 00:00, of whatever zone
MOMENT = datetime(2026, 11, 24, 14, 5)
OWN = Cause(False, LAST_YEAR)
BY_ORDER = Cause(True, LAST_YEAR, "12-34/5")


def correct(items, paid, cause=OWN, operation_type=1, head=HEAD):
    return correction(operation_type, items, paid, head, cause, TODAY)


def signed(body, fd_number=7):
    return number(
        body,
        MOMENT,
        fiscalDriveNumber="9999078900005488",
        fiscalDocumentNumber=fd_number,
        shiftNumber=1,
        requestNumber=fd_number,
    )


def receipt():
    """Two lines, one of them wrongly at 22 %."""
    items = [item(890000), item(84990, name="Solution", vat_rate=11)]
    return signed(settlement(1, items, {"cash": 500000, "ecash": 474990}, HEAD, TODAY))


def refusal_of(call, *args):
    with pytest.raises(DocumentError) as refusal:
        call(*args)
    return refusal.value.code, refusal.value.values.get("field")


# -- by hand -------------------------------------------------------------------------------------------------------------------


def test_sale_without_register_by_order():
    """1 200.00 of last year at 20 %: the VAT is 1 200.00 × 20 / 120 = 200.00."""
    assert timegm(datetime(2025, 12, 30).timetuple()) == DAY
    assert correct([item(120000, vat_rate=1, name="Раствор «Линза»")], {"cash": 120000}, BY_ORDER) == {
        "code": 31,
        "fiscalDocumentFormatVer": 4,
        "operationType": 1,
        "operator": "Анна",
        "user": 'ООО "Оптика"',
        "userInn": "7700123459  ",
        "kktRegId": "0000000001012345    ",
        "retailPlaceAddress": "Москва, Тверская ул., 1",
        "retailPlace": "Оптика - Нева",
        "appliedTaxationType": 1,
        "correctionType": 1,
        "correctionBase": {"correctionDocumentDate": DAY, "correctionDocumentNumber": "12-34/5"},
        "fnsUrl": "www.nalog.gov.ru",
        "items": [
            {
                "name": 'Раствор "Линза"',
                "price": 120000,
                "quantity": 1,
                "sum": 120000,
                "nds": 1,
                "ndsSum": 20000,
                "paymentType": 4,
                "productType": 1,
                "itemsQuantityMeasure": 0,
            }
        ],
        "totalSum": 120000,
        "cashTotalSum": 120000,
        "ecashTotalSum": 0,
        "prepaidSum": 0,
        "creditSum": 0,
        "provisionSum": 0,
        "nds18": 20000,
    }


def test_wrong_receipt_and_its_two_corrections():
    """849.90 at 22 % has 153.26 of VAT; at 10 % it is 849.90 × 10 / 110 = 77.26."""
    wrong = receipt()
    cause = Cause(False, TODAY, wrong_sign=str(wrong["fiscalSign"]))
    reverse = mirror(wrong, HEAD, cause, TODAY)
    changed = {
        "code": 31,
        "operationType": 2,
        "correctionType": 0,
        "correctionBase": {"correctionDocumentDate": timegm(TODAY.timetuple())},
        "propertiesData": str(wrong["fiscalSign"]),
    }
    numbers = {"dateTime", "shiftNumber", "requestNumber", "fiscalDriveNumber", "fiscalDocumentNumber", "fiscalSign"}
    assert reverse == {name: value for name, value in wrong.items() if name not in numbers} | changed
    assert reverse["amountsReceiptNds"] == {"amountsNds": [{"nds": 11, "ndsSum": 15326}]} and reverse["ndsNo"] == 890000
    items = [item(890000), item(84990, name="Solution", vat_rate=2)]
    right = correct(items, {"cash": 500000, "ecash": 474990}, cause)
    assert (right["operationType"], right["nds10"], right["ndsNo"]) == (1, 7726, 890000)
    assert "amountsReceiptNds" not in right
    assert right["propertiesData"] == reverse["propertiesData"]


def test_own_requisite_of_the_register_gives_way_to_the_sign():
    head = {**HEAD, "propertiesData": "own"}
    assert correct([item(100)], {"cash": 100}, head=head)["propertiesData"] == "own"
    assert correct([item(100)], {"cash": 100}, Cause(False, TODAY, wrong_sign="123"), head=head)["propertiesData"] == "123"
    assert mirror(receipt(), head, Cause(False, TODAY, wrong_sign="123"), TODAY)["propertiesData"] == "123"


def test_reverse_keeps_the_taxation_system_of_then():
    assert mirror({**receipt(), "appliedTaxationType": 2}, HEAD, Cause(False, TODAY), TODAY)["appliedTaxationType"] == 2


def test_on_credit_follows_from_the_payments():
    body = correct([item(100000, vat_rate=1)], {"cash": 40000, "credit": 60000})
    assert [each["paymentType"] for each in body["items"]] == [5]
    assert stated_method(body["items"][0]) == 4  # and so again, when this is put right
    assert stated_method({"paymentType": 3}) == 3


def test_lines_are_split_to_the_kopeck():
    body = correct([item(1002, "4")], {"cash": 1002})
    assert [(each["quantity"], each["price"], each["sum"]) for each in body["items"]] == [(2, 251, 502), (2, 250, 500)]


def test_receipts_of_before_are_completed():
    short = {"name": "A", "price": 12200, "quantity": 1, "sum": 12200, "nds": 11}
    old = {**receipt(), "items": [short], "totalSum": 12200, "cashTotalSum": 12200, "ecashTotalSum": 0}
    assert mirror(old, HEAD, Cause(False, TODAY), TODAY)["items"] == [
        {**short, "ndsSum": 2200, "paymentType": 4, "productType": 1, "itemsQuantityMeasure": 0}
    ]
    assert complete({**short, "productType": 4})["productType"] == 4


@pytest.mark.parametrize("operation", MIRRORED)
def test_reverse_of_a_reverse_is_the_operation(operation):
    assert MIRRORED[MIRRORED[operation]] == operation != MIRRORED[operation]
    assert mirror({**receipt(), "operationType": operation}, HEAD, Cause(False, TODAY), TODAY)["operationType"] != operation


# -- rates of the day ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "rate", "operation", "valid"),
    [
        (LAST_YEAR, 1, 1, True),
        (LAST_YEAR, 11, 1, False),
        (date(2026, 1, 1), 1, 1, False),
        (date(2026, 1, 1), 11, 1, True),
        (date(2026, 1, 1), 1, 2, True),  # goods of last year taken back
        (date(2024, 12, 31), 7, 1, False),
        (date(2025, 1, 1), 7, 1, True),
    ],
)
def test_rates_are_those_of_the_settlement(day, rate, operation, valid):
    call = (correct, [item(100, vat_rate=rate)], {"cash": 100}, Cause(False, day), operation)
    if valid:
        assert call[0](*call[1:])["items"][0]["nds"] == rate
    else:
        assert refusal_of(*call) == ("vat_day", 1199)


def test_a_debt_of_last_year_is_paid_at_its_rate():
    paid_later = Item("Debt", Decimal(1), 100, 1, subject=10, method=7)
    assert correct([paid_later], {"cash": 100}, Cause(False, TODAY))["items"][0]["nds"] == 1


def test_reverse_states_the_rate_of_then_on_any_day():
    old = signed(settlement(1, [item(12000, vat_rate=1)], {"cash": 12000}, HEAD, LAST_YEAR))
    assert mirror(old, HEAD, OWN, TODAY)["nds18"] == 2000


# -- each rule broken once -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cause", "code", "field"),
    [
        (Cause(False, None), "missing", 1178),
        (Cause(False, TODAY + timedelta(1)), "day_future", 1178),
        (Cause(False, FIRST_DAY - timedelta(1)), "day_early", 1178),
        (Cause(True, TODAY), "order_number", 1179),
        (Cause(True, TODAY, "  "), "order_number", 1179),
        (Cause(False, TODAY, "12"), "own_decision", 1179),
        (Cause(True, TODAY, "1" * 33), "length", 1179),
    ],
)
def test_wrong_causes(cause, code, field):
    assert refusal_of(correct, [item(100)], {"cash": 100}, cause) == (code, field)
    assert refusal_of(mirror, receipt(), HEAD, cause, TODAY) == (code, field)


@pytest.mark.parametrize(
    ("items", "paid", "code", "field"),
    [
        ([], {}, "no_items", None),
        ([item(100)], {"cash": 99}, "payments", 1020),  # a receipt would fit it
        ([item(100)], {"cash": 101}, "payments", 1020),
        ([item(100)], {"cash": 200, "ecash": -100}, "payments", 1020),
        ([item(100), item(-10)], {"cash": 90}, "negative_line", 1043),
        ([item(100, "0")], {"cash": 100}, "quantity", None),
        ([item(100, "1.2345678")], {"cash": 100}, "decimals", 1023),
        ([item(100, name="眼鏡")], {"cash": 100}, "missing", 1030),
        ([item(100, subject=33)], {"cash": 100}, "marked", 1212),
        ([item(100, vat_rate=0)], {"cash": 100}, "vat_day", 1199),
    ],
)
def test_wrong_lines_and_payments(items, paid, code, field):
    assert refusal_of(correct, items, paid) == (code, field)


def test_line_of_an_error_is_named():
    with pytest.raises(DocumentError) as refusal:
        correct([item(100), item(-10, name="Discount")], {"cash": 90})
    assert (refusal.value.values["line"], refusal.value.values["name"]) == (2, "Discount")


@pytest.mark.parametrize("name", [*HEAD, "correctionType", "correctionBase", "items", "totalSum", *PAYMENT_FORMS.values()])
def test_each_mandatory_requisite_is_missed(name):
    body = correct([item(100)], {"cash": 100})
    del body[name]
    if name == "operator":  # tag 1021: an automat has none
        return check(body)
    with pytest.raises((DocumentError, KeyError)) as refusal:
        check(body)
    assert refusal.value.code == "missing"


def test_a_base_without_a_day_is_missed():
    body = correct([item(100)], {"cash": 100})
    assert refusal_of(check, {**body, "correctionBase": {"correctionDocumentNumber": "1"}}) == ("missing", 1178)


# -- there and back, and on paper ----------------------------------------------------------------------------------------------


@settings(max_examples=BASKETS, database=None)
@given(baskets(), st.dates(date(2026, 1, 1), TODAY), st.booleans(), st.integers(0, 2**32 - 1))
def test_reverse_of_any_receipt(basket, day, by_order, sign):
    """Sums, rates and payments are those of the receipt, and the binary keeps all of it."""
    items, paid, _total = basket
    wrong = signed(settlement(1, items, paid, HEAD, TODAY))
    reverse = signed(mirror(wrong, HEAD, Cause(by_order, day, "7" * by_order, str(sign)), TODAY), 8)
    for name in ("items", "totalSum", *PAYMENT_FORMS.values(), "amountsReceiptNds", "nds10", "nds10110", "nds0", "ndsNo"):
        assert reverse.get(name) == wrong.get(name)
    assert tlv.decode(tlv.encode(fit_texts(reverse))) == reverse


@settings(max_examples=BASKETS, database=None)
@given(baskets(), st.dates(date(2026, 1, 1), TODAY))
def test_right_one_of_any_receipt(basket, day):
    """What a receipt states, typed in again, is stated again."""
    items, paid, _total = basket
    wrong = settlement(1, items, paid, HEAD, TODAY)
    again = [
        Item(
            each["name"],
            Decimal(str(each["quantity"])),
            each["sum"],
            each["nds"],
            each["productType"],
            each["itemsQuantityMeasure"],
            stated_method(each),
        )
        for each in wrong["items"]
    ]
    right = signed(correct(again, {form: wrong[name] for form, name in PAYMENT_FORMS.items()}, Cause(False, day)))
    assert right["items"] == wrong["items"]
    assert tlv.decode(tlv.encode(fit_texts(right))) == right


def test_draft_on_paper():
    """Before it is signed it says so, and has neither numbers nor a QR code."""
    body = correct([item(120000, vat_rate=1)], {"cash": 120000}, BY_ORDER)
    lines = paper.render({**body, "fiscalDriveNumber": "9999078900005488"}, 48)
    text = paper.as_text(lines, 48)
    assert "ПРОЕКТ, НЕ ПОДПИСАН" in text and "КАССОВЫЙ ЧЕК КОРРЕКЦИИ" in text and "ПО ПРЕДПИСАНИЮ" in text
    assert "30.12.2025" in text and "12-34/5" in text and "ТЕСТ" in text
    assert not [line for line in lines if line.style == "qr"] and "ФП " not in text and "СМЕНА" not in text


def test_signed_on_paper():
    document = signed(correct([item(120000, vat_rate=1)], {"cash": 120000}, Cause(False, LAST_YEAR, wrong_sign="2853205313")))
    text = " ".join(paper.as_text(paper.render(document, 48), 48).split())
    assert "ПРОЕКТ" not in text
    for shown in (
        "КАССОВЫЙ ЧЕК КОРРЕКЦИИ ПРИХОД СМЕНА 1 ЧЕК КОР. 7",
        "ТИП КОРРЕКЦИИ САМОСТОЯТЕЛЬНО",
        "ОСН. ДЛЯ КОРР. ДАТА 30.12.2025",
        "ДОП. РЕКВИЗИТ ЧЕКА 2853205313",
        f"ФП {document['fiscalSign']}",
        "QR: t=20261124T1405&s=1200.00",
    ):
        assert shown in text, text


def test_emulator_signs_a_correction():
    body = correct([item(100)], {"cash": 100})
    document, data = Emulator().sign(body, Numbers("9999000000000001", 3, 1, 2, MOMENT.replace(tzinfo=UTC)))
    assert (data.fd_number, data.receipt_number, bool(data.qr)) == (3, 2, True)
    assert document["requestNumber"] == 2


# -- the buyer's contact -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("email", "phone", "stated"),
    [
        (" ivan@example.com ", "+7 916 123-45-67", "ivan@example.com"),
        ("", "+7 (916) 123-45-67", "+79161234567"),
        (None, "8 916 123 45 67", "+79161234567"),
        (None, "9161234567", "+79161234567"),
        (None, "+1 415 555.2671", "+14155552671"),
        ("иван@пример.рф", None, "иван@пример.рф"),
        ("ivan@", "+79161234567", "+79161234567"),
        ("ivan@example", None, None),
        ("ivan@example.c", None, None),
        ("a@b@example.com", None, None),
        ("a b@example.com", None, None),
        ('"I" <ivan@example.com>', None, None),
        ("眼@example.com", None, None),
        ("a" * 53 + "@example.com", None, None),
        ("a" * 52 + "@example.com", None, "a" * 52 + "@example.com"),
        (None, "123", None),
        (None, "+123456", None),
        (None, "+1234567890123456", None),
        (None, "916-CALL-NOW", None),
        (None, None, None),
        (False, False, None),
    ],
)
def test_contacts(email, phone, stated):
    assert contact(email, phone) == stated
    assert stated is None or contact(stated, stated) == stated
