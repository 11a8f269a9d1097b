"""The payments of a session beside what a shift's signed documents state, by payment method.

    payments  ─ by method ─────────────────────────────┬─ reconcile() ─> a row for each method, and for what no method shows
    documents ─ stated() by form ─ shared by method ───┘

Documents know five forms of payment, sessions know methods. Each order's documents are read as its own payments, as far as they
add up; what they state beside those goes to the method that alone has its form, else to the form itself. A difference is listed
with the orders that make it, even where such orders make up for one another.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from .rules import PAYMENT_FORMS

SIGNS = {1: 1, 2: -1, 3: -1, 4: 1}  # by tag 1054: whether money came in or went out


class Order(NamedTuple):
    """Kopecks of an order, or of a document without one."""

    paid: dict[int, int]  # by payment method, after change
    in_session: bool
    stated: dict[str, int]  # by form (a key of `PAYMENT_FORMS`), by the documents of the shift; empty where it has none there


@dataclass
class Row:
    """Kopecks by one payment method, or by a form of payment that no method shows."""

    session: int = 0
    shift: int = 0
    differences: dict[Hashable, int] = field(default_factory=dict)  # by order

    @property
    def difference(self) -> int:
        return self.shift - self.session


def stated(documents: Iterable[dict]) -> dict[str, int]:
    """Kopecks by form that documents of one order state together."""
    documents = list(documents)
    return {
        form: sum(SIGNS[document["operationType"]] * document.get(name, 0) for document in documents)
        for form, name in PAYMENT_FORMS.items()
    }


def reconcile(orders: dict[Hashable, Order], forms: dict[int, str]) -> dict[int | str, Row]:
    """Rows by payment method, then by form.

    :param orders: by whatever stands for each
    :param forms: the form of each payment method of the point of sale, and of each that was used
    """
    rows: dict[int | str, Row] = {method: Row() for method in forms}
    for source, order in orders.items():
        shares = _share(order, forms)
        paid = order.paid if order.in_session else {}
        for place in {**paid, **shares}:
            row = rows.setdefault(place, Row())
            row.session += paid.get(place, 0)
            row.shift += shares.get(place, 0)
            if difference := shares.get(place, 0) - paid.get(place, 0):
                row.differences[source] = difference
    return rows


def _share(order, forms):
    """What the order's documents state, by payment method where that can be told."""
    shares = {}
    for form, total in order.stated.items():
        own = {method: paid for method, paid in order.paid.items() if forms[method] == form}
        shares.update(own)
        if left := total - sum(own.values()):
            candidates = list(own) or [method for method, its in forms.items() if its == form]
            place = candidates[0] if len(candidates) == 1 else form
            shares[place] = shares.get(place, 0) + left
    return shares
