"""How a long drain fares while somebody, a backup, reads the database as it was: PostgreSQL keeps all that was changed since.

What counts is its end against its beginning: whatever costs more with each document that was delivered shows there, and so
does whatever a process keeps of each.
"""

import os
import statistics

import psycopg2
from bench.backlog import Backlog
from bench.cost import get_memory
from bench.figures import tell
from harness.shop import Shop

DOCUMENTS = int(os.environ.get("KKT_BENCH_DRAINED", "20000"))
WARM_UP = 1_000
PART = 1_000  # documents whose rate is told
RATES = """
    SELECT count(*) / extract(epoch FROM max(delivered_at) - min(delivered_at))::float8 AS rate
      FROM (SELECT delivered_at, (row_number() OVER (ORDER BY queue_number) - 1) / %s AS part
              FROM (SELECT delivered_at, queue_number FROM kkt_receipt ORDER BY id DESC LIMIT %s) last) numbered
     GROUP BY part ORDER BY part
"""


def main():
    with Shop() as shop:
        backlog = Backlog(shop)
        backlog.drain(WARM_UP)
        backlog.fill(DOCUMENTS)
        before = get_memory(backlog.host.pid)
        rates = _drain_beside_backup(backlog)
        after = get_memory(backlog.host.pid)
    first, last = statistics.median(rates[:3]), statistics.median(rates[-3:])
    tell(
        "a long drain beside an old snapshot, its end",
        first / last,
        unit=" × its beginning's time",
        most=1.3,
        detail=f"{DOCUMENTS} documents, thousand by thousand: {' '.join(f'{rate:.0f}' for rate in rates)} /s",
    )
    tell(
        "memory of the deliverer at its end", after / before, unit=" × before", most=1.1, detail=f"{before:.0f}, {after:.0f} MiB"
    )


def _drain_beside_backup(backlog: Backlog) -> list[float]:
    """Documents per second, thousand by thousand."""
    database = backlog.shop.database
    with psycopg2.connect(dbname=database.name, **database.dsn) as backup, backup.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT 1 FROM kkt_receipt LIMIT 1")
        backlog.deliver()
    return [row["rate"] for row in database.query(RATES, PART, DOCUMENTS)]
