# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A whole shop for one proof: its database, Redis, OFD, Odoo hosts and tills, and the verdict over what
happened.
"""

from binascii import crc_hqx
from contextlib import ExitStack

from harness import judge
from harness.judge import Receipt
from harness.keys import by_our_keys
from harness.processes import wait_until
from harness.stack import TEMPLATE, Database, Emulator, Odoo, Postgres, Redis
from harness.till import Client, Till

RECEIPTS = """
    SELECT r.idempotency_key, r.fiscal_drive_number, r.fd_number, r.state, r.hlc_local_time, r.hlc_logical_counter,
           r.register_id, r.queue_number, r.handled_at IS NOT NULL AS handled, r.document_type, r.shift_id,
           CASE WHEN r.protocol IN ('http', 'ofd_tcp') AND NOT coalesce(r.numbers_follow, false) AND s.opened_by IS NOT NULL
                THEN r.payload::json -> 'document' END AS document,
           r.pos_order_id, r.operation_type, o.uuid, extract(epoch FROM r.create_date AT TIME ZONE 'UTC')::float8 AS created,
           CASE WHEN NOT coalesce(r.hlc_drift, false) THEN o.kkt_hlc END AS merged,
           (SELECT min(sale.idempotency_key)
              FROM pos_order_line back
              JOIN pos_order_line sold ON sold.id = back.refunded_orderline_id
              JOIN kkt_receipt sale ON sale.pos_order_id = sold.order_id
             WHERE back.order_id = r.pos_order_id) AS refunds
      FROM kkt_receipt r
 LEFT JOIN pos_order o ON o.id = r.pos_order_id
 LEFT JOIN kkt_shift s ON s.id = r.shift_id
  ORDER BY r.id
"""
PAID_ORDERS = """
    SELECT o.id
      FROM pos_order o
      JOIN kkt_register r ON r.pos_config_id = o.config_id AND r.active
     WHERE o.state IN ('paid', 'done') AND o.id > %s
"""
OTHER_JOBS = """
    UPDATE ir_cron SET active = false
     WHERE id NOT IN (SELECT res_id FROM ir_model_data WHERE model = 'ir.cron' AND module = 'opterp_kkt')
"""
FROZEN_URL = """
    INSERT INTO ir_config_parameter (key, value) VALUES ('web.base.url.freeze', 'True')
    ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""
OPENED = """
    SELECT r.register_id FROM kkt_receipt r JOIN kkt_register g ON g.id = r.register_id
     WHERE r.document_type = 'shift_open' AND r.state IN ('pending', 'sending') AND g.pos_config_id = %s
"""
DELIVERED = "SELECT idempotency_key AS key FROM kkt_receipt WHERE state = 'delivered'"
UNFINISHED = "SELECT count(*) FROM kkt_receipt WHERE state IN ('pending', 'sending')"


def read_receipts(database: Database) -> list[Receipt]:
    """Return the shop's fiscal documents, with what they state where they stand in a shift that was opened by a report; a
    refund's sale is found through core's order lines, not the addon's word.
    """
    return [
        Receipt(
            key=row["idempotency_key"],
            register=row["fiscal_drive_number"],
            fd_number=row["fd_number"] or None,
            state=row["state"],
            hlc=(row["hlc_local_time"] or 0, row["hlc_logical_counter"] or 0),
            order=row["pos_order_id"],
            operation_type=row["operation_type"],
            refunds=row["refunds"],
            uuid=row["uuid"],
            created=row["created"],
            queue=(row["register_id"], row["queue_number"]),
            handled=row["handled"],
            kind=row["document_type"],
            shift=row["shift_id"],
            document=row["document"],
            till_hlc=row["merged"] and (row["merged"]["local_time"], row["merged"]["logical_counter"]),
        )
        for row in database.query(RECEIPTS)
    ]


def add_tills(admin: Client, count: int) -> list[int]:
    """Add `count` points of sale with an emulated register each, like the first one; return their pos.config ids."""
    register = admin.first("kkt.register", [("pos_config_id", "!=", False)], ["pos_config_id", "company_id"])
    admin.context["allowed_company_ids"] = [register["company_id"][0]]
    return [_add_till(admin, register["pos_config_id"][0], register["id"]) for _number in range(count)]


def _add_till(admin: Client, config_id: int, register_id: int) -> int:
    number = admin.first("pos.config", [], ["id"], order="id DESC")["id"] + 1
    serial_number = f"POC{number:05}"
    config = {"name": f"Till {number}", "payment_method_ids": [(6, 0, _payment_methods(admin, config_id, number))]}
    copy = admin.call("pos.config", "copy", [config_id], config)[0]
    register = {
        "name": f"Register {number}",
        "pos_config_id": copy,
        "serial_number": serial_number,
        "registration_number": registration_number(admin, number, serial_number),
        "fiscal_drive_number": f"9999{number:012}",
    }
    admin.call("kkt.register", "copy", [register_id], register)
    return copy


