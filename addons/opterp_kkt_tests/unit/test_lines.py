"""Discounts find the goods that they are for: those at their own VAT rate, and never an advance if there are goods."""

from decimal import Decimal

import pytest
from core.lines import Item, fit_items
from hypothesis import given
from hypothesis import strategies as st


def item(total, vat_rate=6, method=4):
    return Item("x", Decimal(1), total, vat_rate, method=method)


@pytest.mark.parametrize(
    ("items", "totals"),
    [
        ([item(890000), item(499000, 11), item(-49900, 11)], [890000, 449100]),
        ([item(890000), item(499000, 11), item(-89000), item(-49900, 11)], [801000, 449100]),
        ([item(500000, method=3), item(890000), item(-89000)], [500000, 801000]),  # a gift card keeps its worth
        ([item(500000, 11, method=3), item(890000), item(-89000, 11)], [500000, 801000]),
        ([item(100), item(890000, 11), item(-200)], [100, 889800]),  # more than the goods at its rate are worth
        ([item(100), item(100, 11), item(-150)], [25, 25]),
        ([item(100), item(100, method=3), item(-150)], [25, 25]),  # more than all goods are worth
    ],
)
def test_discounts(items, totals):
    assert [i.total for i in fit_items(items, sum(i.total for i in items))] == totals


@given(
    st.lists(st.builds(item, st.integers(0, 10**6), st.sampled_from([6, 11]), st.sampled_from([3, 4])), min_size=1, max_size=6),
    st.lists(st.builds(item, st.integers(-(10**5), -1), st.sampled_from([6, 11])), max_size=3),
)
def test_discounts_to_the_kopeck(goods, discounts):
    total = sum(i.total for i in [*goods, *discounts])
    if total <= 0:
        return
    fitted = fit_items([*goods, *discounts], total)
    assert sum(i.total for i in fitted) == total
    assert all(0 <= after.total <= before.total for before, after in zip(goods, fitted, strict=True))
