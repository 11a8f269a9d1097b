"""A queue that is filled past all Python, and drained."""

import psycopg2
from harness.shop import Shop
from harness.till import Client

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
TOOK = """
    SELECT extract(epoch FROM max(delivered_at) - min(claimed_at))::float8 FROM (
        SELECT delivered_at, claimed_at FROM kkt_receipt ORDER BY id DESC LIMIT %s) last
"""


class Backlog:
    """The queue of a shop's one register, which has nothing left to send."""

    def __init__(self, shop: Shop):
        self.shop = shop
        self.host = shop.host(crons=0)
        self.till = shop.till(self.host)
        self.receipt = self.till.sell()["kkt_receipt_ids"][0]
        self.admin = Client(self.host, timeout=600)
        self.register = shop.database.value("SELECT register_id FROM kkt_receipt WHERE id = %s", self.receipt)
        self.deliver()

    def fill(self, count: int):
        copy_receipts(self.shop, [self.receipt], count)

    def deliver(self):
        while self.admin.call("kkt.register", "action_deliver", [self.register])["waiting"]:
            pass

    def drain(self, count: int) -> float:
        """Deliver so many documents; the seconds from the first claim to the last delivery."""
        self.fill(count)
        self.deliver()
        return self.shop.database.value(TOOK, count)


def copy_receipts(shop: Shop, receipts: list[int], count: int):
    """Put so many documents like each receipt into its register's queue."""
    with psycopg2.connect(dbname=shop.database.name, **shop.database.dsn) as connection, connection.cursor() as cursor:
        for receipt in receipts:
            cursor.execute(COPY, {"count": count, "receipt": receipt})
    shop.database.execute("ANALYZE kkt_receipt")
