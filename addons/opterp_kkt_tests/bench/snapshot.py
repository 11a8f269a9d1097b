"""How a drain fares while somebody, a backup, reads the database as it was: PostgreSQL keeps all that was changed since.

One long queue with and without such a snapshot. What counts is its end against its beginning: whatever costs more with each
document that was delivered shows there.
"""

import statistics

import psycopg2
from bench.drain import copy_receipts
from bench.figures import tell
from harness.shop import Shop
from harness.till import Client

DOCUMENTS = 20_000
PART = 1_000  # documents whose rate is told
RATES = """
    SELECT %(part)s / extract(epoch FROM max(delivered_at) - min(delivered_at))::float8 AS rate
      FROM (SELECT delivered_at, row_number() OVER (ORDER BY queue_number) - 1 AS number
              FROM (SELECT delivered_at, queue_number FROM kkt_receipt ORDER BY id DESC LIMIT %(documents)s) last) numbered
     GROUP BY number / %(part)s ORDER BY number / %(part)s
"""


def main():
    with Shop() as shop:
        host = shop.host(crons=0)
        receipt = shop.till(host).sell()["kkt_receipt_ids"][0]
        admin = Client(host, timeout=600)
        register = shop.database.value("SELECT register_id FROM kkt_receipt WHERE id = %s", receipt)
        _drain(admin, register)
        for old in (False, True):
            copy_receipts(shop, receipt, DOCUMENTS)
            rates = _drain_beside(shop, admin, register, old)
            first, last = statistics.median(rates[:3]), statistics.median(rates[-3:])
            tell(
                f"a long drain{' beside an old snapshot' * old}, its end",
                first / last,
                unit=" × slower than its beginning",
                most=1.3 if old else None,
                detail=f"{DOCUMENTS} documents, thousand by thousand: {' '.join(f'{rate:.0f}' for rate in rates)} /s",
            )


def _drain_beside(shop: Shop, admin: Client, register: int, old: bool) -> list[float]:
    """Documents per second, thousand by thousand."""
    with psycopg2.connect(dbname=shop.database.name, **shop.database.dsn) as backup, backup.cursor() as cursor:
        if old:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT 1 FROM kkt_receipt LIMIT 1")
        _drain(admin, register)
    rows = shop.database.query(RATES.replace("%(part)s", str(PART)).replace("%(documents)s", str(DOCUMENTS)))
    return [row["rate"] for row in rows]


def _drain(admin: Client, register: int):
    while admin.call("kkt.register", "action_deliver", [register])["waiting"]:
        pass
