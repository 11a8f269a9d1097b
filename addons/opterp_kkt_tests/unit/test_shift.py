# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Reports on a shift: what they state, and the counters, computed by hand beside the code."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opterp_kkt.core import shift, tlv
from opterp_kkt.core.document_error import DocumentError
from opterp_kkt.core.paper import WIDTHS, as_text, render, render_reference, render_x
from opterp_kkt.drivers.base import Numbers
from opterp_kkt.drivers.emulator import Emulator

HEAD = {
    "user": "ООО Оптика",
    "userInn": "7700123459  ",
    "kktRegId": "0000000001007540    ",
    "retailPlaceAddress": "Москва, Тверская 1",
    "retailPlace": "Оптика",
    "appliedTaxationType": 1,
    "propertiesData": "17",
    "operator": "Иванова",
}
AT_ONCE = timedelta()
MOMENT = datetime(2026, 11, 28, 21, 5)


def document(operation, total, code=3, **fields):
    """A signed document with money, as far as counters read it; paid in cash unless `fields` say otherwise."""
    paid = {"cashTotalSum": total, "ecashTotalSum": 0, "prepaidSum": 0, "creditSum": 0, "provisionSum": 0}
    return {"code": code, "operationType": operation, "totalSum": total, **paid, **fields}


def rates(**sums):
    return {"amountsReceiptNds": {"amountsNds": [{"nds": int(code[1:]), "ndsSum": amount} for code, amount in sums.items()]}}


DAY = [
    document(1, 120_00, nds18=20_00),
    document(1, 300_50, cashTotalSum=100_50, ecashTotalSum=200_00, nds10=10_00, ndsNo=190_50),
    document(1, 50_00, cashTotalSum=0, prepaidSum=30_00, creditSum=20_00, nds0=50_00, **rates(r11=9_02)),
    document(2, 120_00, nds18118=20_00, nds10110=1),
    document(2, 10_00, cashTotalSum=0, provisionSum=10_00, **rates(r7=48, r12=2)),
    document(1, 70_00, code=31, ndsNo=70_00, **rates(r11=1)),
    document(2, 5_00, code=31, ndsNo=5_00),
    document(3, 7_00),
    document(4, 8_00),
]
COUNTERS = {
    "totalReceiptBsoCount": 9,
    "sellOper": {
        "receiptBsoCount": 4,
        "totalSum": 540_50,
        "cashSum": 290_50,
        "ecashSum": 200_00,
        "prepaidSum": 30_00,
        "creditSum": 20_00,
        "provisionSum": 0,
        "tax18Sum": 20_00,
        "tax10Sum": 10_00,
        "tax0Sum": 50_00,
        "taxFreeSum": 260_50,
    },
    "sellReturnOper": {
        "receiptBsoCount": 3,
        "totalSum": 135_00,
        "cashSum": 125_00,
        "ecashSum": 0,
        "prepaidSum": 0,
        "creditSum": 0,
        "provisionSum": 10_00,
        "tax18118Sum": 20_00,
        "tax10110Sum": 1,
        "taxFreeSum": 5_00,
    },
    "buyOper": {
        "receiptBsoCount": 1,
        "totalSum": 7_00,
        "cashSum": 7_00,
        "ecashSum": 0,
        "prepaidSum": 0,
        "creditSum": 0,
        "provisionSum": 0,
    },
    "buyReturnOper": {
        "receiptBsoCount": 1,
        "totalSum": 8_00,
        "cashSum": 8_00,
        "ecashSum": 0,
        "prepaidSum": 0,
        "creditSum": 0,
        "provisionSum": 0,
    },
    "receiptCorrection": {
        "receiptCorrectionCount": 2,
        "sellCorrection": {
            "receiptBsoCount": 1,
            "totalSum": 70_00,
            "cashSum": 70_00,
            "ecashSum": 0,
            "prepaidSum": 0,
            "creditSum": 0,
            "provisionSum": 0,
        },
        "sellReturnCorrection": {
            "receiptBsoCount": 1,
            "totalSum": 5_00,
            "cashSum": 5_00,
            "ecashSum": 0,
            "prepaidSum": 0,
            "creditSum": 0,
            "provisionSum": 0,
        },
    },
}


