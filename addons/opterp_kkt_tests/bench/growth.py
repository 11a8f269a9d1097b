"""What years of history cost: a shop that has delivered a million documents against one that has delivered a thousand."""

import os
import statistics
import time
from collections.abc import Callable

import requests
from bench.backlog import Backlog
from bench.figures import tell
from bench.shift import copy_documents
from harness.shop import Shop

YOUNG = 1_000
HISTORY = int(os.environ.get("KKT_BENCH_HISTORY", "1000000"))  # delivered documents
ROUNDS = 5
DOCUMENTS = 300  # of a drain
TIMES = 20  # that anything else is done in a round
CLOSINGS = 4  # of shifts in a round
YEARS = {  # about two for a million
    "state": "'delivered'",
    "delivered_at": "now() - interval '2 days' - number * interval '1 minute'",
    "payload": "'{}'",
}
LIST = {"specification": {"fd_number": {}, "state": {}, "register_id": {"fields": {"display_name": {}}}}, "limit": 80}


class Side:
    """A shop with one till and so much history, and what is done there, each in seconds."""

    def __init__(self, shop: Shop, documents: int):
        self.backlog = Backlog(shop)
        self.host, self.till, self.admin = self.backlog.host, self.backlog.till, self.backlog.admin
        self._close_shift()  # whose documents nobody counts any more
        copy_documents(self.host, documents, YEARS)

    def drain(self) -> float:
        return self.backlog.drain(DOCUMENTS)

    def sell(self) -> float:
        self.till.seconds.clear()
        for _number in range(TIMES):
            self.till.sell()
        return statistics.median(self.till.seconds)

    def look_at_registers(self) -> float:
        return _time(
            lambda: self.admin.call("kkt.register", "read", [self.backlog.register], ["pending_count", "oldest_pending_at"])
        )

    def look_at_what_waits(self) -> float:
        return _time(lambda: self.admin.call("kkt.receipt", "web_search_read", [("state", "=", "pending")], **LIST))

    def open_dashboard(self) -> float:
        return _time(lambda: self.admin.call("kkt.dashboard", "get_figures"))

    def ask_health(self) -> float:
        return _time(lambda: requests.get(f"{self.host.url}/kkt/health", timeout=60))

    def close_shift(self) -> float:
        return _time(self._close_shift, CLOSINGS, self.till.sell)

    def _close_shift(self):
        self.admin.call("kkt.register", "action_close_shift", [self.backlog.register])


DONE = {
    "a drain": Side.drain,
    "a sale": Side.sell,
    "a register's status": Side.look_at_registers,
    "the list of what waits": Side.look_at_what_waits,
    "the dashboard": Side.open_dashboard,
    "the health page": Side.ask_health,
    "the end of a shift": Side.close_shift,
}


def main():
    with Shop() as young, Shop() as old:
        sides = Side(young, YOUNG), Side(old, HISTORY)
        for what, do in DONE.items():
            for side in sides:
                do(side)
            rounds = [[do(side) for side in sides] for _number in range(ROUNDS)]
            before, after = (1000 * statistics.median(column) for column in zip(*rounds, strict=True))
            tell(
                f"{what} after {HISTORY} documents",
                *(late / early for early, late in rounds),
                unit=f" × that after {YOUNG}",
                most=1.1,
                detail=f"{before:.1f} ms, then {after:.1f} ms",
            )


def _time(action: Callable, times: int = TIMES, before: Callable = lambda: None) -> float:
    """Median seconds of so many calls; what has to be done before each is not counted."""
    taken = []
    for _number in range(times):
        before()
        began = time.perf_counter()
        action()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)
