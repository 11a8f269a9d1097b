"""Texts of fiscal documents: what CP866 lacks is replaced, and nothing is longer than its field."""

import pytest
from core.text import fit, lost
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "fitted"),
    [
        ("Оправа «Нева» № 7, ёж", 'Оправа "Нева" № 7, ёж'),
        ("„a“ “b” ’c’", "\"a\" \"b\" 'c'"),
        ("Линзы — 2 × 30 – 5…", "Линзы - 2 x 30 - 5..."),
        ("100 ₽ • 5 €", "100 руб. * 5 EUR"),
        ("no\u00a0break\u2009thin", "no break thin"),
        ("Chloé Ray-Ban™", "Chloe Ray-Ban"),  # accents are dropped, signs are left out
        ("и\u0306", "й"),  # as some systems write it
        ("a ™ b", "a b"),
        ("  two\tlines\r\n", "two lines"),
        ("nul\x00 half \ud800", "nul half"),
        ("眼鏡 😀", ""),
        ("", ""),
    ],
)
def test_what_is_replaced(text, fitted):
    assert fit(text, 128) == fitted


def test_cut_after_replacing():
    assert fit("…" * 100, 128) == "." * 128
    assert fit("™" * 128 + "Frame", 128) == "Frame"
    assert fit("abc def", 4) == "abc"


@settings(max_examples=1000, database=None)
@given(st.text(max_size=40) | st.text("«»—…×₽ \xa0éё№A", max_size=40), st.integers(0, 20))
def test_always_fits_and_stays(text, length):
    fitted = fit(text, length)
    assert len(fitted.encode("cp866")) <= length
    assert fit(fitted, length) == fitted


@pytest.mark.parametrize(
    ("value", "characters"), [("Оптика «Ясный взгляд» — №1, ёлка…", ""), ("眼鏡 眼 shop", "眼鏡"), ("Café", "é"), ("", "")]
)
def test_lost(value, characters):
    assert lost(value) == characters