def test_counters_of_a_day():
    assert shift.fold(DAY) == COUNTERS
    assert list(shift.fold(reversed(DAY))) == list(COUNTERS), "in the order of the format's table, whatever came first"


def test_no_document_no_counters():
    assert shift.fold([]) == {"totalReceiptBsoCount": 0}


def test_counters_of_the_drive_are_all_shifts():
    assert shift.add(shift.fold(DAY[:4]), shift.fold(DAY[4:])) == COUNTERS
    assert shift.add({}, COUNTERS) == COUNTERS


def test_rates_without_counters_are_kept_aside():
    assert shift.fold_rates(DAY) == {"1": {"11": 9_03}, "2": {"7": 48, "12": 2}}


def closing(counters=COUNTERS, drive_counters=COUNTERS, count=0, since=None, silence=AT_ONCE):
    return shift.closing(HEAD, silence, 11, counters, drive_counters, shift.undelivered(count, since))


def test_opening_states_who_and_where():
    body = shift.opening(HEAD, AT_ONCE)
    assert body == {
        "code": 2,
        "fiscalDocumentFormatVer": 4,
        "user": "ООО Оптика",
        "userInn": "7700123459  ",
        "kktRegId": "0000000001007540    ",
        "retailPlaceAddress": "Москва, Тверская 1",
        "retailPlace": "Оптика",
        "operator": "Иванова",
    }


def test_closing_states_counters_and_what_waits():
    body = closing(count=3, since=datetime(2026, 11, 20, 17, 30))
    assert body["receiptQuantity"] == 9
    assert body["documentsQuantity"] == 11
    assert body["notTransmittedDocumentsQuantity"] == 3
    assert body["notTransmittedDocumentsDateTime"] == 1_795_132_800  # 20.11.2026 00:00
    assert body["shiftSumReports"] == body["fiscalDriveSumReports"] == COUNTERS


def test_nothing_waits_nothing_is_said_of_it():
    assert not {"notTransmittedDocumentsQuantity", "notTransmittedDocumentsDateTime", "ofdResponseTimeoutSign"} & set(closing())


@pytest.mark.parametrize(("silence", "said"), [(timedelta(days=2), None), (timedelta(days=2, seconds=1), 1)])
def test_two_days_of_silence_are_said(silence, said):
    assert closing(silence=silence).get("ofdResponseTimeoutSign") == said
    assert shift.opening(HEAD, silence).get("ofdResponseTimeoutSign") == said


def test_what_is_missing_is_refused():
    with pytest.raises(DocumentError) as refusal:
        shift.opening({**HEAD, "user": ""}, AT_ONCE)
    assert (refusal.value.code, refusal.value.values) == ("missing", {"field": 1048})


def signed(body):
    return Emulator().sign(body, Numbers("9999078900001341", 12, 3, None, MOMENT))


def test_the_register_adds_what_it_knows_of_itself():
    opened, data = signed(shift.opening(HEAD, AT_ONCE))
    closed, _data = signed(closing())
    assert (opened["kktVersion"], opened["documentKktVersion"], closed["fdKeyResource"]) == ("EMU 1", 4, 410)
    assert "requestNumber" not in opened
    assert (data.receipt_number, data.qr, data.shift_number) == (None, None, 3)


SUMS = st.integers(0, 10**9)
DOCUMENTS = st.builds(
    document,
    st.sampled_from([1, 2, 3, 4]),
    SUMS,
    code=st.sampled_from([3, 31]),
    ecashTotalSum=SUMS,
    nds18=SUMS,
    nds10110=SUMS,
    ndsNo=SUMS,
)


