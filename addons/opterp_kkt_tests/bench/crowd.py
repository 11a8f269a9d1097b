"""Sixteen sales at once, on one till and on sixteen, new and parked orders: errors and retries against core alone."""

import re
import statistics
import threading
import time
from collections import Counter

from bench.figures import tell
from bench.shops import TILLS, config_ids, two_shops
from harness.till import RpcError, Till

ROUNDS = 3


def main():
    with two_shops() as hosts:
        for tills in (1, TILLS):
            for kind in ("new", "parked"):
                (core, told), (ours, ours_told) = (_measure(host, tills, kind) for host in hosts)
                tell(
                    f"16 {kind} sales at once, {tills} till{'s' * (tills > 1)}",
                    ours / core,
                    unit=" × core",
                    detail=f"core {told}, with receipts {ours_told}",
                )


def _measure(host, tills: int, kind: str) -> tuple[float, str]:
    """Median seconds until all are answered, and what went wrong, in words."""
    at = host.log.stat().st_size
    configs = config_ids(host)[:tills]
    sellers = [Till(host, configs[number % tills]) for number in range(TILLS)]
    errors, seconds = Counter(), []
    for _ in range(ROUNDS):
        jobs = [_prepare(till, kind) for till in sellers]
        began = time.monotonic()
        _at_once(jobs, errors)
        seconds.append(time.monotonic() - began)
    log = host.log.read_bytes()[at:].decode(errors="replace")
    retries = len(re.findall(r"retrying|will be retried|retry number|try again", log))
    median = statistics.median(seconds)
    return median, f"{median:.2f} s, {sum(errors.values())} errors, {retries} retries"


def _prepare(till: Till, kind: str):
    """What one seller does at the signal."""
    if kind == "new":
        return till.sell
    row = till.draft()
    return lambda: till.pay(row)


def _at_once(jobs: list, errors: Counter):
    barrier = threading.Barrier(len(jobs))

    def run(job):
        barrier.wait()
        try:
            job()
        except RpcError as error:
            errors[error.name] += 1

    threads = [threading.Thread(target=run, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
