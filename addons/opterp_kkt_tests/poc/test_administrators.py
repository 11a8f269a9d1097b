# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""People may do anything at any time: what an administrator changes or presses stops no sale, stops no queue in silence and
sends no document twice.
"""

import time
from contextlib import suppress

import pytest
from harness import hands, judge
from harness.contest import Breaker
from harness.hands import alarms, fiscal_administrator, receipts_of, set_numbers
from harness.processes import free_port, wait_until
from harness.stack import Emulator

pytestmark = pytest.mark.at_length

SECONDS = 600.0  # after which something hangs; nothing here takes long
CRONS = "SELECT res_id FROM ir_model_data WHERE module = 'opterp_kkt' AND model = 'ir.cron' AND name LIKE 'ir_cron_deliver%%'"
SENDING = "SELECT count(*) FROM kkt_receipt WHERE state = 'sending'"
STATE = "SELECT state FROM kkt_receipt WHERE pos_order_id = %s"
PAUSED = "SELECT paused_until > now() AT TIME ZONE 'UTC' FROM kkt_ofd WHERE id = %s"
UNREACHED = """
    SELECT count(*) FROM kkt_receipt_attempt
     WHERE outcome = 'unavailable' AND extract(epoch FROM happened_at AT TIME ZONE 'UTC') * 1000 > %s
