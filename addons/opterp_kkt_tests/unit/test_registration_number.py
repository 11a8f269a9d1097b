"""The registration number (РНМ): its check digits."""

import pytest
from core.registration_number import complete, has_form


def test_of_a_real_register():
    assert complete("0000000005", "7702203276", "000000000002") == "0000000005008570"


def test_what_is_typed_with_it_does_not_matter():
    assert complete("0000000005999999", "7702203276  ", " 2") == "0000000005008570"


@pytest.mark.parametrize(("inn", "serial_number"), [("7702203277", "2"), ("7702203276", "3")])
def test_it_depends_on_owner_and_device(inn, serial_number):
    assert complete("0000000005", inn, serial_number) != "0000000005008570"


def test_it_always_has_sixteen_digits():
    assert all(has_form(complete(f"{number:010}", "7702203276", "Касса 1 眼鏡")) for number in range(1000))


@pytest.mark.parametrize("number", ["", None, "123", "12345678901234567", "123456789012345x", "1234 56789012345", "١" * 16])
def test_form(number):
    assert not has_form(number)
