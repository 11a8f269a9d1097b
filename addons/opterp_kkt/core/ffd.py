"""Fiscal documents as the tax service's JSON names them (FFD 1.2, order ED-7-20/662@). Money is integer kopecks.

    lines     ─ Item ─────────────┐
    payments  ─ share_payments() ─┴─ settlement() ─ the register's driver adds numbers, time and sign (`drivers/`)

What is wrong with a sale is raised as `DocumentError`. `settlement` gives a document that is right in all but its numbers, or
none: texts fitted, prices and sums within a kopeck, VAT computed, all of it checked.
"""

import json
from dataclasses import replace
from datetime import date

from . import vat
from .document_error import DocumentError
from .lines import CREDIT, FULL_SETTLEMENT, PART_CREDIT, Item, fit_items
from .rules import LARGEST, PAYMENT_FORMS, check
from .text import fit_texts

RECEIPT = 3  # document code
FFD_1_2 = 4  # tag 1209
FNS_URL = "www.nalog.gov.ru"  # tag 1060
MONEY_GOES_OUT = (2, 3)  # tag 1054: a sale taken back, a purchase


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
    main = max(paid, key=lambda form: (form != "prepaid", abs(paid[form])), default="cash")  # nobody gives change for an advance
    if other and total <= other:
        return {main: total}  # all of it was set off
    others = {form: amount for form, amount in paid.items() if form != main and amount > 0}
    return {**others, main: difference + other - sum(others.values())}


def settlement(operation_type: int, items: list[Item], paid: dict[str, int], head: dict, day: date, code: int = RECEIPT) -> dict:
    """Body of a receipt, or of another document of a settlement: everything but what the register gives.

    :param operation_type: tag 1054
    :param paid: kopecks by payment form (a key of `PAYMENT_FORMS`), after change; together the sum of the receipt
    :param head: who sells and where, by FNS JSON names
    :param day: local day of the settlement (tag 1012)
    :raises DocumentError: what is wrong, with the line where it is one line's
    """
    if not items:
        raise DocumentError("no_items")
    items = [replace(item, line=line) for line, item in enumerate(items, 1)]
    for item in items:
        item.check(day)
    total = sum(paid.values())
    fitted = fit_items(items, total)
    if any(amount < 0 for amount in paid.values()):
        raise DocumentError("payments", paid=total, total=sum(item.total for item in items))
    if total > LARGEST:
        raise DocumentError("too_large")
    settled = [_settle(part, total, paid.get("credit", 0)) for item in fitted for part in item.split()]
    return _checked(_get_body(code, operation_type, settled, paid, head), settled)


def _settle(item: Item, total: int, credit: int) -> Item:
    """Handed over on credit, all of it (tag 1214: 6) or a part (5)."""
    if not credit or item.method != FULL_SETTLEMENT:
        return item
    return replace(item, method=CREDIT if credit == total else PART_CREDIT)


def _get_body(code, operation_type, items, paid, head):
    stated = [item.as_json() for item in items]
    return fit_texts(
        {
            "code": code,
            "fiscalDocumentFormatVer": FFD_1_2,
            "operationType": operation_type,
            **head,
            "fnsUrl": FNS_URL,
            "items": stated,
            "totalSum": sum(paid.values()),
            **{name: paid.get(form, 0) for form, name in PAYMENT_FORMS.items()},
            **vat.totals(stated),
        }
    )


def _checked(body, items):
    """The document, which is right. What is wrong in a line is looked for in the order, where the lines may be others."""
    try:
        check(body)
    except DocumentError as error:
        if "line" in error.values:
            item = items[error.values["line"] - 1]
            error.values.update(line=item.line, name=item.name)
        raise
    return body


def signed_total(document: dict) -> int:
    """Kopecks as they add up to what was taken: below zero where money goes out. 0 of a report."""
    total = document.get("totalSum", 0)
    return -total if document.get("operationType") in MONEY_GOES_OUT else total


def to_text(value: dict) -> str:
    """The one JSON text of a value: what is stored, hashed and sent, byte for byte."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
