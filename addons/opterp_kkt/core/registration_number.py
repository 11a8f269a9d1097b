"""The registration number of a register (РНМ, tag 1037): ten digits that the tax service gives, and six that check them."""

import re
from binascii import crc_hqx


def complete(number: str, inn: str, serial_number: str) -> str:
    """The number with the check digits that are right for it: a CRC over it, its owner's INN and the device's serial number."""
    message = number[:10] + inn.strip().rjust(12, "0") + serial_number.strip().rjust(20, "0")
    return f"{number[:10]}{crc_hqx(message.encode('cp866', 'replace'), 0xFFFF):06}"


def has_form(number: str | None) -> bool:
    """Whether it has 16 digits, be they right or not."""
    return bool(re.fullmatch("[0-9]{16}", number or ""))
