# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One process delivers for many registers side by side: none waits for another's answer, and its death lets go of all."""

import pytest
from harness import judge
from harness.contest import Breaker, set_number, switch_crons
from harness.processes import wait_until

PATIENCE = 60.0  # s; only ends what hangs
WATCH = "(SELECT res_id FROM ir_model_data WHERE module = 'opterp_kkt' AND name = 'ir_cron_watch')"
CALL_WATCH = f"UPDATE ir_cron SET nextcall = now() AT TIME ZONE 'UTC' - interval '1 second' WHERE id = {WATCH}"
LAST_WATCH = f"SELECT lastcall FROM ir_cron WHERE id = {WATCH}"


def open_tills(shop, count: int, lanes: int, **options) -> list:
    """Tills of a shop whose one host delivers in one process."""
    host = shop.host(crons=1, **options)
    tills = [shop.till(host, number) for number in range(count)]
    set_number(tills[0], "lanes", lanes)
    set_number(tills[0], "request_timeout", 600)
    shop.ofd.reset()
    return tills


def wait_for(shop, under_way: int):
    wait_until(lambda: len(shop.ofd.under_way()) == under_way, PATIENCE, f"{under_way} documents under way")


def test_a_hanging_answer_delays_no_other(report, shop):
    with report.scenario("One register's answer hangs: the others are served") as story:
        tills = open_tills(shop, 4, lanes=4)
        shop.ofd.mode("wait", count=1)
        tills[0].sell()
        wait_for(shop, 1)
        for till in tills[1:] * 2:
            till.sell()
        wait_until(lambda: len(shop.ofd.accepted()) == 6, PATIENCE, "the documents of the other registers")
        assert len(shop.ofd.under_way()) == 1
        shop.ofd.mode("ok")
        shop.settle()
        assert judge.one_in_flight(shop.ofd.history()) == []
        story.figure("6 documents of 3 registers were accepted while the fourth register's answer hung")


def test_more_registers_than_lanes(report, shop):
    with report.scenario("More registers than lanes: the oldest head first, all are served") as story:
        tills = open_tills(shop, 5, lanes=1)
        switch_crons(shop.database, False)
        order = [3, 1, 4, 0, 2]
        keys = [tills[number].sell() for number in order] and [receipt.key for receipt in shop.receipts()[-len(order) :]]
        shop.ofd.mode("slow", seconds=0.2)
        switch_crons(shop.database, True)
        shop.database.wake_crons()
        shop.settle(PATIENCE)
        assert [request["key"] for request in shop.ofd.accepted()] == keys
        set_number(tills[0], "lanes", 2)
        for till in tills * 4:
            till.sell()
        shop.settle(PATIENCE)
        assert judge.in_order(shop.ofd.history()) == judge.one_in_flight(shop.ofd.history()) == []
        story.figure("5 registers in one lane: by age; 20 more documents in two lanes: in order, one in flight")


def test_one_probe_of_many_lanes(report, shop):
    with report.scenario("A half-open breaker and many lanes: one probe at a time") as story:
        tills = open_tills(shop, 6, lanes=6)
        breaker = Breaker(shop, shop.hosts[0])
        shop.ofd.mode("fail", status=500)
        for till in tills * 2:
            till.sell()
        breaker.wait_for("open")
        shop.ofd.mode("slow", seconds=0.5)
        breaker.let_recovery_pass()
        breaker.wait_for("closed")
        shop.settle()
        assert judge.one_probe_at_a_time(shop.ofd.history(), breaker.events()) == []
        said = [line for line in shop.hosts[0].log.read_text().splitlines() if "opterp_kkt.delivery" in line]
        assert said and all(f" {shop.database.name} " in line for line in said), "the log does not name the database"
        story.figure(f"{len(breaker.events())} transitions, one probe at a time")


@pytest.mark.parametrize("end", ["kill", "pause"])
def test_end_of_a_process_with_many_lanes(report, shop, end):
    with report.scenario(f"{end} of a process with eight documents under way") as story:
        tills = open_tills(shop, 8, lanes=8)
        set_number(tills[0], "lease_ttl", 2)
        shop.ofd.mode("wait")
        for till in tills * 2:
            till.sell()
        wait_for(shop, 8)
        victim = shop.hosts[0]
        shop.host(crons=1)
        getattr(victim, end)()
        shop.ofd.mode("ok")
        shop.settle(PATIENCE)
        if end == "pause":
            victim.resume()
        assert judge.accepted_exactly_once(shop.ofd.history(), shop.receipts()[-16:]) == []
        assert judge.in_order(shop.ofd.history()) == judge.epochs_never_fall(shop.ofd.history()) == []
        story.figure("8 registers were taken over; 16 documents, each accepted once, in order")


def test_other_jobs_run_while_lanes_are_busy(report, shop):
    with report.scenario("Busy lanes occupy one cron thread") as story:
        host = shop.host(crons=3)
        tills = [shop.till(host, number) for number in range(4)]
        set_number(tills[0], "request_timeout", 600)
        shop.ofd.mode("wait")
        for till in tills:
            till.sell()
        wait_for(shop, 4)
        last = shop.database.value(LAST_WATCH)
        shop.database.execute(CALL_WATCH)
        shop.database.wake_crons()
        wait_until(lambda: shop.database.value(LAST_WATCH) != last, PATIENCE, "a run of the watch")
        assert len(shop.ofd.under_way()) == 4
        shop.ofd.mode("ok")
        shop.settle()
        story.figure("the watch ran while four documents were under way in the lanes of two deliverers")
