"""Registers elsewhere, on the counter or in a cloud: they number and sign a document when they get it."""

from dataclasses import dataclass

from .base import Numbers


@dataclass(frozen=True)
class Remote:
    """Leaves numbers, sign and QR code to the receiver's answer (`Answer.fiscal_data`): nobody is called from a sale."""

    label: str
    at_once = False

    def sign(self, body: dict, numbers: Numbers) -> tuple[dict, None]:
        """See `Driver.sign`."""
        return body, None