@given(st.lists(DOCUMENTS, max_size=8), st.lists(DOCUMENTS, max_size=8), st.integers(0, 9), st.text(max_size=70))
def test_reports_survive_their_binary_form(day, before, waiting, cashier):
    head = {**HEAD, "operator": cashier}
    counters = shift.fold(day)
    drive = shift.add(shift.fold(before), counters)
    opened, _data = signed(shift.opening(head, AT_ONCE))
    closed, _data = signed(shift.closing(head, AT_ONCE, 2, counters, drive, shift.undelivered(waiting, MOMENT)))
    for report in (opened, closed):
        assert tlv.decode(tlv.encode(report)) == report
        assert as_text(render(report, WIDTHS["58"]), WIDTHS["58"])


@given(st.lists(DOCUMENTS, max_size=8), st.integers(0, 8))
def test_a_day_cut_anywhere_counts_the_same(day, cut):
    assert shift.add(shift.fold(day[:cut]), shift.fold(day[cut:])) == shift.fold(day)


def test_paper_of_a_closing():
    """Captions beside their values, structures indented once, also where a caption is cut; a day without a time."""
    report, _data = signed(closing(count=3, since=MOMENT))
    lines = as_text(render(report, WIDTHS["58"]), WIDTHS["58"]).splitlines()
    for text, value in (
        ("ФД НЕ ПЕРЕДАНЫ С", "28.11.2026"),
        ("  ВСЕГО ЧЕКОВ", "9"),
        ("    СУММА АВАНС.", "30.00"),
        ("    СУММА НДС 20%", "20.00"),
        ("      СУММА ИНОЙ ФОРМОЙ", "0.00"),
    ):
        assert text + value.rjust(32 - len(text)) in lines
    assert max(map(len, lines)) <= 32


def test_paper_of_counters_that_go_on():
    state = {name: HEAD[name] for name in ("user", "userInn", "kktRegId", "retailPlaceAddress", "retailPlace")}
    state |= {"code": 5, "dateTime": 0, "shiftNumber": 3, "fiscalDriveNumber": "9999078900001341", "shiftSumReports": COUNTERS}
    text = as_text(render_x(state, 48), 48)
    assert "X-ОТЧЕТ" in text and "НЕ ЯВЛЯЕТСЯ ДОКУМЕНТОМ" in text and "540.50" in text
    assert not [words for words in ("ОТЧЕТ О ЗАКРЫТИИ СМЕНЫ", "ПРОЕКТ", "ФП") if words in text]


REFERENCE = """\
------------------------------------------------
          СПРАВОЧНО, В ОТЧЕТ НЕ ВХОДИТ
НДС ПО СТАВКАМ, ДЛЯ КОТОРЫХ В ОТЧЕТЕ НЕТ
СЧЕТЧИКОВ:
ПРИХОД
  СУММА НДС 5%                              1.00
  СУММА НДС 22%                             9.03
ВОЗВРАТ ПРИХОДА
  СУММА НДС 22/122                          0.02
ВНЕСЕНИЯ И ВЫПЛАТЫ СЕАНСА:
  ВНЕСЕНИЕ размен на утро                1000.00
  ВЫПЛАТА инкассация                      500.50"""


def test_what_the_format_has_no_place_for_stands_apart():
    rates = {"2": {"12": 2}, "1": {"11": 9_03, "7": 1_00}}
    moves = [("размен\n на утро", 1000_00), ("инкассация", -500_50)]
    assert as_text(render_reference(rates, moves, WIDTHS["80"]), WIDTHS["80"]) == REFERENCE
    for width in WIDTHS.values():
        assert all(len(line) <= width for line in as_text(render_reference(rates, moves, width), width).splitlines())


def test_where_there_is_nothing_nothing_stands():
    assert render_reference({}, [], WIDTHS["80"]) == []
