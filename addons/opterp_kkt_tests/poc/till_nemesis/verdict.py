# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the page promised its cashier, against the shop's receipts and the OFD's history. Pure functions, as in `judge`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from harness.judge import History, Receipt, is_acceptance


@dataclass(frozen=True)
class Promise:
    """An order that was shown as paid: the till's name for it, what was paid in kopecks, the till's stamp."""

    uuid: str
    total: int
    stamp: tuple[int, int]
    till: int = 0


def kept(promises: Iterable[Promise], receipts: Iterable[Receipt], history: History) -> list[str]:
    """What was shown as paid is at the OFD, once, over the same sum."""
    documents = {receipt.uuid: receipt for receipt in receipts if receipt.uuid}
    times = Counter(request["key"] for request in history if is_acceptance(request))
    sums = {request["key"]: request["total_sum"] for request in history if is_acceptance(request)}
    violations = []
    for promise in promises:
        receipt = documents.get(promise.uuid)
        if not receipt:
            violations.append(f"lost: order {promise.uuid} was shown as paid and has no receipt")
        elif times[receipt.key] != 1:
            violations.append(f"order {promise.uuid} was shown as paid, and accepted {times[receipt.key]} times: {receipt}")
        elif abs(sums[receipt.key]) != abs(promise.total):
            violations.append(f"order {promise.uuid} was shown as paid over {promise.total}, {receipt} over {sums[receipt.key]}")
    return violations


def nothing_else(tried: Iterable[str], receipts: Iterable[Receipt]) -> list[str]:
    """Only what a cashier tried to sell has a receipt."""
    tried = set(tried)
    return [f"nobody sold it: {receipt}" for receipt in receipts if receipt.uuid and receipt.uuid not in tried]


def in_the_tills_order(promises: Iterable[Promise], receipts: Iterable[Receipt]) -> list[str]:
    """A till's sales got their numbers in the order of the till's stamps."""
    numbers = {receipt.uuid: receipt.fd_number for receipt in receipts if receipt.uuid}
    promises = sorted((promise for promise in promises if numbers.get(promise.uuid)), key=lambda p: (p.till, p.stamp))
    return [
        f"till {after.till}: order {after.uuid} (FD {numbers[after.uuid]}) came after FD {numbers[before.uuid]} of {before.uuid}"
        for before, after in pairwise(promises)
        if before.till == after.till and numbers[after.uuid] <= numbers[before.uuid]
    ]


def true_on_the_screen(shown: dict[str, str], states: dict[str, str]) -> list[str]:
    """After the heal a till shows of each order what the database has: uuid → state."""
    return [
        f"order {uuid} is shown as {state}, but it is {states.get(uuid, 'not there')}"
        for uuid, state in shown.items()
        if state != states.get(uuid)
    ]
