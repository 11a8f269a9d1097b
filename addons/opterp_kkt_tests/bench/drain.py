"""How fast one register's queue drains, against a bare loop of `requests` that posts the same documents and knows nothing."""

from bench.backlog import Backlog
from bench.bare import be_slow, compare, post_last
from harness.shop import Shop

PLAN = ((0.0, 1000, 5, 0.75), (0.020, 300, 5, 0.97), (0.300, 20, 3, 0.97))  # latency (s), documents, rounds, least ratio


def main():
    with Shop() as shop:
        backlog = Backlog(shop)
        for latency, count, rounds, least in PLAN:
            compare(
                f"drain of one register, OFD answers in {1000 * latency:.0f} ms",
                [(_drain(backlog, latency, count), post_last(shop, latency, count)) for _number in range(rounds)],
                f"{count} documents: {{:.0f}}/s, bare loop {{:.0f}}/s",
                least=least,
            )


def _drain(backlog: Backlog, latency: float, count: int) -> float:
    """Documents per second."""
    be_slow(backlog.shop.ofd, latency)
    return count / backlog.drain(count)
