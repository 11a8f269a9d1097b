"""The emulated register: it numbers and signs by itself, at once. Its documents are no fiscal documents, and say so."""

import hashlib
from calendar import timegm

from ..core.ffd import to_text
from ..core.fiscal_data import FiscalData
from ..core.qr import qr_text
from .base import Numbers


class Emulator:
    """Stands in for a register with a certified drive. The numbers of its own drives start with 9999, reserved for tests."""

    label = "Emulated register (tests only)"
    at_once = True

    def sign(self, body: dict, numbers: Numbers) -> tuple[dict, FiscalData]:
        """See `Driver.sign`."""
        document = {
            **body,
            "dateTime": timegm(numbers.moment.timetuple()),  # tag 1012 counts the register's local seconds as if they were UTC
            "shiftNumber": numbers.shift_number,
            "requestNumber": numbers.receipt_number,
            "fiscalDriveNumber": numbers.fiscal_drive_number,
            "fiscalDocumentNumber": numbers.fd_number,
        }
        document["fiscalSign"] = emulated_sign(document)
        qr = qr_text(document, numbers.moment) if "operationType" in body else None
        return document, FiscalData(*numbers[:4], str(document["fiscalSign"]), qr)


def emulated_sign(document: dict) -> int:
    """Stands in for the fiscal sign (tag 1077) that only a certified drive can make: a number of up to ten digits."""
    return int.from_bytes(hashlib.sha256(to_text(document).encode()).digest()[:4], "big")
