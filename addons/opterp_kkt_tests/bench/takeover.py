"""How soon another host goes on when the one that delivers is killed while a document is under way."""

import time

from bench.figures import tell
from harness.contest import set_number
from harness.processes import wait_until
from harness.shop import Shop

ROUNDS = 5
PATIENCE = 600.0  # s; only ends what hangs
HOLDER = "SELECT split_part(holder, ':', 2)::int FROM kkt_delivery ORDER BY held_at DESC NULLS LAST LIMIT 1"


def main():
    with Shop() as shop:
        for _host in range(2):
            shop.host(crons=1)
        till = shop.till(shop.hosts[0])
        set_number(till, "request_timeout", PATIENCE)
        seconds = [_take_over(shop, till) for _number in range(ROUNDS)]
    tell(
        "take-over of a host that was killed",
        *seconds,
        unit=" s",
        most=10,
        detail=f"{ROUNDS} kills, to the next request at the OFD: worst {max(seconds):.2f} s",
    )


def _take_over(shop: Shop, till) -> float:
    seen = len(shop.ofd.history())
    shop.ofd.mode("wait")
    till.sell()
    wait_until(lambda: len(shop.ofd.history()) > seen, PATIENCE, "a document under way", 0.02)
    holder = shop.database.value(HOLDER)
    victim = next(host for host in shop.hosts if host.pid == holder)
    before = len(shop.ofd.history())
    victim.kill()
    killed = time.time()
    shop.ofd.mode("ok")
    wait_until(lambda: len(shop.ofd.history()) > before, PATIENCE, "another deliverer", 0.02)
    seconds = shop.ofd.history()[before]["arrived"] / 1000 - killed
    shop.settle()
    victim.start()
    return seconds
