# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""POC-1: 200 sales one after another. Each is paid and has its receipt from the same transaction; the OFD gets all, once."""

import statistics
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.stack import Clock

SALES = 200
AT_ONCE, ROUNDS = 16, 2
TRIED_AGAIN = b"try again in"  # Odoo's word for a transaction that PostgreSQL refused (odoo/service/model.py)
# The judge stands outside Odoo: PostgreSQL itself notes in which transaction a row is born. (A row's xmin would name the
# savepoint instead, and the receipt's would change with its delivery.)
NOTE_BIRTHS = """
    CREATE TABLE poc_birth (relation text, row_id int, transaction xid8 DEFAULT pg_current_xact_id());
    CREATE FUNCTION poc_note_birth() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO poc_birth VALUES (TG_TABLE_NAME, NEW.id); RETURN NULL; END';
    CREATE TRIGGER poc_birth AFTER INSERT ON pos_order FOR EACH ROW EXECUTE FUNCTION poc_note_birth();
    CREATE TRIGGER poc_birth AFTER INSERT ON kkt_receipt FOR EACH ROW EXECUTE FUNCTION poc_note_birth();
"""
BORN_TOGETHER = """
    SELECT o.state, count(*) AS orders, count(DISTINCT sale.transaction) AS transactions,
           count(r.id) FILTER (WHERE receipt.transaction = sale.transaction) AS with_receipt
      FROM poc_birth sale
      JOIN pos_order o ON o.id = sale.row_id
 LEFT JOIN kkt_receipt r ON r.pos_order_id = o.id
 LEFT JOIN poc_birth receipt ON receipt.relation = 'kkt_receipt' AND receipt.row_id = r.id
     WHERE sale.relation = 'pos_order'
  GROUP BY o.state
"""


def test_every_sale_has_its_receipt_and_the_ofd_gets_it(shop, report):
    with report.scenario("POC-1: 200 sales one after another") as scenario:
        shop.database.execute(NOTE_BIRTHS)
        host = shop.host()
        till = shop.till(host)
        scenario.step(f"Odoo up in {host.start_seconds:.1f} s, the till is open")
        for _number in range(SALES):
            till.sell()
        cuts = statistics.quantiles(till.seconds, n=100)
        p50, p95, p99 = (round(1000 * cuts[percent - 1]) for percent in (50, 95, 99))
        scenario.figure(f"{SALES} sales while receipts were delivered: sync_from_ui p50 {p50} ms, p95 {p95} ms, p99 {p99} ms")

        born = shop.database.query(BORN_TOGETHER)
        assert born == [{"state": "paid", "orders": SALES, "transactions": SALES, "with_receipt": SALES}]
        scenario.figure(f"{SALES} paid orders, each in a transaction of its own that also made its receipt")

        shop.settle()
        assert len(shop.ofd.accepted()) == SALES + 1, "the receipts and the opening of their shift"
        assert shop.violations() == []
        assert host.errors() == []
        scenario.figure(f"{SALES} receipts accepted by the OFD, once each, in order")


@pytest.mark.at_length
def test_sales_at_once_wait_for_each_other(shop, report):
    with report.scenario(f"POC-1: {AT_ONCE} sales of one register at once, {ROUNDS} times") as scenario:
        hosts = [shop.host(), shop.host()]
        tills = [shop.till(hosts[number % 2]) for number in range(AT_ONCE)]
        with ThreadPoolExecutor(AT_ONCE) as sellers:
            for _round in range(ROUNDS):
                list(sellers.map(lambda till: till.sell(), tills))
        assert [host.log.read_bytes().count(TRIED_AGAIN) for host in hosts] == [0, 0]
        shop.settle()
        assert len(shop.ofd.accepted()) == AT_ONCE * ROUNDS + 1
        assert shop.violations() == []
        slowest = max(max(till.seconds) for till in tills)
        scenario.figure(f"{AT_ONCE * ROUNDS} sales over two hosts, none tried again, the slowest took {slowest:.1f} s")


@pytest.mark.at_length
def test_a_refund_is_later_than_its_sale_although_its_clock_is_behind(shop, report):
    with report.scenario("POC-1: a refund at a host whose clock is a minute behind") as scenario:
        till, late_till = shop.till(shop.host()), shop.till(shop.host(clock=Clock(-60)), 1)
        late_till.refund(till.sell())
        shop.settle()
        receipts = [receipt for receipt in shop.receipts() if receipt.kind == "receipt"]
        sold, returned = sorted(receipts, key=lambda receipt: receipt.operation_type)
        assert returned.refunds == sold.key
        assert returned.hlc[0] == sold.hlc[0] and returned.hlc[1] > sold.hlc[1], "merged: no other clock says so"
        assert shop.violations() == []
        scenario.figure(f"sold at {sold.hlc}, taken back at {returned.hlc}: (ms, counter)")
