# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The whole job in one run, `make demo`: two tills of the demo shop sell, the network to the OFD fails and comes back, and a
report computed from what the OFD got says whether everything arrived, once and in order.

It works on the demo shop itself, so that `make run` shows its receipts afterwards. With PROTOCOL=atol_web or atol_online each
till has a register on the counter or in the cloud instead (emulated), which numbers and signs: in a copy of the shop. With
PROTOCOL=ofd_tcp that copy's documents go to the OFD as a drive sends them.
"""

import os
import socket
import sys
import textwrap
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import harness.product  # noqa: F401  (the product's package without Odoo)
from harness import judge
from harness.keys import by_our_keys
from harness.processes import RUN, ProcessDied, wait_until
from harness.receivers import connect, get_address, get_breaker, get_receiver
from harness.report import Scenario
from harness.shop import UNFINISHED, read_receipts
from harness.stack import Database, Emulator, Odoo, environment_dsn
from harness.till import Client, RpcError, Till
from opterp_kkt.transports import PROTOCOLS

CASHIER = {"login": "kassir", "password": "kassir"}
TILLS = ("demo_pos_1", "demo_pos_2")
RECOVERY_SECONDS = 5  # that the breaker stays open before it tries again; usually a minute
PATIENCE = 120.0  # s, for a slow machine
RECORD = "SELECT res_id FROM ir_model_data WHERE module = 'opterp_kkt' AND name = %s"
RECEIPTS = """
    SELECT CASE operation_type WHEN '1' THEN 'sale' ELSE 'refund' END AS operation, fd_number, total
      FROM kkt_receipt WHERE pos_order_id = %s ORDER BY fd_number
"""
BREAKER = "SELECT state, failure_count, retry_at FROM kkt_circuit_breaker WHERE id = %s"
SET_RECOVERY = "UPDATE kkt_circuit_breaker SET recovery_timeout = %s, version = version + 1 WHERE id = %s"
LAST_EVENT = "SELECT coalesce(max(id), 0) FROM kkt_circuit_breaker_event"
EVENTS = """
    SELECT happened_at, from_state, to_state, reason FROM kkt_circuit_breaker_event
     WHERE breaker_id = %s AND id > %s ORDER BY id
