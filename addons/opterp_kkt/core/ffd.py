"""Fiscal documents as the tax service's JSON names them (FFD 1.2, order ED-7-20/662@). Money is integer kopecks.

    lines     ─ Item ─────────────┐
    payments  ─ share_payments() ─┴─ settlement() ─ number() adds what the register gives: FD number, sign, time

Everything here is plain Python: what is wrong with a sale is raised as `DocumentError`, in words for the shop.
"""
import hashlib
import json
from calendar import timegm
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

RECEIPT = 3                      # document code
FFD_1_2 = 4                      # tag 1209
FULL_SETTLEMENT = 4              # tag 1214
GOODS = 1                        # tag 1212
PIECE = 0                        # tag 2108
NOT_SUBJECT_TO_VAT = 6           # tag 1199
NAME_LENGTH = 128                # tag 1030
LARGEST = 2**48 - 1              # kopecks, millionths of a unit: six bytes (tags 1020, 1023, 1079)
PAYMENT_FORMS = {                # tags 1031, 1081, 1215, 1216, 1217
    "cash": "cashTotalSum",
    "ecash": "ecashTotalSum",
    "prepaid": "prepaidSum",
    "credit": "creditSum",
    "provision": "provisionSum",
}


class DocumentError(ValueError):
    """The sale can't be put into a fiscal document. `code` names the reason, `values` fill its text."""

    def __init__(self, code: str, **values):
        super().__init__(code)
        self.code = code
        self.values = values


@dataclass(frozen=True)
class Item:
    """A line of an order, to become a settlement item (tag 1059). `total` in kopecks; a negative one is a discount."""
    name: str
    quantity: Decimal
    total: int
    vat_rate: int

    def as_json(self) -> dict:
        """Item with the price per unit after discounts (tag 1079), rounded to the kopeck."""
        return {
            "name": self.name[:NAME_LENGTH],
            "price": int((Decimal(self.total) / self.quantity).to_integral_value()),
            "quantity": int(self.quantity) if self.quantity == int(self.quantity) else float(self.quantity),
            "sum": self.total,
            "nds": self.vat_rate,
            "paymentType": FULL_SETTLEMENT,
            "productType": GOODS,
            "itemsQuantityMeasure": PIECE,
        }


def fit_items(items: list[Item], total: int) -> list[Item]:
    """The goods among the items, with their totals fitted to what was paid, to the kopeck.

    FFD 1.2 has no tag for discounts, nor for what Odoo's rounding of taxes or of cash leaves over: both are spread over the
    goods in proportion.

    :param total: kopecks that the document is about (tag 1020)
    :raises DocumentError: discounts larger than the goods
    """
    goods = [item for item in items if item.total >= 0]
    gross = sum(item.total for item in goods)
    if not goods or total < 0 or (total and not gross):
        raise DocumentError("negative_total")
    discount = gross - total
    result = []
    for item in goods:
        share = discount * item.total // gross if gross else 0
        discount, gross = discount - share, gross - item.total
        result.append(replace(item, total=item.total - share))
    return result


def share_payments(paid: dict[str, int], total: int, other: int, tolerance: int) -> dict[str, int]:
    """Kopecks by payment form that settle one document of an order; their sum is what the document is about.

    An exchange is two documents, goods sold and goods taken back. Money moved for the difference only; what was set off is
    stated in both, in the form in which most of the difference was paid.

    :param paid: kopecks by form, as seen from this document: negative where money went the other way
    :param total: sum of this document's lines
    :param other: sum of the lines of the order's other document, 0 without one
    :param tolerance: kopecks by which rounding may make the payments differ from the lines
    :raises DocumentError: payments that don't add up
    """
    difference = sum(paid.values())
    if abs(total - other - difference) > tolerance:
        raise DocumentError("payments", paid=difference + other, total=total)
    main = max(paid, key=lambda form: abs(paid[form]), default="cash")
    if other and total <= other:
        return {main: total}  # all of it was set off
    others = {form: amount for form, amount in paid.items() if form != main and amount > 0}
    return {**others, main: difference + other - sum(others.values())}


def settlement(operation_type: int, items: list[Item], paid: dict[str, int], head: dict) -> dict:
    """Body of a receipt: everything but what the register gives.

    :param operation_type: tag 1054
    :param paid: kopecks by payment form (a key of `PAYMENT_FORMS`), after change; together the sum of the receipt
    :param head: who sells and where, by FNS JSON names
    :raises DocumentError: no items, a quantity or a payment that is not positive, more than the format's fields hold
    """
    if not items:
        raise DocumentError("no_items")
    if any(item.quantity <= 0 for item in items):
        raise DocumentError("quantity")
    total = sum(paid.values())
    fitted = fit_items(items, total)
    if any(amount < 0 for amount in paid.values()):
        raise DocumentError("payments", paid=total, total=sum(item.total for item in items))
    if total > LARGEST or any(item.total > LARGEST * item.quantity or item.quantity * 10**6 > LARGEST for item in fitted):
        raise DocumentError("too_large")
    return {
        "code": RECEIPT,
        "fiscalDocumentFormatVer": FFD_1_2,
        "operationType": operation_type,
        **head,
        "items": [item.as_json() for item in fitted],
        "totalSum": total,
        **{name: paid.get(form, 0) for form, name in PAYMENT_FORMS.items()},
    }


def number(body: dict, fiscal_drive_number: str, fd_number: int, moment: datetime) -> dict:
    """The document as the emulated register numbers and signs it.

    :param moment: local time of the register; tag 1012 counts its seconds as if it were UTC
    """
    document = {
        **body,
        "dateTime": timegm(moment.timetuple()),
        "fiscalDriveNumber": fiscal_drive_number,
        "fiscalDocumentNumber": fd_number,
    }
    return {**document, "fiscalSign": emulated_sign(document)}


def emulated_sign(document: dict) -> int:
    """Stands in for the fiscal sign (tag 1077) that only a certified drive can make: a number of up to ten digits."""
    return int.from_bytes(hashlib.sha256(to_text(document).encode()).digest()[:4], "big")


def to_text(value: dict) -> str:
    """The one JSON text of a value: what is stored, hashed and sent, byte for byte."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