def registration_number(admin: Client, number: int, serial_number: str) -> str:
    """Return a number whose check digits fit to the company and the device, computed without the addon."""
    inn = admin.first("res.company", [("id", "in", admin.context["allowed_company_ids"])], ["vat"])["vat"]
    checked = f"{number:010}{inn:0>12}{serial_number:0>20}"
    return f"{number:010}{crc_hqx(checked.encode(), 0xFFFF):06}"


def _payment_methods(admin: Client, config_id: int, number: int) -> list[int]:
    """Those of a till, but a cash drawer of its own: a cash journal serves one point of sale only (core's rule)."""
    ids = admin.call("pos.config", "read", [config_id], ["payment_method_ids"])[0]["payment_method_ids"]
    methods = admin.call("pos.payment.method", "read", ids, ["is_cash_count"])
    journal = admin.call("account.journal", "create", {"name": f"Cash {number}", "type": "cash", "code": f"C{number}"})
    cash = admin.call("pos.payment.method", "create", {"name": f"Cash {number}", "journal_id": journal})
    return [cash, *(method["id"] for method in methods if not method["is_cash_count"])]


class Shop:
    """Database, Redis and OFD of one proof; hosts and tills are added as the story needs them; all end with
    it.

    with Shop() as shop:
        host = shop.host(workers=2)
        till = shop.till(host)
        till.sell()
        shop.settle()
        assert shop.violations() == []
    """

    def __init__(self, postgres: Postgres | None = None, template: str = TEMPLATE):
        self.redis = Redis()
        self.ofd = Emulator()
        self.database = Database(template, dsn=postgres.dsn if postgres else None)
        self.hosts: list[Odoo] = []
        self._stack = ExitStack()

    def __enter__(self):
        with ExitStack() as stack:
            for part in (self.redis, self.ofd, self.database):
                stack.enter_context(part)
            self._prepare()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc):
        self._stack.close()

    def _prepare(self):
        """Deliver to our OFD; what the demo delivered before, to another one, is no part of this proof."""
        self.database.execute("UPDATE kkt_ofd SET url = %s", self.ofd.url)
        self.database.execute(FROZEN_URL)  # else every login tells all servers to empty their caches
        self.database.execute(OTHER_JOBS)  # stock and mail jobs would only disturb the measurements
        self._earlier_order = self.database.value("SELECT coalesce(max(id), 0) FROM pos_order")
        self._earlier_receipts = {row["key"] for row in self.database.query(DELIVERED)}

    def host(self, **options) -> Odoo:
        """Start another Odoo host on the shop's database and Redis; the options are Odoo's, see `stack.Odoo`."""
        host = Odoo(self.database, **{"redis_url": self.redis.url} | options)
        self.hosts.append(self._stack.enter_context(host))
        return host

    def configs(self) -> list[int]:
        """pos.config ids of the tills that have a register, oldest first."""
        rows = self.database.query("SELECT pos_config_id AS id FROM kkt_register WHERE active ORDER BY pos_config_id")
        return [row["id"] for row in rows if row["id"]]

    def till(self, host: Odoo, number: int = 0, delivers: bool = True, **credentials) -> Till:
        """Open till `number` (from 0) at that host; missing ones are added first. The OFD gets the report on the opening of its
        shift at once, FD 1 of its register, before anything that a proof does; unless it is not to be delivered yet.
        """
        missing = number + 1 - len(self.configs())
        if missing > 0:
            add_tills(Client(host), missing)
        till = Till(host, self.configs()[number], **credentials)
        if delivers:
            self._deliver_opening(till.config_id, host)
        return till

    def _deliver_opening(self, config_id: int, host: Odoo):
        register = self.database.value(OPENED, config_id)
        if register:
            Client(host).call("kkt.register", "action_deliver", [register])
            wait_until(lambda: not self.database.value(OPENED, config_id), 60, "delivery of a shift's opening")

    def unfinished(self) -> int:
        return self.database.value(UNFINISHED)

    def settle(self, seconds: float = 600.0):
        """Wait until every receipt is delivered or rejected."""
        wait_until(lambda: not self.unfinished(), seconds, "delivery of every receipt", 0.2)

    def receipts(self) -> list[Receipt]:
        return [receipt for receipt in read_receipts(self.database) if receipt.key not in self._earlier_receipts]

    def paid_orders(self) -> list[int]:
        return [row["id"] for row in self.database.query(PAID_ORDERS, self._earlier_order)]

    def violations(self, guards_were_lost: bool = False, other: judge.History = ()) -> list[str]:
        """Judge the shop at rest, with the history of its `other` OFD, if it has one; see `judge`."""
        orders, receipts = self.paid_orders(), self.receipts()
        history = by_our_keys(judge.merged({"the OFD": self.ofd.history(), "the other OFD": other}), receipts)
        return [
            *judge.violations(history, receipts, orders, guards_were_lost),
            *judge.recorded_as_fiscalised(history, receipts),
        ]
