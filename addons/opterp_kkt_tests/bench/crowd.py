"""Sixteen sales at once, on one till and on sixteen, new and parked orders: errors and retries against core alone."""

import re
import statistics
import threading
import time
from collections import Counter

from bench.figures import tell
from bench.shops import TILLS, config_ids, two_shops
from harness.stack import Odoo
from harness.till import RpcError, Till

ROUNDS = 3


def main():
    with two_shops() as hosts:
        for tills in (1, TILLS):
            for kind in ("new", "parked"):
                crowds = [Crowd(host, tills) for host in hosts]
                rounds = [[crowd.sell(kind) for crowd in crowds] for _number in range(ROUNDS)]
                core, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
                tell(
                    f"16 {kind} sales at once, {tills} till{'s' * (tills > 1)}",
                    *(with_receipts / alone for alone, with_receipts in rounds),
                    unit=" × core",
                    detail=f"core {core:.2f} s, {crowds[0].trouble}, with receipts {ours:.2f} s, {crowds[1].trouble}",
                )


class Crowd:
    """Sixteen who sell at one host, on so many tills."""

    def __init__(self, host: Odoo, tills: int):
        configs = config_ids(host)[:tills]
        self.sellers = [Till(host, configs[number % tills]) for number in range(TILLS)]
        self.errors = Counter()
        self._log, self._begun = host.log, host.log.stat().st_size

    def sell(self, kind: str) -> float:
        """Seconds until all are answered."""
        jobs = [_prepare(till, kind) for till in self.sellers]
        began = time.monotonic()
        _at_once(jobs, self.errors)
        return time.monotonic() - began

    @property
    def trouble(self) -> str:
        """Errors and retries so far, in words."""
        log = self._log.read_bytes()[self._begun :].decode(errors="replace")
        retries = len(re.findall(r"retrying|will be retried|retry number|try again", log))
        return f"{self.errors.total()} errors, {retries} retries"


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
