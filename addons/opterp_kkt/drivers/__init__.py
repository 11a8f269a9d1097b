"""Drivers: one file per kind of register. They say who numbers and signs its documents, and when.

Nothing here knows Odoo. A driver is asked in the transaction of a sale: it calls nobody.
"""

from .base import Driver, Numbers
from .emulator import Emulator
from .remote import Remote

__all__ = ["DRIVERS", "Driver", "Emulator", "Numbers", "Remote"]

DRIVERS: dict[str, Driver] = {"emulator": Emulator(), "remote": Remote("Register on the counter or in the cloud")}
