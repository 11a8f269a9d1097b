"""From the till's call to the request at the OFD: alone, while other tills sell all the time, while the host's clock is wrong."""

import statistics
import threading
import time
from contextlib import contextmanager
from itertools import cycle, islice

from bench.figures import tell
from harness.processes import wait_until
from harness.shop import Shop
from harness.stack import Clock
from harness.till import Till

OFFSETS = (-3600, -30, 0, 30, 3600)  # s
SALES = 20
OTHERS = 3  # tills that sell meanwhile, which is all that two cores can do
PATIENCE = 600.0  # s; only ends what hangs
KEY = "SELECT idempotency_key FROM kkt_receipt WHERE id = %s"


def main():
    with Shop() as shop:
        till = shop.till(shop.host())
        _sell(shop, till)
        _tell("alone", [_sell(shop, till) for _number in range(SALES)])
        with _others_selling(shop):
            _tell(f"{OTHERS} other tills sell all the time", [_sell(shop, till) for _number in range(SALES)])
    with Shop() as shop:
        _measure_clocks(shop)


def _measure_clocks(shop: Shop):
    clock = Clock()
    till = shop.till(shop.host(clock=clock))
    _sell(shop, till)
    found = {offset: [] for offset in OFFSETS}
    for offset in islice(cycle(OFFSETS), SALES * len(OFFSETS)):
        clock.set(offset)
        found[offset].append(_sell(shop, till))
    right = statistics.median(reached for _answered, reached in found[0])
    for offset, seconds in found.items():
        bound = {"most": 1.5} if offset else {}
        _tell(f"the host's clock {offset:+} s", seconds, right, unit=" × a right clock", **bound)


def _tell(how: str, found: list[tuple[float, float]], right: float = 1.0, unit: str = " s", **facts):
    answered, reached = zip(*found, strict=True)
    p50, p95 = statistics.median(reached), statistics.quantiles(reached, n=20)[-1]
    detail = (
        f"{len(found)} sales: p50 {p50:.2f} s, p95 {p95:.2f} s; the till is answered after {statistics.median(answered):.2f} s"
    )
    tell(f"sale to OFD, {how}", p50 / right, unit=unit, detail=detail, **facts)


def _sell(shop: Shop, till: Till) -> tuple[float, float]:
    """Sell; return the seconds from the till's call to its answer, and to the document's arrival at the OFD."""
    began = time.time()
    receipt = till.sell()["kkt_receipt_ids"][0]
    answered = time.time()
    key = shop.database.value(KEY, receipt)
    [arrived] = wait_until(lambda: _get_arrivals(shop, key), PATIENCE, "the document at the OFD", 0.1)
    return answered - began, arrived / 1000 - began


def _get_arrivals(shop: Shop, key: str) -> list[float]:
    """When an OFD took it, in ms since 1970; it takes each key once."""
    return [entry["arrived"] for entry in shop.ofd.accepted() if entry["key"] == key]


@contextmanager
def _others_selling(shop: Shop):
    tills = [shop.till(shop.hosts[0], number) for number in range(1, OTHERS + 1)]
    enough = threading.Event()

    def sell(till: Till):
        while not enough.is_set():
            till.sell()

    threads = [threading.Thread(target=sell, args=[till]) for till in tills]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        enough.set()
        for thread in threads:
            thread.join()
