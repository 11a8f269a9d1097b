"""VAT on receipts: amounts as real receipts state them, rates by date."""

from datetime import date

import pytest
from core import vat
from hypothesis import given
from hypothesis import strategies as st

FIRST_OF_2026 = date(2026, 1, 1)


def items(code, *sums):
    return [{"sum": s, "nds": code, **({} if (tax := vat.amount(s, code)) is None else {"ndsSum": tax})} for s in sums]


@pytest.mark.parametrize(
    ("total", "code", "tax"),
    [
        (3999, 1, 667),
        (2499, 1, 417),  # exact halves go up: 666.5, 416.5
        (80730, 11, 14558),
        (12200, 12, 2200),
        (10500, 7, 500),
        (10500, 9, 500),
        (10700, 8, 700),
        (10700, 10, 700),
        (11000, 2, 1000),
        (11000, 4, 1000),
        (12000, 3, 2000),
        (0, 11, 0),
        (1, 11, 0),
        (3, 1, 1),
        (100, 5, None),
        (100, 6, None),
    ],
)
def test_amount(total, code, tax):
    assert vat.amount(total, code) == tax


@given(st.integers(0, 2**48), st.sampled_from([code for code, rate in vat.RATES.items() if rate.percent]))
def test_amount_is_the_nearest(total, code):
    percent = vat.RATES[code].percent
    error = 2 * (vat.amount(total, code) * (100 + percent) - total * percent)
    assert -(100 + percent) < error <= 100 + percent


@pytest.mark.parametrize(
    ("code", "sums", "stated", "of_the_sum"),
    [
        # [R1], a real receipt of 07.2023: its totals are the sums of its lines, a kopeck off the VAT of the sum
        (1, [3999, 2499, 2999], 1584, 1583),
        (2, [3897, 4999, 999, 4999, 1999, 3999, 8999, 4999], 3171, 3172),
    ],
)
def test_totals_are_the_sums_of_the_lines(code, sums, stated, of_the_sum):
    assert vat.totals(items(code, *sums)) == {vat.RATES[code].total: stated}
    assert vat.amount(sum(sums), code) == of_the_sum


def test_each_rate_has_its_place():
    lines = [line for code in (12, 6, 11, 5, 2, 7, 6, 1, 3, 4) for line in items(code, 10000)]
    assert vat.totals(lines) == {
        "nds18": 1667,
        "nds10": 909,
        "nds18118": 1667,
        "nds10110": 909,
        "nds0": 10000,
        "ndsNo": 20000,  # prices, not VAT
        "amountsReceiptNds": {
            "amountsNds": [{"nds": 7, "ndsSum": 476}, {"nds": 11, "ndsSum": 1803}, {"nds": 12, "ndsSum": 1803}]
        },
    }


def test_exempt_is_stated_and_a_vat_of_nothing_is_not():
    assert vat.totals(items(6, 0)) == {"ndsNo": 0}
    assert vat.totals(items(11, 0, 1)) == {}


@pytest.mark.parametrize("code", [1, 3])
def test_twenty_percent_ends_with_2025(code):
    assert vat.valid_on(code, date(2025, 12, 31))
    assert not vat.valid_on(code, FIRST_OF_2026)
    assert vat.valid_on(code, FIRST_OF_2026, of_earlier_sale=True)


@pytest.mark.parametrize(("codes", "first"), [((11, 12), FIRST_OF_2026), ((7, 8, 9, 10), date(2025, 1, 1))])
def test_first_days(codes, first):
    for code in codes:
        assert vat.valid_on(code, first) and vat.valid_on(code, date(2031, 1, 1))
        assert not vat.valid_on(code, first - (first - date(first.year - 1, 12, 31)), of_earlier_sale=True)


def test_always_valid_or_never():
    assert all(vat.valid_on(code, date(2020, 5, 5)) and vat.valid_on(code, FIRST_OF_2026) for code in (2, 4, 5, 6))
    assert not vat.valid_on(13, FIRST_OF_2026) and not vat.valid_on(0, FIRST_OF_2026)


def test_calculated_rates():
    assert {code: rate.calculated for code, rate in vat.RATES.items()} == {
        1: 3,
        2: 4,
        3: 3,
        4: 4,
        5: 5,
        6: 6,
        7: 9,
        8: 10,
        9: 9,
        10: 10,
        11: 12,
        12: 12,
    }


def test_rates_that_prices_have():
    assert vat.ordinary(FIRST_OF_2026) == [2, 5, 6, 7, 8, 11]
    assert vat.ordinary(date(2025, 12, 31)) == [1, 2, 5, 6, 7, 8]
    assert vat.ordinary(date(2024, 12, 31)) == [1, 2, 5, 6]
