"""How many documents one deliverer brings to the OFD when many registers wait, in ratio to one bare loop of `requests`."""

from bench.backlog import TOOK, copy_receipts
from bench.bare import be_slow, compare, post_last
from harness.contest import set_number, switch_crons
from harness.processes import wait_until
from harness.shop import Shop
from harness.till import Client

ROUNDS = 3
LANES = 40
# latency (s), documents of each register, of the bare loop, least ratio by number of registers
PLAN = ((0.020, 40, 100, {8: 6.5, LANES: 12}), (0.300, 30, 10, {LANES: 36}), (0.0, 40, 400, {8: None, LANES: None}))


def main():
    with Shop() as shop:
        host = shop.host(crons=1)
        admin = Client(host, timeout=600)
        receipts = [shop.till(host, number).sell()["kkt_receipt_ids"][0] for number in range(LANES)]
        set_number(admin, "lanes", LANES)
        shop.settle()
        for latency, documents, bare, bounds in PLAN:
            for registers, least in bounds.items():
                compare(
                    f"drain of {registers} registers, OFD answers in {1000 * latency:.0f} ms",
                    [
                        (_drain(shop, receipts[:registers], latency, documents), post_last(shop, latency, bare))
                        for _number in range(ROUNDS)
                    ],
                    "one deliverer {:.0f}/s, one bare loop {:.0f}/s",
                    least=least,
                )


def _drain(shop: Shop, receipts: list[int], latency: float, documents: int) -> float:
    """Documents per second from the first claim to the last delivery."""
    switch_crons(shop.database, False)
    copy_receipts(shop, receipts, documents)
    be_slow(shop.ofd, latency)
    switch_crons(shop.database, True)
    shop.database.execute("UPDATE ir_cron SET nextcall = now() AT TIME ZONE 'UTC' WHERE active")
    shop.database.wake_crons()
    wait_until(lambda: not shop.unfinished(), 600, "the end of the queues", 0.1)
    return documents * len(receipts) / shop.database.value(TOOK, documents * len(receipts))
