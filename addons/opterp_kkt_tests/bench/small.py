"""Small things that are done for every document, or every turn of a register: a statement under the guard against psycopg2 alone,
clock, breaker and lease; and the reading of the worst page that a proxy may answer with against a page of the same length.
"""

import statistics
import time

import harness.product  # noqa: F401  (the product's package without Odoo)
import psycopg2
from bench.figures import tell
from harness.stack import Redis, environment_dsn
from opterp_kkt.core import breaker, hlc
from opterp_kkt.delivery.guard import Guard
from opterp_kkt.delivery.lease import Lease, connect
from opterp_kkt.transports import Endpoint
from opterp_kkt.transports.exchange import Exchange

STATEMENTS = 3000
PAGES = 200
LENGTH = 65536


def main():
    _measure_guard()
    _measure_clock_and_breaker()
    _measure_lease()
    _measure_pages()


def _measure_guard():
    dsn = {"dbname": "postgres", **environment_dsn()}
    connection = psycopg2.connect(**dsn)
    connection.autocommit = True
    cursor = connection.cursor()
    with Guard(dsn) as guard:
        bare, guarded = _medians(STATEMENTS, lambda: cursor.execute("SELECT 1"), lambda: guard.execute("SELECT 1"))
    connection.close()
    detail = f"psycopg2 {1e6 * bare:.0f} µs, under the guard {1e6 * guarded:.0f} µs"
    tell("a statement under the guard", guarded / bare, unit=" × psycopg2", detail=detail)


def _measure_clock_and_breaker():
    """What each document costs beside its statements: pure functions."""
    now = time.time_ns() // 1_000_000
    last, seen = hlc.Timestamp(now, 1, "register"), hlc.Timestamp(now, 5, "till")
    closed = breaker.Breaker()
    for what, action in {
        "HLC, a tick": lambda: hlc.tick(last, now),
        "HLC, a tick that merges a till's stamp": lambda: hlc.tick(last, now, seen),
        "breaker, a permit and a success": lambda: breaker.succeeded(breaker.permit(closed, 1.0, "us", 60.0), 1.0, "us"),
    }.items():
        [seconds] = _medians(STATEMENTS, action)
        tell(what, 1e6 * seconds, unit=" µs", most=100)


def _measure_lease():
    """Taken and given back once for a turn of a register; renewed every few seconds, whatever is sent meanwhile."""
    with Redis() as server:
        lease = Lease(connect(server.url), "bench", "us")
        lease.acquire()
        ping, renewed = _medians(STATEMENTS, server.client.ping, lease.renew)
        lease.release()
        [taken] = _medians(STATEMENTS, lambda: lease.acquire() and lease.release())
    for what, seconds in {"a lease taken and given back": taken, "a lease renewed": renewed}.items():
        detail = f"a round trip to Redis {1e6 * ping:.0f} µs, this {1e6 * seconds:.0f} µs"
        tell(what, seconds / ping, unit=" × a round trip", detail=detail)


def _measure_pages():
    exchange = Exchange(Endpoint("http://localhost:1"), [], "")
    plain = ("<p>Bad gateway</p>" * LENGTH)[:LENGTH]
    for part in ("<", "<style>", "<a", "</"):
        page = (part * LENGTH)[:LENGTH]
        usual, worst = _medians(PAGES, lambda: exchange._printable(plain), lambda page=page: exchange._printable(page))
        detail = f"{1e3 * worst:.1f} ms, a usual one {1e3 * usual:.1f} ms"
        tell(f"a proxy's page of `{part}` read", worst / usual, unit=" × a usual page", detail=detail)


def _medians(times: int, *actions) -> list[float]:
    """Seconds that each takes, in turns."""
    taken = [[] for _action in actions]
    for _number in range(times):
        for seconds, action in zip(taken, actions, strict=True):
            began = time.perf_counter()
            action()
            seconds.append(time.perf_counter() - began)
    return [statistics.median(seconds) for seconds in taken]
