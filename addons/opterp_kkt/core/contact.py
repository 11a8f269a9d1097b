"""The buyer's contact on a receipt (tag 1008), which is sent there: an e-mail address, else a telephone number."""

import re

from .tags import TAGS
from .text import lost

LENGTH = TAGS[1008].length
EMAIL = re.compile(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+\.[^\s@<>,;\".]{2,}")
TRUNK = re.compile(r"8(\d{10})|(9\d{9})")  # how a Russian number is written without +7
PHONE = re.compile(r"\+\d{7,15}")


def contact(email: str | None, phone: str | None) -> str | None:
    """What tag 1008 states; None where neither has the form of one."""
    return as_email(email) or as_phone(phone)


def as_email(text: str | None) -> str | None:
    text = (text or "").strip()
    return text if EMAIL.fullmatch(text) and len(text) <= LENGTH and not lost(text) else None


def as_phone(text: str | None) -> str | None:
    """`+` and digits, as the format has it."""
    text = re.sub(r"[\s()./-]", "", text or "")
    if trunk := TRUNK.fullmatch(text):
        text = f"+7{trunk[1] or trunk[2]}"
    return text if PHONE.fullmatch(text) else None
