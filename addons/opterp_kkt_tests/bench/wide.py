"""How many documents one deliverer brings to the OFD when many registers wait, in ratio to one bare loop of `requests`."""

import statistics
import time

import psycopg2
import requests
from bench.drain import COPY, LAST
from bench.figures import tell
from harness.contest import set_number, switch_crons
from harness.processes import wait_until
from harness.shop import Shop
from harness.till import Client

ROUNDS = 3
LANES = 40
# latency (s), documents of each register, of the bare loop, least ratio by number of registers
PLAN = ((0.020, 40, 100, {8: 6.5, LANES: 12}), (0.300, 30, 10, {LANES: 36}), (0.0, 40, 400, {8: None, LANES: None}))
TOOK = """
    SELECT extract(epoch FROM max(delivered_at) - min(claimed_at))::float8 FROM (
        SELECT delivered_at, claimed_at FROM kkt_receipt ORDER BY id DESC LIMIT %s) last
"""


def main():
    with Shop() as shop:
        host = shop.host(crons=1)
        admin = Client(host, timeout=600)
        receipts = [shop.till(host, number).sell()["kkt_receipt_ids"][0] for number in range(LANES)]
        set_number(admin, "lanes", LANES)
        shop.settle()
        for latency, documents, bare, bounds in PLAN:
            for registers, least in bounds.items():
                rates = [
                    (_drain(shop, receipts[:registers], latency, documents), _bare(shop, latency, bare))
                    for _number in range(ROUNDS)
                ]
                ours, alone = (statistics.median(column) for column in zip(*rates, strict=True))
                tell(
                    f"drain of {registers} registers, OFD answers in {1000 * latency:.0f} ms",
                    *(one / other for one, other in rates),
                    unit=" × a bare loop",
                    least=least,
                    detail=f"one deliverer {ours:.0f}/s, one bare loop {alone:.0f}/s",
                )


def _drain(shop: Shop, receipts: list[int], latency: float, documents: int) -> float:
    """Documents per second from the first claim to the last delivery."""
    switch_crons(shop.database, False)
    with psycopg2.connect(dbname=shop.database.name, **shop.database.dsn) as connection, connection.cursor() as cursor:
        for receipt in receipts:
            cursor.execute(COPY, {"count": documents, "receipt": receipt})
    shop.database.execute("ANALYZE kkt_receipt")
    _set(shop, latency)
    switch_crons(shop.database, True)
    shop.database.execute("UPDATE ir_cron SET nextcall = now() AT TIME ZONE 'UTC' WHERE active")
    shop.database.wake_crons()
    wait_until(lambda: not shop.unfinished(), 600, "the end of the queues", 0.1)
    return documents * len(receipts) / shop.database.value(TOOK, documents * len(receipts))


def _set(shop: Shop, latency: float):
    shop.ofd.reset()
    if latency:
        shop.ofd.mode("slow", seconds=latency)


def _bare(shop: Shop, latency: float, count: int) -> float:
    documents = shop.database.query(LAST, count)
    _set(shop, latency)
    session = requests.Session()
    began = time.perf_counter()
    for document in documents:
        headers = {"Idempotency-Key": document["idempotency_key"], "Content-Type": "application/json"}
        session.post(f"{shop.ofd.url}/v1/documents", data=document["payload"].encode(), headers=headers, timeout=10)
    return count / (time.perf_counter() - began)
