"""What a sale costs with the addon: the browser's call `sync_from_ui`, interleaved with core alone.

Told twice: by the clock, as a cashier feels it, which wants a quiet machine; and as processor time of Odoo and its PostgreSQL
backends, which other work on the machine hardly changes.
"""

import statistics

from bench.cost import get_seconds
from bench.figures import tell
from bench.shops import config_ids, two_shops
from harness.stack import Odoo
from harness.till import Till

ROUNDS = 4
SALES = 60  # of each, in a round
WARM_UP = 20


def main():
    with two_shops() as hosts:
        tills = [Till(host, config_ids(host)[0]) for host in hosts]
        _sell_in_turns(tills, WARM_UP)
        rounds = [_measure(hosts, tills) for _number in range(ROUNDS)]
    for what, bound, times in zip(("answered after", "processor time"), (1.03, None), zip(*rounds, strict=True), strict=True):
        core, ours = (statistics.median(column) for column in zip(*times, strict=True))
        tell(
            f"a sale, {what}",
            *(with_receipts / alone for alone, with_receipts in times),
            unit=" × core",
            most=bound,
            detail=f"{ROUNDS} × {SALES} each, interleaved: core {core:.1f} ms, with receipts {ours:.1f} ms",
        )


def _measure(hosts: tuple[Odoo, Odoo], tills: list[Till]) -> tuple[list[float], list[float]]:
    """Of each host: median ms until a sale is answered, and ms of processor time per sale."""
    for till in tills:
        till.seconds.clear()
    before = [get_seconds(host) for host in hosts]
    _sell_in_turns(tills, SALES)
    worked = [1000 * (get_seconds(host) - start) / SALES for host, start in zip(hosts, before, strict=True)]
    return [1000 * statistics.median(till.seconds) for till in tills], worked


def _sell_in_turns(tills: list[Till], times: int):
    for number in range(times):
        for till in tills if number % 2 else reversed(tills):
            till.sell([till.line(product) for product in till.products[:3]])
