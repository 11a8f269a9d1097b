"""The emulated register: it numbers and signs by itself, at once. Its documents are no fiscal documents, and say so."""

import hashlib
from calendar import timegm

from ..core.ffd import FFD_1_2, to_text
from ..core.fiscal_data import FiscalData
from ..core.qr import qr_text
from .base import Numbers

OF_ITSELF = {  # what its reports state of the register, by document code
    2: {"kktVersion": "EMU 1", "documentKktVersion": FFD_1_2},  # tags 1188 and 1189
    5: {"fdKeyResource": 410},  # tag 1213, days: the keys of an emulated drive don't wear out, so nothing warns of it (1050–1052)
}


class Emulator:
    """Stands in for a register with a certified drive. The numbers of its own drives start with 9999, reserved for tests."""

    label = "Emulated register (tests only)"
    at_once = True

    def sign(self, body: dict, numbers: Numbers) -> tuple[dict, FiscalData]:
        """See `Driver.sign`."""
        document = {
            **body,
            **OF_ITSELF.get(body["code"], {}),
            "dateTime": timegm(numbers.moment.timetuple()),  # tag 1012 counts the register's local seconds as if they were UTC
            "shiftNumber": numbers.shift_number,
            **({"requestNumber": numbers.receipt_number} if numbers.receipt_number else {}),
            "fiscalDriveNumber": numbers.fiscal_drive_number,
            "fiscalDocumentNumber": numbers.fd_number,
        }
        document["fiscalSign"] = emulated_sign(document)
        qr = qr_text(document, numbers.moment) if "operationType" in body else None
        return document, FiscalData(*numbers[:4], str(document["fiscalSign"]), qr)


def emulated_sign(document: dict) -> int:
    """Stands in for the fiscal sign (tag 1077) that only a certified drive can make: a number of up to ten digits."""
    return int.from_bytes(hashlib.sha256(to_text(document).encode()).digest()[:4], "big")