"""
DOUBT = "SELECT in_doubt AND state = 'pending' FROM kkt_receipt WHERE pos_order_id = %s"


def wait_for_state(shop, order: dict, state: str):
    wait_until(lambda: shop.database.value(STATE, order["id"]) == state, SECONDS, f"a receipt that is {state}")


def test_retry_while_another_document_is_under_way(shop, report):
    """What was left `sending` comes before what was put back into the queue."""
    with report.scenario("administrators: Retry on a refused document while the next is under way of a killed host") as scenario:
        host, office = shop.host(), shop.host(crons=0)
        till = shop.till(office)
        shop.ofd.refuse(hands.BAD)
        refused = till.sell([till.line(price=hands.PRICE)])
        wait_for_state(shop, refused, "rejected")
        shop.ofd.mode("hang")
        till.sell()
        wait_until(lambda: shop.database.value(SENDING), SECONDS, "a document under way")
        host.kill()
        shop.ofd.mode("ok")
        shop.ofd.refuse("")

        administrator = fiscal_administrator(office)
        administrator.retry(receipts_of(shop, refused)[0]["id"])
        [register] = administrator.call("kkt.register", "search", [("pos_config_id", "=", till.config_id)])
        told = administrator.deliver_now(register)
        scenario.step(f"Deliver now: {told}")
        host.start()
        till.sell()
        shop.settle(SECONDS)
        assert shop.violations() == []
        assert [request["fd_number"] for request in shop.ofd.accepted()] == [1, 3, 2, 4]
        scenario.figure("FD 3, which was under way, was settled first, then FD 2, which Retry had put back, then FD 4")


def test_deleted_delivery_crons_stop_no_sale(shop, report):
    """The README invites to change their number; at none receipts wait, and a new one delivers them."""
    with report.scenario("administrators: delivery crons deleted, one, all, and one added again") as scenario:
        host = shop.host(crons=4)
        administrator, till = fiscal_administrator(host), shop.till(host)
        crons = [row["res_id"] for row in shop.database.query(CRONS)]
        [model] = administrator.call("ir.cron", "read", crons[:1], ["model_id"])
        set_numbers(administrator, run_seconds=5)
        _delete(administrator, crons[:1])
        till.sell()
        shop.settle(SECONDS)
        scenario.step("one deleted: sold and delivered")

        _delete(administrator, crons[1:])
        waiting = [till.sell() for _number in range(3)]
        assert [receipt["state"] for receipt in receipts_of(shop, *waiting)] == 3 * ["pending"]
        administrator.deliver_now(*administrator.call("kkt.register", "search", []))
        assert [receipt["state"] for receipt in receipts_of(shop, *waiting)] == 3 * ["delivered"]
        scenario.step("all deleted: sales go on; Deliver now delivers")

        till.sell()
        administrator.call(
            "ir.cron",
            "create",
            {
                "name": "KKT: deliver, once more",
                "model_id": model["model_id"][0],
                "state": "code",
                "code": "model._cron_deliver()",
                "interval_number": 1,
                "interval_type": "minutes",
            },
        )
        till.sell()
        shop.settle(SECONDS)
        assert shop.violations() == []
        scenario.figure("sales go on with one delivery cron and with none; Deliver now and a cron that is added deliver")


def _delete(administrator, crons: list[int]):
    """Core refuses as long as one runs: try again in a moment, as it says."""

    def is_deleted():
        with suppress(hands.Refused):
            return administrator.call("ir.cron", "unlink", crons)

    wait_until(is_deleted, SECONDS, "jobs that may be deleted", 0.5)


@pytest.fixture
def other():
    """The server of another OFD."""
    with Emulator() as other:
        yield other


def test_a_changed_address_is_heeded_at_once(shop, report, other):
    """What a run holds of its OFD is good while the settings that it came from are unchanged."""
    with report.scenario("administrators: another address while a run delivers a backlog") as scenario:
        host = shop.host()
        administrator, till, breaker = fiscal_administrator(host), shop.till(host), Breaker(shop, host)
        breaker.force_open()
        for _number in range(25):
            till.sell()
        shop.ofd.mode("slow", seconds=0.5)
        breaker.automatic()
        shop.ofd.wait_accepted(4, SECONDS)  # the opening of the shift and three receipts
        administrator.change("kkt.ofd", _ofd_of(administrator, till), url=other.url)
        changed = time.time() * 1000
        shop.settle(SECONDS)
        late = judge.left_behind(shop.ofd.history(), changed)
        scenario.figure(
            f"{len(shop.ofd.accepted())} at the old address, {len(other.accepted())} at the new one,"
            f" {sum(r['arrived'] > changed for r in shop.ofd.history())} requests at the old one after the change"
        )
        assert late == [] and other.accepted()
        assert shop.violations(other=other.history()) == []


def test_a_corrected_token_is_used_at_once(report, shop, other):
    """An outcome of the old token pauses nothing that has the new one."""
    with report.scenario("administrators: a token corrected while a run waits for the end of the pause") as scenario:
        host = shop.host()
        administrator, till = fiscal_administrator(host), shop.till(host)
        set_numbers(administrator, misconfigured_pause=40)  # a run stays for what is due within a minute
        idle = shop.database.query(CRONS)[0]["res_id"]
        shop.database.execute("UPDATE ir_cron SET active = FALSE WHERE id = %s", idle)  # no other run than that; waits for one
        ofd = _ofd_of(administrator, till)
        with Emulator(token="right") as strict:
            administrator.change("kkt.ofd", ofd, url=strict.url)
            administrator.change("kkt.ofd", ofd, token="wrong")
            till.sell()
            wait_until(lambda: shop.database.value(PAUSED, ofd), SECONDS, "a pause")
            administrator.change("kkt.ofd", ofd, token="right")
            changed = time.time() * 1000
            strict.wait_accepted(1, SECONDS)
            late = [request for request in strict.history() if request["status"] == 401 and request["arrived"] > changed]
            assert late == [] and not shop.database.value(PAUSED, ofd)
            shop.settle(SECONDS)
            scenario.figure(
                f"delivered {strict.accepted()[0]['arrived'] / 1000 - changed / 1000:.1f} s after the correction;"
                " the old token was not tried again"
            )


def test_a_corrected_address_and_reset(report, shop):
    """After *Reset* nothing of the old address opens the breaker again."""
    with report.scenario("administrators: a dead address corrected and the breaker reset") as scenario:
        host = shop.host()
        administrator, till = fiscal_administrator(host), shop.till(host)
        breaker = Breaker(shop, host)
        set_numbers(administrator, backoff_max=1)
        ofd = _ofd_of(administrator, till)
        administrator.change("kkt.ofd", ofd, url=f"http://127.0.0.1:{free_port()}")
        for _number in range(8):
            till.sell()
        breaker.wait_for("open")
        administrator.change("kkt.ofd", ofd, url=shop.ofd.url)
        administrator.reset(breaker.row()["id"])
        changed, opened = breaker.row()["now"], len(breaker.events())
        shop.settle(SECONDS)
        drained = breaker.row()["now"]
        again = [event for event in breaker.events()[opened:] if event["to_state"] == "open"]
        late = shop.database.value(UNREACHED, changed)
        scenario.figure(
            f"8 receipts delivered {(drained - changed) / 1000:.1f} s after Reset; after it {late} tries at the old address"
        )
        assert not again, "an outcome of the old address opened the breaker again"
        assert late <= 1 and shop.violations() == []


def test_another_ofd_while_a_document_is_in_doubt(report, shop, other):
    """It is settled where it was sent before it, or anything after it, goes anywhere else."""
    with report.scenario("administrators: another OFD for a register while one of its documents is in doubt") as scenario:
        host = shop.host()
        administrator, till = fiscal_administrator(host), shop.till(host)
        set_numbers(administrator, backoff_max=1)
        Breaker(shop, host).write(recovery_timeout=2)
        shop.ofd.mode("drop", count=1)
        first = till.sell()
        wait_until(lambda: len(shop.ofd.history()) > 1, SECONDS, "a document that the OFD has got")
        shop.ofd.mode("reset")
        wait_until(lambda: shop.database.value(DOUBT, first["id"]), SECONDS, "a document in doubt")
        new = administrator.call("kkt.ofd", "create", {"name": "Another OFD", "protocol": "http", "url": other.url})
        [register] = administrator.call("kkt.register", "search", [("pos_config_id", "=", till.config_id)])
        administrator.change("kkt.register", register, ofd_id=new)
        till.sell()
        wait_until(lambda: len(shop.ofd.history()) > 4 or other.history(), SECONDS, "another request")
        shop.ofd.mode("ok")
        shop.settle(SECONDS)
        history = judge.merged({"the old OFD": shop.ofd.history(), "the new one": other.history()})
        assert judge.accepted_by_one_ofd(history) == []
        assert [request["ofd"] for request in history if judge.is_acceptance(request)] == [
            "the old OFD",  # the opening of the shift
            "the old OFD",
            "the new one",
        ]
        assert shop.violations(other=other.history()) == []
        scenario.figure("the document in doubt was settled at the old OFD, the next one went to the new OFD")


def _ofd_of(administrator, till) -> int:
    return administrator.first("kkt.register", [("pos_config_id", "=", till.config_id)], ["ofd_id"])["ofd_id"][0]


# --- a document that only ever fails, where nothing else passes -----------------------------------------------


@pytest.mark.parametrize("tills", [1, 2])
def test_a_bad_document_where_nothing_else_passes(shop, report, tills):
    """It goes on being tried, the alarm says what is known, and a fiscal administrator may hold or leave it out."""
    with report.scenario(f"administrators: {tills} register(s), each with a head that always gets 500") as scenario:
        host = shop.host(crons=4)
        administrator = fiscal_administrator(host)
        administrator.change("res.users", administrator.uid, email="admin@shop.example")
        set_numbers(administrator, poison_tries=3, backoff_max=1)
        Breaker(shop, host).write(recovery_timeout=1)
        shop.ofd.fail_matching(hands.BAD)
        bad = []
        for till in [shop.till(host, number) for number in reversed(range(tills))]:  # all are open before one sells
            bad.append(till.sell([till.line(price=hands.PRICE)]))
            till.sell()
        told = wait_until(lambda: len(alarms(shop, "stuck")) == tills and alarms(shop, "stuck"), SECONDS, "alarms")
        tried = len(shop.ofd.history())
        receipts = receipts_of(shop, *bad)
        assert {alarm["res_id"] for alarm in told} == {receipt["register_id"] for receipt in receipts}
        assert all(alarm["activities"] for alarm in told) and shop.database.value("SELECT count(*) FROM mail_mail")
        assert len(shop.ofd.accepted()) == tills, "but for the openings of shifts all waits for its turn"
        scenario.step(f"told by an alarm and an e-mail after {tried} requests")

        administrator.hold(receipts[0]["register_id"])
        assert administrator.call("kkt.register", "read", [receipts[0]["register_id"]], ["hold_reason"])[0]["hold_reason"]
        for receipt in receipts:
            wait_until(lambda receipt=receipt: _handled(administrator, receipt["id"]), SECONDS, "Handled")
        shop.settle(SECONDS)
        wait_until(lambda: not alarms(shop, "stuck", "held"), SECONDS, "the end of the alarms")
        accepted = shop.ofd.accepted()
        assert len(accepted) == 2 * tills and not {receipt["idempotency_key"] for receipt in receipts} & {
            r["key"] for r in accepted
        }
        scenario.figure(f"told after {tried} requests; held by hand and marked as handled, the rest was delivered")


def _handled(administrator, receipt: int) -> bool:
    """Mark it as handled, if it is proven absent at this very moment: it may be under way."""
    try:
        administrator.handle(receipt)
    except hands.Refused:
        return False
    return True
