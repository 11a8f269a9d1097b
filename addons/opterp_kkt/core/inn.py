"""The taxpayer's number (ИНН)."""

from stdnum.ru import inn


def is_inn(text: str | None) -> bool:
    """Whether this is an INN, with the right check digits; zeros have them, but are nobody's."""
    return bool(text) and inn.is_valid(text) and bool(text.strip("0"))
