"""The correction receipt (document 31, FFD 1.2), which puts right what was settled without a register, or wrongly.

    sale without a register     ─ correction()                 what was sold, as it should have been stated
    wrong receipt               ─ mirror(), then correction()  the same the other way round, and what is right

Both state why they are there: the `Cause`. Rates are those of the day of the settlement, not of today.
"""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import NamedTuple

from . import vat
from .document_error import DocumentError
from .ffd import FFD_1_2, FNS_URL, settlement
from .lines import CREDIT, FULL_SETTLEMENT, GOODS, PART_CREDIT, PIECE, Item
from .rules import PAYMENT_FORMS, check
from .tags import TAGS
from .text import fit_texts

CORRECTION = 31
MIRRORED = {1: 2, 2: 1, 3: 4, 4: 3}  # tag 1054
REFUNDS = {2, 4}
CREDIT_PAID = 7  # tag 1214
FIRST_DAY = min(rate.first_day for rate in vat.RATES.values())


class Cause(NamedTuple):
    """Why there is a correction."""

    by_order: bool  # of the tax office (tag 1173), or by the shop's own decision
    day: date  # of the settlement (tag 1178)
    order_number: str = ""  # tag 1179
    wrong_sign: str = ""  # fiscal sign of the wrong receipt (tag 1192)

    def check(self, today: date):
        """:raises DocumentError: a day or a number that can't be right"""
        if not self.day:
            raise DocumentError("missing", field=1178)
        if self.day > today:
            raise DocumentError("day_future", field=1178, day=self.day)
        if self.day < FIRST_DAY:
            raise DocumentError("day_early", field=1178, day=self.day, first=FIRST_DAY)
        number = self.order_number.strip()
        if self.by_order and not number:
            raise DocumentError("order_number", field=1179)
        if number and not self.by_order:
            raise DocumentError("own_decision", field=1179)
        if len(number) > TAGS[1179].length:
            raise DocumentError("length", field=1179, size=len(number), most=TAGS[1179].length)

    def as_json(self) -> dict:
        day = datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)
        number = {"correctionDocumentNumber": self.order_number.strip()} if self.by_order else {}
        return {
            "correctionType": int(self.by_order),
            "correctionBase": {"correctionDocumentDate": int(day.timestamp()), **number},
            **({"propertiesData": self.wrong_sign} if self.wrong_sign else {}),
        }


def correction(operation_type: int, items: list[Item], paid: dict[str, int], head: dict, cause: Cause, today: date) -> dict:
    """Body of a correction that states what was settled: everything but what the register gives.

    :param paid: kopecks by payment form; together exactly what the items are worth: nothing is fitted here
    :raises DocumentError: what is wrong, with the line where it is one line's
    """
    cause.check(today)
    for line, item in enumerate(items, 1):
        if item.total < 0:
            raise replace(item, line=line).error("negative_line", field=1043)
    total = sum(item.total for item in items)
    if sum(paid.values()) != total or any(amount < 0 for amount in paid.values()):
        raise DocumentError("payments", field=1020, paid=sum(paid.values()), total=total)
    earlier = operation_type in REFUNDS
    items = [replace(item, of_earlier_sale=earlier or item.method == CREDIT_PAID) for item in items]
    return settlement(operation_type, items, paid, {**head, **cause.as_json()}, cause.day, CORRECTION)


def mirror(document: dict, head: dict, cause: Cause, today: date) -> dict:
    """Body of the correction that takes a signed receipt back: the same lines, forms and rates the other way round.

    :raises DocumentError: the cause is wrong, or the receipt is one of before that this format can't state
    """
    cause.check(today)
    items = [complete(item) for item in document["items"]]
    body = {
        "code": CORRECTION,
        "fiscalDocumentFormatVer": FFD_1_2,
        "operationType": MIRRORED[document["operationType"]],
        **head,
        **taxation_system(document),
        **cause.as_json(),
        "fnsUrl": FNS_URL,
        "items": items,
        "totalSum": document["totalSum"],
        **{name: document.get(name, 0) for name in PAYMENT_FORMS.values()},
        **vat.totals(items),
    }
    body = fit_texts(body)
    check(body)
    return body


def complete(item: dict) -> dict:
    """An item with what documents of before left out."""
    tax = vat.amount(item["sum"], item["nds"])
    return {
        "paymentType": FULL_SETTLEMENT,
        "productType": GOODS,
        "itemsQuantityMeasure": PIECE,
        **item,
        **({} if tax is None else {"ndsSum": tax}),
    }


def taxation_system(document: dict) -> dict:
    """Tag 1055 of a document, if it states it."""
    return {"appliedTaxationType": document["appliedTaxationType"]} if "appliedTaxationType" in document else {}


def stated_method(item: dict) -> int:
    """Tag 1214 of an item, but for what is on credit: that follows from the payments."""
    method = item["paymentType"]
    return FULL_SETTLEMENT if method in (CREDIT, PART_CREDIT) else method
