"""How fast one register's queue drains, against a bare loop of `requests` that posts the same documents and knows nothing."""

import statistics
import time

import psycopg2
import requests
from bench.figures import tell
from harness.shop import Shop
from harness.till import Client

PLAN = ((0.0, 1000, 5, 0.75), (0.020, 400, 5, 0.97), (0.300, 30, 3, 0.97))  # latency (s), documents, rounds, least ratio
COPY = """
    INSERT INTO kkt_receipt (register_id, shift_id, document_type, operation_type, state, idempotency_key, fiscal_drive_number,
                             fd_number, fiscal_sign, queue_number, payload, protocol, qr, total, attempts, hlc_local_time,
                             hlc_logical_counter, hlc_node, failures, lone_failures, failed_lookups, create_date)
    SELECT r.register_id, r.shift_id, r.document_type, r.operation_type, 'pending', new.key, r.fiscal_drive_number,
           g.last_fd_number + number, r.fiscal_sign, g.last_queue_number + number,
           replace(r.payload, r.idempotency_key, new.key), r.protocol, r.qr, r.total, 0, r.hlc_local_time, r.hlc_logical_counter,
           r.hlc_node, 0, 0, 0, now()
      FROM kkt_receipt r JOIN kkt_register g ON g.id = r.register_id, generate_series(1, %(count)s) number,
           LATERAL (SELECT gen_random_uuid() || '-' || number AS key) new
     WHERE r.id = %(receipt)s;
    UPDATE kkt_register SET last_fd_number = last_fd_number + %(count)s, last_queue_number = last_queue_number + %(count)s
     WHERE id = (SELECT register_id FROM kkt_receipt WHERE id = %(receipt)s)
"""
LAST = "SELECT idempotency_key, payload FROM kkt_receipt ORDER BY id DESC LIMIT %s"
TOOK = """
    SELECT extract(epoch FROM max(delivered_at) - min(claimed_at))::float8 FROM (
        SELECT delivered_at, claimed_at FROM kkt_receipt ORDER BY id DESC LIMIT %s) last
"""


def main():
    with Shop() as shop:
        host = shop.host(crons=0)
        receipt = shop.till(host).sell()["kkt_receipt_ids"][0]
        admin = Client(host, timeout=600)
        register = shop.database.value("SELECT register_id FROM kkt_receipt WHERE id = %s", receipt)
        admin.call("kkt.register", "action_deliver", [register])
        for latency, documents, rounds, least in PLAN:
            rates = [
                (_drain(shop, admin, register, receipt, latency, documents), _bare(shop, latency, documents))
                for _number in range(rounds)
            ]
            ours, bare = (statistics.median(column) for column in zip(*rates, strict=True))
            tell(
                f"drain of one register, OFD answers in {1000 * latency:.0f} ms",
                *(one / other for one, other in rates),
                unit=" × a bare loop",
                least=least,
                detail=f"{documents} documents: {ours:.0f}/s, bare loop {bare:.0f}/s",
            )


def _drain(shop: Shop, admin: Client, register: int, receipt: int, latency: float, documents: int) -> float:
    """Documents per second from the first claim to the last delivery."""
    copy_receipts(shop, receipt, documents)
    shop.ofd.reset()
    if latency:
        shop.ofd.mode("slow", seconds=latency)
    while admin.call("kkt.register", "action_deliver", [register])["waiting"]:
        time.sleep(0)
    return documents / shop.database.value(TOOK, documents)


def copy_receipts(shop: Shop, receipt: int, count: int):
    """Put so many documents like a receipt into its register's queue."""
    with psycopg2.connect(dbname=shop.database.name, **shop.database.dsn) as connection, connection.cursor() as cursor:
        cursor.execute(COPY, {"count": count, "receipt": receipt})
    shop.database.execute("ANALYZE kkt_receipt")


def _bare(shop: Shop, latency: float, count: int) -> float:
    documents = shop.database.query(LAST, count)
    shop.ofd.reset()
    if latency:
        shop.ofd.mode("slow", seconds=latency)
    session = requests.Session()
    began = time.perf_counter()
    for document in documents:
        headers = {"Idempotency-Key": document["idempotency_key"], "Content-Type": "application/json"}
        session.post(f"{shop.ofd.url}/v1/documents", data=document["payload"].encode(), headers=headers, timeout=10)
    return count / (time.perf_counter() - began)
