"""Small things that are done for every document: a statement under the guard against psycopg2 alone, and the reading of the
worst page that a proxy may answer with against a page of the same length.
"""

import statistics
import time

import harness.product  # noqa: F401  (the product's package without Odoo)
import psycopg2
from bench.figures import tell
from harness.stack import environment_dsn
from opterp_kkt.delivery.guard import Guard
from opterp_kkt.transports import Endpoint, open_transport

STATEMENTS = 3000
PAGES = 200
LENGTH = 65536


def main():
    dsn = {"dbname": "postgres", **environment_dsn()}
    connection = psycopg2.connect(**dsn)
    connection.autocommit = True
    cursor = connection.cursor()
    with Guard(dsn) as guard:
        bare, guarded = _medians(STATEMENTS, lambda: cursor.execute("SELECT 1"), lambda: guard.execute("SELECT 1"))
    detail = f"psycopg2 {1e6 * bare:.0f} µs, under the guard {1e6 * guarded:.0f} µs"
    tell("a statement under the guard", guarded / bare, unit=" × psycopg2", detail=detail)
    connection.close()
    transport = open_transport("http", Endpoint("http://localhost:1"))
    plain = ("<p>Bad gateway</p>" * LENGTH)[:LENGTH]
    for part in ("<", "<style>", "<a", "</"):
        page = (part * LENGTH)[:LENGTH]
        usual, worst = _medians(PAGES, lambda: transport._printable(plain), lambda page=page: transport._printable(page))
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
