# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Whose document it is that somebody got: registers elsewhere and OFDs of other protocols know it by what follows from our key,
or by its numbers.
"""

from collections.abc import Iterable
from itertools import count, takewhile

import harness.product  # noqa: F401  (the product's package without Odoo)
from harness.judge import History, Receipt
from opterp_kkt.transports.atol_web import get_uuid

# Codes of a register that say nothing of the document: paper, cover, a shift that is too old, a drive that is full.
PASSES = (44, 45, 68, 121)


def by_our_keys(history: History, receipts: Iterable[Receipt]) -> History:
    """The same requests under our keys; `sent_as` is what the receiver knows them by. A task that a register took and found
    wrong is one that it refused, whatever it said when it took it.
    """
    sent = {request["key"] for request in history}
    own = {name: receipt.key for receipt in receipts for name in _get_names(receipt, sent)}
    return [
        request
        | {"key": own.get(request["key"], request["key"]), "sent_as": request["key"]}
        | ({"outcome": "refused"} if _is_wrong(request) else {})
        for request in history
    ]


def _get_names(receipt, sent):
    """A document's tries are numbered without a gap."""
    yield from takewhile(sent.__contains__, (get_uuid(receipt.key, number) for number in count()))
    if receipt.fd_number:
        yield f"{receipt.register}/{receipt.fd_number}"


def _is_wrong(request):
    *_others, last = request.get("results") or [{}]
    return last.get("status") in ("error", "interrupted") and last.get("errorCode") not in PASSES
