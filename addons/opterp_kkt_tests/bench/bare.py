"""The bare loop that drains are measured against: it posts the same documents with `requests`, and knows nothing else."""

import statistics
import time

import requests
from bench.figures import AGAINST_BARE, tell
from harness.shop import Shop
from harness.stack import Emulator

LAST = "SELECT idempotency_key AS key, payload FROM kkt_receipt ORDER BY id DESC LIMIT %s"


def compare(what: str, rounds: list[tuple[float, float]], detail: str, **facts):
    """Tell how something fares against the bare loop; each round has the documents per second of both.

    :param detail: with a place for the median of each
    """
    medians = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratios = (rate / bare for rate, bare in rounds)
    tell(what, *ratios, unit=AGAINST_BARE, detail=detail.format(*medians), **facts)


def be_slow(ofd: Emulator, latency: float):
    """Have an OFD forget all that it got, and answer so many seconds later."""
    ofd.reset()
    if latency:
        ofd.mode("slow", seconds=latency)


def post_all(ofd: Emulator, documents: list[dict]):
    """Post `key` and `payload` of each, one after another."""
    session = requests.Session()
    for document in documents:
        headers = {"Idempotency-Key": document["key"], "Content-Type": "application/json"}
        session.post(f"{ofd.url}/v1/documents", data=document["payload"].encode(), headers=headers, timeout=10)


def post_last(shop: Shop, latency: float, count: int) -> float:
    """Documents per second of the bare loop, for a shop's last ones."""
    documents = shop.database.query(LAST, count)
    be_slow(shop.ofd, latency)
    began = time.perf_counter()
    post_all(shop.ofd, documents)
    return count / (time.perf_counter() - began)