"""


class DemoDatabase(Database):
    """The demo shop itself, not a copy of it."""

    def __init__(self):
        self.name = "opterp_kkt_demo"
        self.dsn = environment_dsn()
        self.data_dir = RUN / "data"


class Demo:
    """The shop, its cashier and its OFD: every step is told as it happens, `verdict` says what came of all."""

    def __init__(self, scenario: Scenario, protocol: str):
        self.tell = scenario.step
        self.protocol = protocol
        self.is_usual = protocol == "http"
        self.is_elsewhere = PROTOCOLS[protocol].is_register
        self.receivers = "the registers" if self.is_elsewhere else "the OFD"
        self.database = DemoDatabase() if self.is_usual else Database()
        history = {"history_file": RUN / "ofd.jsonl"} if self.is_usual else {}
        self.ofds = self._get_registers() if self.is_elsewhere else [Emulator(port=_port("KKT_OFD_PORT"), **history)]
        self.odoo = Odoo(self.database, port=_port("KKT_HTTP_PORT"), gevent_port=_port("KKT_GEVENT_PORT"))
        self.tills: list[Till] = []
        self.orders: list[int] = []

    def _get_registers(self) -> list[Emulator]:
        """One for each till; the first where an OFD is otherwise."""
        ports = [_port("KKT_OFD_PORT"), *[None for _till in TILLS[1:]]]
        return [Emulator(port=port, drive=get_receiver(self.protocol, number).drive) for number, port in enumerate(ports, 1)]

    def record(self, name: str) -> int:
        """The id of a record of the demo data."""
        return self.database.value(RECORD, name)

    @contextmanager
    def opened(self):
        """The OFD and the shop are there, with a breaker that recovers quickly."""
        with ExitStack() as stack:
            if not self.is_usual:
                stack.enter_context(self.database)
            receipts = read_receipts(self.database)
            self.settled_before = {receipt.key for receipt in receipts if receipt.state in ("delivered", "rejected")}
            self.last_event = self.database.value(LAST_EVENT)
            for ofd in self.ofds:
                stack.enter_context(ofd)
            self.last_request = max((request["seq"] for request in self._get_history()), default=0)
            stack.enter_context(self.odoo)
            self.tell(f"{PROTOCOLS[self.protocol].label}, emulated, and Odoo are up: {self.ofds[0].url} and {self.odoo.url}")
            self.breaker = self._connect()
            usual = self.database.value("SELECT recovery_timeout FROM kkt_circuit_breaker WHERE id = %s", self.breaker)
            self.database.execute(SET_RECOVERY, RECOVERY_SECONDS, self.breaker)
            stack.callback(self.database.execute, SET_RECOVERY, usual, self.breaker)
            self.tills = [Till(self.odoo, self.record(name), **CASHIER) for name in TILLS]
            self.tell("The cashier has opened two tills: " + " and ".join(till.config["name"] for till in self.tills))
            yield self

    def _connect(self) -> int:
        """The breaker of what receives the first till's documents. Each till has a register of its own, if it is not emulated."""
        if not self.is_elsewhere:
            return self._connect_ofd(self.record("demo_ofd"))
        admin, breakers = Client(self.odoo), []
        for number, (ofd, name) in enumerate(zip(self.ofds, TILLS, strict=True), 1):
            [register] = admin.call("kkt.register", "search", [("pos_config_id", "=", self.record(name))])
            breakers.append(get_breaker(admin, connect(admin, register, ofd.url, self.protocol, number)))
        return breakers[0]

    def _connect_ofd(self, ofd: int) -> int:
        if not self.is_usual:
            url = get_address(self.protocol, 1, self.ofds[0].url)
            Client(self.odoo).call("kkt.ofd", "write", [ofd], {"protocol": self.protocol, "url": url})
        return self.database.value("SELECT breaker_id FROM kkt_ofd WHERE id = %s", ofd)

    # -- what the cashier does -------------------------------------------------------------------------------------------

    def sold(self, till: Till, row: dict, what: str) -> dict:
        """Tell of an order that was just paid, and of the receipts that it has."""
        self.orders.append(row["id"])
        receipts = self.database.query(RECEIPTS, row["id"])
        numbers = {
            r["fd_number"]: f" FD {r['fd_number']}" for r in receipts if r["fd_number"]
        }  # not yet, where it signs elsewhere
        documents = ", ".join(f"{r['operation']}{numbers.get(r['fd_number'], '')} ({r['total'] / 100:,.2f})" for r in receipts)
        self.tell(f"  {till.config['name']}: {what} in {1000 * till.seconds[-1]:.0f} ms: {documents}")
        return row

    def sale(self, number: int, *products: str, card: bool = False) -> dict:
        till = self.tills[number]
        lines = [till.line(product) for product in products]
        order = till.order(lines, payments="exact")
        if card:
            order["payment_ids"][0][2]["payment_method_id"] = till.card
        return self.sold(till, till.sync(order), f"sold {len(lines)} for {'a card' if card else 'cash'}")

    def refund(self, number: int, row: dict) -> dict:
        return self.sold(self.tills[number], self.tills[number].refund(row), "took goods back")

    def exchange(self, number: int, row: dict, *products: str) -> dict:
        till = self.tills[number]
        return self.sold(till, till.exchange(row, [till.line(product) for product in products]), "exchanged goods")

    # -- what the machine does -------------------------------------------------------------------------------------------

    def cut(self):
        for ofd in self.ofds:
            ofd.stop()

    def bring_back(self):
        for ofd in self.ofds:
            ofd.start()

    def waiting(self) -> int:
        return self.database.value(UNFINISHED)

    def delivered(self):
        began = time.monotonic()
        wait_until(lambda: not self.waiting(), PATIENCE, "delivery of every receipt", 0.2)
        self.tell(f"Delivered: the OFD has acknowledged every receipt ({time.monotonic() - began:.1f} s later)")

    def breaker_opens(self):
        state = wait_until(self._open_breaker, PATIENCE, "the breaker's opening", 0.2)
        seconds = (state["retry_at"] - datetime.now(UTC).replace(tzinfo=None)).total_seconds()
        self.tell(f"The breaker is open after {state['failure_count']} failures: nothing is sent, next try in {seconds:.0f} s")

    def _open_breaker(self) -> dict | None:
        [state] = self.database.query(BREAKER, self.breaker)
        return state if state["state"] == "open" else None

    def breaker_story(self):
        for event in self.database.query(EVENTS, self.breaker, self.last_event):
            self.tell(
                f"  {event['happened_at']:%H:%M:%S} UTC: breaker {event['from_state']} → {event['to_state']} ({event['reason']})"
            )

    def _get_history(self, receipts=()) -> list[dict]:
        """What all of them got, by our keys."""
        return by_our_keys(judge.merged({ofd.url: ofd.history() for ofd in self.ofds}), receipts)

    # -- what came of it -------------------------------------------------------------------------------------------------

    def verdict(self) -> list[tuple[str, str, list[str]]]:
        """Subject, what was found, what is wrong: from the OFD's history and the shop's receipts of this run."""
        receipts = [receipt for receipt in read_receipts(self.database) if receipt.key not in self.settled_before]
        keys = {receipt.key for receipt in receipts}
        history = [
            request
            for request in self._get_history(receipts)
            if request["key"] in keys or request["seq"] > self.last_request and request["key"] not in self.settled_before
        ]
        delivered = [receipt for receipt in receipts if receipt.state == "delivered"]
        accepted = [request["key"] for request in history if judge.is_acceptance(request)]
        repeated = len(accepted) - len(set(accepted))
        refunds = sum(receipt.refunds is not None for receipt in receipts)
        reports = sum(receipt.kind != "receipt" for receipt in receipts)
        return [
            (
                "sold",
                f"{len(self.orders)} orders, {len(receipts) - reports} receipts, {reports} reports on shifts",
                judge.paid_orders_have_receipts(self.orders, receipts),
            ),
            (
                "delivered",
                f"{len(set(accepted))} accepted by {self.receivers}, {len(delivered)} acknowledged here",
                judge.accepted_exactly_once(history, receipts) + judge.rejected_only_when_refused(history, receipts),
            ),
            ("duplicates", f"{repeated} accepted twice", judge.bytes_never_change(history)),
            (
                "order",
                "each register's documents by their FD numbers, without a gap, one at a time",
                judge.numbers_have_no_gap(receipt for receipt in receipts if receipt.document)
                + judge.in_order(history)
                + judge.one_in_flight(history)
                + judge.epochs_never_fall(history),
            ),
            (
                "HLC",
                f"grows on each register; {refunds} receipts of refunds and exchanges are later than their sales",
                judge.clocks_grow(receipts) + judge.refunds_follow_sales(receipts),
            ),
        ]


