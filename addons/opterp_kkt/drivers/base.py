"""What every driver takes and gives."""

from datetime import datetime
from typing import NamedTuple, Protocol

from ..core.fiscal_data import FiscalData


class Numbers(NamedTuple):
    """What a register's row gives a document that is numbered at once."""

    fiscal_drive_number: str  # tag 1041
    fd_number: int  # tag 1040
    shift_number: int  # tag 1038
    receipt_number: int | None  # tag 1042; reports on a shift have none
    moment: datetime  # tag 1012: local time of the register


class Driver(Protocol):
    """Who numbers and signs the documents of a register."""

    label: str  # for people who choose one
    at_once: bool  # the register's row gives the numbers; otherwise the receiver's answer brings them

    def sign(self, body: dict, numbers: Numbers) -> tuple[dict, FiscalData | None]:
        """The document that is sent, and what its drive added; None when the answer will bring that.

        :param body: the document without what a register gives, by FNS JSON names
        """
