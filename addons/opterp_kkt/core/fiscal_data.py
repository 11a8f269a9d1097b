"""What a register's fiscal drive adds to a document."""

from typing import NamedTuple

TEST_DRIVES = "9999"  # how the numbers of drives begin that are reserved for tests


class FiscalData(NamedTuple):
    """What makes a document fiscal: the drive's numbers and sign, and the QR code that shows them (settlements only)."""

    fiscal_drive_number: str | None = None  # tag 1041
    fd_number: int | None = None  # tag 1040
    shift_number: int | None = None  # tag 1038
    receipt_number: int | None = None  # tag 1042
    fiscal_sign: str | None = None  # tag 1077
    qr: str | None = None  # tag 1196