def story(demo: Demo):
    demo.tell("Selling, while receipts go to the OFD:")
    frame = demo.sale(0, "ОПР-101")
    demo.sale(0, "ОПР-102", "ЛИН-301", "ЛИН-301", card=True)
    solution = demo.sale(1, "АКС-401")
    demo.sale(1, "ЛИН-303", card=True)
    demo.refund(1, frame)
    demo.exchange(0, solution, "АКС-402")
    demo.sale(1, "СОЛ-201")
    demo.delivered()

    demo.cut()
    demo.tell("The network is cut. Selling goes on, receipts wait:")
    lenses = demo.sale(0, "ЛИН-302", "ЛИН-302", card=True)
    demo.sale(1, "ОПР-103")
    demo.breaker_opens()
    demo.sale(0, "АКС-401", "АКС-403")
    demo.refund(1, lenses)
    demo.tell(f"{demo.waiting()} receipts wait in the database")

    demo.bring_back()
    demo.tell("The network is back. Nobody has to do anything:")
    demo.delivered()
    demo.breaker_story()


def report(findings: list[tuple[str, str, list[str]]]) -> bool:
    """Print what was found; return whether all is well."""
    print("\nReport, computed from the OFD's history and the shop's database")
    for subject, facts, violations in findings:
        print(f"  {'FAIL' if violations else 'PASS'}  {subject:10}  {facts}")
        for violation in violations:
            print(textwrap.indent(violation, " " * 20))
    passed = not any(violations for _subject, _facts, violations in findings)
    print(f"\n{'PASS' if passed else 'FAIL'}")
    return passed


def _port(variable: str) -> int:
    """One of the checkout's ports, which must be free."""
    port = int(os.environ[variable])
    with socket.socket() as probe:
        if not probe.connect_ex(("127.0.0.1", port)):
            sys.exit(f"STOPPED: port {port} is taken: end `make run`, or choose a free one with {variable}=…")
    return port


def main():
    protocol = os.environ.get("PROTOCOL") or "http"
    if protocol not in PROTOCOLS:
        sys.exit(f"STOPPED: there is no PROTOCOL={protocol}, but {', '.join(PROTOCOLS)}")
    demo = Demo(Scenario("demo"), protocol)
    try:
        with demo.opened():
            story(demo)
            findings = demo.verdict()
    except (TimeoutError, ProcessDied, RpcError) as error:
        sys.exit(f"STOPPED: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    passed = report(findings)
    if not demo.is_usual:
        sys.exit(not passed)
    print(
        f"`make run` opens this shop: {demo.odoo.url} (kassir / kassir sells, admin / admin sees all),\n"
        f"and the page of what the OFD got: {demo.ofds[0].url}"
    )
    sys.exit(not passed)


if __name__ == "__main__":
    main()
