# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the page promised its cashier, against the shop's receipts and the OFD's history. Pure functions, as in `judge`."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from harness.judge import History, Receipt, is_acceptance


@dataclass(frozen=True)
class Promise:
    """An order that was shown as paid: the till's name for it, what was paid in kopecks (negative: handed back), the till's
    stamp, and the FD numbers that were on the screen.
    """

    uuid: str
    total: int
    stamp: tuple[int, int]
    till: int = 0
    kind: str = "sale"
    numbers: tuple[int, ...] = ()


def kept(promises: Iterable[Promise], receipts: Iterable[Receipt], history: History) -> list[str]:
    """What was shown as paid is at the OFD, once, over the same sum and under the numbers that were shown."""
    documents = defaultdict(list)
    for receipt in receipts:
        documents[receipt.uuid].append(receipt)
    times = Counter(request["key"] for request in history if is_acceptance(request))
    sums = {request["key"]: request["total_sum"] for request in history if is_acceptance(request)}
    return [words for promise in promises for words in _broken(promise, documents[promise.uuid], times, sums)]


def _broken(promise: Promise, receipts: list[Receipt], times: Counter, sums: dict[str, int]):
    name = f"{promise.kind} {promise.uuid}"
    if not receipts:
        yield f"lost: {name} was shown as paid and has no receipt"
    for receipt in receipts:
        if times[receipt.key] != 1:
            yield f"{name} was shown as paid, and accepted {times[receipt.key]} times: {receipt}"
    total = sum((-1 if receipt.operation_type == "2" else 1) * sums.get(receipt.key, 0) for receipt in receipts)
    if receipts and abs(total) != abs(promise.total):
        yield f"{name} was shown as paid over {promise.total}, its receipts are over {total}"
    if unknown := set(promise.numbers) - {receipt.fd_number for receipt in receipts}:
        yield f"{name} was shown with FD {sorted(unknown)}, which are not its own"


def nothing_else(tried: Iterable[str], receipts: Iterable[Receipt]) -> list[str]:
    """Only what a cashier tried to sell has a receipt."""
    tried = set(tried)
    return [f"nobody sold it: {receipt}" for receipt in receipts if receipt.uuid and receipt.uuid not in tried]


def in_the_tills_order(promises: Iterable[Promise], receipts: Iterable[Receipt]) -> list[str]:
    """A till's sales got their numbers in the order of the till's stamps."""
    numbers = defaultdict(list)
    for receipt in receipts:
        numbers[receipt.uuid].append(receipt.fd_number)
    promises = sorted((promise for promise in promises if promise.uuid in numbers), key=lambda p: (p.till, p.stamp))
    return [
        f"till {after.till}: order {after.uuid} (FD {numbers[after.uuid]}) came after FD {numbers[before.uuid]} of {before.uuid}"
        for before, after in pairwise(promises)
        if before.till == after.till and min(numbers[after.uuid]) <= max(numbers[before.uuid])
    ]


def true_on_the_screen(shown: dict[str, str], states: dict[str, str]) -> list[str]:
    """After the heal a till shows of each order what the database has: uuid → state."""
    return [
        f"order {uuid} is shown as {state}, but it is {states.get(uuid, 'not there')}"
        for uuid, state in shown.items()
        if state != states.get(uuid)
    ]
