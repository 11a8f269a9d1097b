# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A register in the cloud, through ATOL Online (emulated): real Odoo, real crons, real HTTP. It fiscalises each receipt once and
in order, when answers get lost after acceptance, when the queue is long, when the service goes down in the middle and when the
token expires.
"""

import pytest
from harness.processes import wait_until
from harness.receivers import PASSWORD, get_receiver, open_elsewhere
from harness.till import Client

DRIVE = get_receiver("atol_online", 1).drive
SETTLED = """
    SELECT r.fd_number, r.fiscal_sign, r.qr, r.document_type, r.total, r.state, r.pos_order_id, r.attempts
      FROM kkt_receipt r JOIN kkt_register g ON g.id = r.register_id AND g.fiscal_drive_number = %s
     ORDER BY r.queue_number
"""
WAITING = "SELECT count(*) FROM kkt_receipt WHERE state IN ('pending', 'sending') AND numbers_follow"


@pytest.fixture
def cloud(shop):
    """A shop whose first till has a register in the cloud, and a host that delivers."""
    yield open_elsewhere(shop, "atol_online")


def assert_once_and_in_order(shop, orders):
    """The drive has each receipt once, in the order of the queue, and the shop has the drive's numbers."""
    accepted = [record for record in shop.ofd.history() if record["accepted"]]
    on_drive = [(record["document_type"], record["total_sum"], record["fd_number"]) for record in accepted]
    here = shop.database.query(SETTLED, DRIVE)
    assert {row["state"] for row in here} == {"delivered"}
    assert [("sell", row["total"], row["fd_number"]) for row in here] == on_drive, "no reports on shifts"
    assert [row["pos_order_id"] for row in here] == [order["id"] for order in orders]
    assert all(f"fn={DRIVE}&i={row['fd_number']}&fp={row['fiscal_sign']}" in row["qr"] for row in here)


def test_each_receipt_once_and_in_order(cloud, report):
    shop, till = cloud
    with report.scenario("A register in the cloud: once and in order"):
        orders = [till.sell() for _number in range(2)]
        shop.settle()
        shop.ofd.mode("drop", count=2)  # taken, and the answer is lost
        orders += [till.sell() for _number in range(3)]
        shop.settle()
        shop.ofd.cloud(expire=True)
        orders += [till.sell() for _number in range(2)]
        shop.settle()
        shop.ofd.cloud(queue_for=4)
        orders += [till.sell() for _number in range(2)]
        shop.settle()
        assert_once_and_in_order(shop, orders)


@pytest.mark.at_length
def test_it_goes_down_in_the_middle(cloud, report):
    shop, till = cloud
    with report.scenario("A register in the cloud: down in the middle"):
        shop.ofd.cloud(queue_for=3600)
        orders = [till.sell() for _number in range(3)]
        wait_until(lambda: any(record["accepted"] for record in shop.ofd.history()), 300, "a document in its queue")
        shop.ofd.kill()  # with the tokens that it gave
        orders += [till.sell() for _number in range(2)]
        assert shop.database.value(WAITING) == 5
        shop.ofd.start()
        shop.ofd.cloud(queue_for=0)
        shop.settle()
        assert_once_and_in_order(shop, orders)


@pytest.mark.at_length
def test_what_waited_too_long_is_sent_under_another_id(cloud, report):
    shop, till = cloud
    with report.scenario("A register in the cloud: the queue is too long"):
        shop.ofd.cloud(fails={"type": "timeout", "code": 1, "text": "Превышено время ожидания чека в очереди."})
        orders = [till.sell() for _number in range(2)]
        tries = "SELECT max(attempts) FROM kkt_receipt WHERE numbers_follow"
        wait_until(lambda: (shop.database.value(tries) or 0) >= 4, 300, "several tries")
        shop.ofd.mode("drop", count=1)  # the answer to one of them is lost
        shop.ofd.cloud(fails=None)
        shop.settle()
        assert_once_and_in_order(shop, orders)
        taken = [record["key"] for record in shop.ofd.history() if record["outcome"] in ("queued", "accepted")]
        assert len(taken) == len(set(taken)) >= 5, "each external_id once"


@pytest.mark.at_length
def test_a_document_that_is_not_ours_holds(cloud, report):
    shop, till = cloud
    with report.scenario("A register in the cloud: mismatch"):
        shop.ofd.cloud(stated={"total": 1.0})
        till.sell()
        till.sell()
        held = "SELECT hold_reason FROM kkt_delivery WHERE hold_cause IN ('mismatch', 'conflict')"
        wait_until(lambda: shop.database.value(held), 300, "the hold")
        assert "100 ≠" in shop.database.value(held)
        assert len([record for record in shop.ofd.history() if record["accepted"]]) == 1


def have_it_call(till):
    """The service is given an address of the till's host. Return the OFD."""
    admin = Client(till.odoo)
    admin.call("ir.config_parameter", "set_param", "web.base.url", till.odoo.url)
    [ofd] = admin.call("kkt.ofd", "search", [("protocol", "=", "atol_online")])
    admin.call("kkt.ofd", "write", [ofd], {"calls_back": True})
    return ofd


def count_calls(shop):
    return sum(host.log.read_text(errors="replace").count('"POST /kkt/callback/*** HTTP/1.1" 204') for host in shop.hosts)


@pytest.mark.at_length
def test_it_calls_when_it_has_done_and_calls_may_get_lost(cloud, report):
    shop, till = cloud
    with report.scenario("A register in the cloud: it calls back") as scenario:
        have_it_call(till)
        shop.ofd.cloud(queue_for=5)
        orders = [till.sell() for _number in range(3)]
        shop.settle()
        wait_until(lambda: count_calls(shop) == 3, 60, "a call for each")
        shop.ofd.cloud(calls=False)
        orders.append(till.sell())
        shop.settle()
        assert count_calls(shop) == 3
        asked = sum(record["outcome"] == "lookup_hit" for record in shop.ofd.history())
        scenario.figure(f"{len(orders)} receipts, {count_calls(shop)} calls, asked {asked} times")
        assert_once_and_in_order(shop, orders)


@pytest.mark.at_length
def test_no_secret_is_on_a_page_or_in_the_log(cloud, report):
    shop, till = cloud
    with report.scenario("A register in the cloud: secrets"):
        ofd = have_it_call(till)
        orders = [till.sell()]
        shop.settle()
        wait_until(lambda: count_calls(shop) == 1, 60, "its call")
        admin = Client(till.odoo)
        told = repr(admin.call("kkt.ofd", "read", [ofd])) + repr(admin.call("kkt.ofd", "action_test_connection", [ofd]))
        logs = "".join(host.log.read_text(errors="replace") for host in shop.hosts)
        address = shop.database.value("SELECT credentials->>'callback_url' FROM kkt_ofd WHERE id = %s", ofd)
        for secret in (PASSWORD, address.rpartition("/")[2]):
            assert secret not in told + logs
        assert_once_and_in_order(shop, orders)
