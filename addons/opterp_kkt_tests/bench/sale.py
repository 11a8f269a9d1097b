"""What a sale costs with the addon: the browser's call `sync_from_ui`, interleaved with core alone."""

import statistics

from bench.shops import config_ids, two_shops
from harness.till import Till

SALES = 240
WARM_UP = 20


def main():
    with two_shops() as hosts:
        without, with_addon = (Till(host, config_ids(host)[0]) for host in hosts)
        _sell_in_turns([without, with_addon], WARM_UP)
        without.seconds.clear()
        with_addon.seconds.clear()
        _sell_in_turns([without, with_addon], SALES)
    core, ours = (statistics.median(till.seconds) for till in (without, with_addon))
    print(
        f"sale, {SALES} each, interleaved: core {1000 * core:.1f} ms, with receipts {1000 * ours:.1f} ms (medians),"
        f" ratio {ours / core:.3f}"
    )


def _sell_in_turns(tills: list[Till], times: int):
    for number in range(times):
        for till in tills if number % 2 else reversed(tills):
            till.sell([till.line(product) for product in till.products[:3]])
