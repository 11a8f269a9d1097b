"""The taxpayer's number (ИНН)."""

import re

from stdnum.ru import inn


def is_inn(text: str | None) -> bool:
    """Whether this is an INN, with the right check digits; zeros have them, but are nobody's; spaces are not sent."""
    return bool(re.fullmatch("[0-9]+", text or "")) and inn.is_valid(text) and bool(text.strip("0"))
