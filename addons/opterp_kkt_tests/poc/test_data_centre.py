# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A register in a data centre, through OrangeData (emulated): real Odoo, real crons, real HTTP, signed requests. It fiscalises
each receipt once and in order, when answers get lost after acceptance, when the queue is long and when documents expire in it.
"""

import pytest
from harness.processes import wait_until
from harness.receivers import get_receiver, open_elsewhere
from harness.till import Client

RECEIVER = get_receiver("orangedata", 1)
SETTLED = """
    SELECT r.fd_number, r.fiscal_sign, r.qr, r.total, r.state, r.pos_order_id
      FROM kkt_receipt r JOIN kkt_register g ON g.id = r.register_id AND g.fiscal_drive_number = %s
     ORDER BY r.queue_number
"""
TRIES = "SELECT max(attempts) FROM kkt_receipt WHERE numbers_follow"


@pytest.mark.at_length
def test_each_receipt_once_and_in_order(shop, report):
    with report.scenario("A register in a data centre: once and in order") as scenario:
        shop, till = open_elsewhere(shop, "orangedata")
        orders = [till.sell() for _number in range(2)]
        shop.settle()
        shop.ofd.mode("drop", count=2)  # taken, and the answer is lost
        orders += [till.sell() for _number in range(3)]
        shop.settle()
        shop.ofd.cloud(fails={"type": "timeout", "code": 1, "text": "Превышено время ожидания"})
        orders += [till.sell() for _number in range(2)]
        wait_until(lambda: (shop.database.value(TRIES) or 0) >= 3, 300, "several tries")
        shop.ofd.cloud(fails=None, queue_for=4)
        shop.settle()
        accepted = [record for record in shop.ofd.history() if record["accepted"]]
        here = shop.database.query(SETTLED, RECEIVER.drive)
        assert {row["state"] for row in here} == {"delivered"}
        assert [(row["total"], row["fd_number"]) for row in here] == [(r["total_sum"], r["fd_number"]) for r in accepted]
        assert [row["pos_order_id"] for row in here] == [order["id"] for order in orders]
        assert all(f"fn={RECEIVER.drive}&i={row['fd_number']}&fp={row['fiscal_sign']}" in row["qr"] for row in here)
        taken = [record["key"] for record in shop.ofd.history() if record["outcome"] in ("queued", "accepted")]
        assert len(taken) == len(set(taken)) > len(orders), "each id once, and some expired"
        scenario.figure(f"{len(orders)} receipts under {len(taken)} ids, each fiscalised once")
        no_secret_is_told(shop, till)


def no_secret_is_told(shop, till):
    admin = Client(till.odoo)
    [ofd] = admin.call("kkt.ofd", "search", [("protocol", "=", "orangedata")])
    told = repr(admin.call("kkt.ofd", "read", [ofd])) + repr(admin.call("kkt.ofd", "action_test_connection", [ofd]))
    logs = "".join(host.log.read_text(errors="replace") for host in shop.hosts)
    lines = RECEIVER.credentials["signing_key"].splitlines()[1:-1]
    assert not [line for line in lines if line in told + logs]
