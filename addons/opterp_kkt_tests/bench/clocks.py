"""From a sale to the OFD while the host's clock is wrong: seconds, not a ratio, since a right clock is among the wrong ones."""

import statistics
import time
from itertools import cycle, islice

from bench.figures import tell
from harness.shop import Shop
from harness.stack import Clock
from harness.till import Till

OFFSETS = (-3600, -30, -3, 0, 3, 30, 3600)  # s
SALES = 20
PATIENCE = 180


def main():
    with Shop() as shop:
        clock = Clock()
        till = shop.till(shop.host(clock=clock))
        _sell(shop, till)
        seconds = {offset: [] for offset in OFFSETS}
        for offset in islice(cycle(OFFSETS), SALES * len(OFFSETS)):
            clock.set(offset)
            seconds[offset].append(_sell(shop, till))
    right = statistics.median(seconds[0])
    for offset, found in seconds.items():
        p50, p95 = statistics.median(found), statistics.quantiles(found, n=20)[-1]
        tell(
            f"sale to OFD, the host's clock {offset:+} s",
            p50 / right,
            unit=" × a right clock",
            most=1.5 if offset else None,
            detail=f"{SALES} sales: p50 {p50:.2f} s, p95 {p95:.2f} s",
        )


def _sell(shop: Shop, till: Till) -> float:
    """Sell; return the seconds from the till's call to the arrival at the OFD."""
    count = len(shop.ofd.accepted())
    began = time.time()
    till.sell()
    shop.ofd.wait_accepted(count + 1, PATIENCE)
    return shop.ofd.accepted()[count]["arrived"] / 1000 - began
