# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A deliverer dies, or is stopped for longer than its lease, while a document is under way.

`SLOW=1` measures ten take-overs instead of three.
"""

import os
import signal
import statistics
import time
from contextlib import contextmanager

from harness.contest import DeliverNow, set_number
from harness.processes import wait_until

ROUNDS = 10 if os.environ.get("SLOW") else 3
PATIENCE = 600.0  # s; only ends what hangs
NEVER = 86_400  # s
GAVE_UP = "The guard was lost"  # a deliverer's word in its log, after what it tried to record
LAST_HELD = "SELECT * FROM kkt_delivery ORDER BY held_at DESC NULLS LAST LIMIT 1"
NO_SCHEDULE = """
    UPDATE ir_cron SET interval_type = 'days', nextcall = (now() AT TIME ZONE 'UTC') + interval '1 day'
     WHERE id IN (SELECT res_id FROM ir_model_data WHERE module = 'opterp_kkt' AND name LIKE 'ir_cron_deliver%')
"""
AT_CRONS = """
    SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
     WHERE relation = 'ir_cron'::regclass AND mode = 'RowShareLock' AND application_name = %s
"""
GUARD = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 4934484 AND objid = %s AND granted"


def test_take_over_after_kill(report, shop):
    with report.scenario("Take-over after kill -9 of the deliverer while it sends") as story:
        for _host in range(2):
            shop.host(crons=1)  # as many as there are delivery crons, so that each host runs one
        till = shop.till(shop.hosts[0])
        set_number(till, "request_timeout", PATIENCE)
        set_number(till, "lease_ttl", NEVER)
        shop.database.execute(NO_SCHEDULE)
        seconds = [take_over(story, shop, till, number) for number in range(1, ROUNDS + 1)]
        shop.settle()
        assert shop.violations() == []
        story.figure(
            f"{ROUNDS} take-overs: median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s; neither the"
            f" lease nor a cron was due within a day; {len(shop.receipts())} receipts, each accepted once, in order"
        )


def take_over(story, shop, till, number: int) -> float:
    """Kill the host that sends; return the seconds until another one asks for the document or sends it."""
    sold = sell_until_under_way(shop, till)
    victim = deliverer(shop)
    victim.kill()
    killed = time.time() * 1000
    shop.ofd.mode("ok")
    request = wait_until(lambda: next(iter(shop.ofd.history(sold["seq"])), None), PATIENCE, "another deliverer", 0.02)
    seconds = (request["arrived"] - killed) / 1000
    assert request["key"] == sold["key"], f"{request} came before the document that was under way"
    story.step(f"{number}: killed {victim.pid} in epoch {sold['epoch']}; {request['method']} by another after {seconds:.2f} s")
    shop.settle()
    victim.start()
    return seconds


def sell_until_under_way(shop, till) -> dict:
    """Sell two receipts to an OFD that doesn't answer yet; return the first request, which is under way."""
    seq = max((request["seq"] for request in shop.ofd.history()), default=0)
    shop.ofd.mode("wait")
    till.sell()
    till.sell()
    return wait_until(
        lambda: next((r for r in shop.ofd.history(seq) if r["outcome"] == "in_flight"), None),
        PATIENCE,
        "a document under way",
        0.02,
    )


def deliverer(shop):
    """The host that holds a register, by the process id that it left in the database."""
    [held] = shop.database.query(LAST_HELD)
    return next(host for host in shop.hosts if host.running and held["holder"].split(":")[1] == str(host.pid))


def test_stopped_for_longer_than_the_lease(report, shop):
    with report.scenario("SIGSTOP of the deliverer for longer than its lease") as story:
        for _host in range(2):
            shop.host()
        till = shop.till(shop.hosts[0])
        set_number(till, "lease_ttl", NEVER)  # for so long who has let it end is left in peace
        set_number(till, "request_timeout", PATIENCE)
        guard_outlives_lease(story, shop, till)
        stopped_holder_is_taken_over(story, shop, till)
        shop.settle()
        assert shop.violations() == []
        story.figure(f"{len(shop.receipts())} receipts, each accepted once, in order, one in flight; nothing by a stale epoch")


def guard_outlives_lease(story, shop, till):
    """The stopped process still has its session in PostgreSQL: nobody else may deliver, and it goes on itself."""
    with stopped_while_sending(story, shop, till) as (sold, _victim, other):
        shop.redis.client.delete(*shop.redis.client.keys("kkt:*"))
        told = DeliverNow(other, "the other host").start().answer()
        assert told.busy and not told.delivered, f"a stopped deliverer was taken over: {told}"
        assert {request["key"] for request in shop.ofd.history(sold["seq"])} <= {sold["key"]}
        story.step("the lease is over, the guard is not: the other host is told busy and sends nothing")
    shop.settle()
    story.step("continued: everything delivered")


def stopped_holder_is_taken_over(story, shop, till):
    """Stopped between the OFD's answer and the record, the process also loses its session, as after ten seconds of
    a dead network: another takes over, and what the stopped one comes back with is not recorded.
    """
    with stopped_while_sending(story, shop, till) as (sold, victim, _other):
        wait_until(lambda: shop.ofd.history(sold["seq"] - 1)[0]["outcome"] == "accepted", PATIENCE, "the OFD's answer")
        register = shop.database.query(LAST_HELD)[0]["register_id"]
        shop.database.query(f"SELECT pg_terminate_backend(pid, 10000) FROM ({GUARD}) holder", register)
        shop.settle()
        before = recorded(shop, sold)
        assert before["delivery_epoch"] > sold["epoch"]
        story.step(f"epoch {sold['epoch']} lost its guard; epoch {before['delivery_epoch']} asked for the document and went on")
        said = log_of(victim).count(GAVE_UP)
    wait_until(lambda: log_of(victim).count(GAVE_UP) > said or recorded(shop, sold) != before, PATIENCE, "its coming back")
    assert recorded(shop, sold) == before, "the stopped deliverer recorded something"
    story.step(f"epoch {sold['epoch']} continued and changed nothing")


def log_of(host) -> str:
    return host.log.read_text(errors="replace")


def recorded(shop, sold: dict) -> dict:
    """Everything that the database says about the document, its attempts included."""
    [row] = shop.database.query(
        "SELECT r.*, r.xmin::text AS changed_by, (SELECT json_agg(a ORDER BY id) FROM kkt_receipt_attempt a"
        " WHERE a.receipt_id = r.id) AS tries FROM kkt_receipt r WHERE idempotency_key = %s",
        sold["key"],
    )
    return row


def pause(shop, victim):
    """Not in the moment in which it has the second delivery cron, too, to leave it to the others: they could run none then."""
    victim.pause()
    while shop.database.value(AT_CRONS, f"odoo-{victim.pid}") > 1:
        os.killpg(victim.pid, signal.SIGCONT)
        time.sleep(0.1)
        victim.pause()


@contextmanager
def stopped_while_sending(story, shop, till):
    """Stop the host that sends, for the block; give back its first request, the host and the other one."""
    sold = sell_until_under_way(shop, till)
    victim = deliverer(shop)
    pause(shop, victim)
    try:
        story.step(f"{victim.pid} is stopped while FD {sold['fd_number']} is under way, epoch {sold['epoch']}")
        shop.ofd.mode("ok")
        yield sold, victim, next(host for host in shop.hosts if host is not victim)
    finally:
        os.killpg(victim.pid, signal.SIGCONT)
