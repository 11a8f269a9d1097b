# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""POC-5 over the other protocols: one deliverer per register, whatever the network does, and one order of events for all tills,
where a register elsewhere numbers and signs, or an OFD is spoken to over TCP.

`PROTOCOL=atol_web make poc ONLY=5_protocols` takes one of them.
"""

import os
import time
from collections import Counter

import pytest
from harness import judge
from harness.contest import DeliverNow, delivered_by_crons, set_number
from harness.processes import wait_until
from harness.receivers import Receivers, connect_tills
from harness.stack import Clock
from harness.till import Client
from poc.test_poc_5_splitbrain import (
    PATIENCE,
    RECEIPTS,
    SEED,
    Command,
    blow,
    counts_add_up,
    last_seq,
    refund_elsewhere,
    sell_and_let_go_at_once,
    sell_in_turn,
    start_hosts,
)

PROTOCOLS = [
    name for name in ("ofd_tcp", "atol_web", "atol_online", "orangedata") if name == (os.environ.get("PROTOCOL") or name)
]
pytestmark = [pytest.mark.at_length, pytest.mark.parametrize("protocol", PROTOCOLS)]


@pytest.fixture
def opened(shop, protocol):
    """Hosts, and so many tills at receivers of that protocol."""

    def open_tills(story, tills, **options):
        hosts = start_hosts(story, shop, **options)
        receivers = receivers_of(tills)
        connect_tills(shop, hosts[0], receivers, tills)
        for name in ("backoff_max", "misconfigured_pause"):
            set_number(Client(hosts[0]), name, 1)
        return hosts

    entered = []

    def receivers_of(number):
        entered.append(Receivers(shop, protocol, number).__enter__())
        return entered[-1]

    yield open_tills
    for receivers in entered:
        receivers.__exit__(None, None, None)


def judge_shop(story, shop):
    violations = shop.violations()
    assert not violations, violations
    states = Counter(receipt.state for receipt in shop.receipts())
    assert set(states) == {"delivered"}, states
    story.figure(f"in all {states['delivered']} documents, each taken once, in order, with the numbers that it was given")


def test_scenario_1_distributed_lock(report, shop, opened, protocol):
    with report.scenario(f"POC-5, 1, over {protocol}: distributed lock") as story:
        opened(story, 1, crons=1)
        till = open_in_nobodys_count(shop)
        set_number(till, "request_timeout", PATIENCE)
        set_number(till, "lease_ttl", PATIENCE)
        contest(story, shop, till, "one register")
        shop.redis.kill()
        contest(story, shop, till, "Redis stopped")
        judge_shop(story, shop)


def open_in_nobodys_count(shop):
    """The crons alone deliver the report on the opening of the shift, where there is one, and have told so."""
    documents, told = len(shop.receipts()), delivered_by_crons(shop.database)
    till = shop.till(shop.hosts[0], delivers=False)
    shop.settle()
    issued = len(shop.receipts()) - documents
    wait_until(lambda: delivered_by_crons(shop.database) - told >= issued, PATIENCE, "the crons' counts", 0.3)
    return till


def contest(story, shop, till, name):
    """Ten receipts wait; six deliverers at two hosts and in two processes of their own go at them at once."""
    story.step(f"-- {name}")
    seq, crons = last_seq(shop), delivered_by_crons(shop.database)
    shop.ofd.mode("wait")
    callers = [Command(shop, f"{n}") for n in (1, 2)] + [DeliverNow(host, f"host {n}") for n, host in enumerate(shop.hosts, 1)]
    began = sell_and_let_go_at_once(story, shop, [till], callers)
    wait_until(lambda: len(shop.ofd.under_way()) == 1, PATIENCE, "a document under way")
    wait_until(lambda: sum(caller.is_done() for caller in callers) >= len(callers) - 1, PATIENCE, "answers to who came too late")
    shop.ofd.mode("ok")
    shop.settle()
    told = [caller.answer() for caller in callers]
    sent = [request for request in shop.ofd.history(seq) if request["method"] == "POST"]
    assert Counter(request["outcome"] for request in sent) == {"accepted": RECEIPTS}, sent
    assert not judge.one_in_flight(sent)
    assert sum(answer.was_busy for answer in told) >= len(callers) - 1, f"not told that another one delivers: {told}"
    counts_add_up(story, shop, told, crons)
    story.figure(f"{name}: {RECEIPTS} sent, each once, in {time.time() - began:.1f} s; {len(told) - 1} callers told busy")


def test_scenario_2_network_flapping(report, shop, opened, protocol):
    with report.scenario(f"POC-5, 2, over {protocol}: network flapping") as story:
        hosts = opened(story, 2)
        tills = [shop.till(hosts[number % 2], number) for number in range(2)]
        seconds, sold = blow(story, shop, tills)
        shop.settle()
        outcomes = Counter(request["outcome"] for request in shop.ofd.history())
        story.figure(f"{seconds} s of random weather (SEED={SEED}): {sold} sold, {dict(outcomes)}")
        judge_shop(story, shop)


def test_scenario_3_hlc_order(report, shop, opened, protocol):
    with report.scenario(f"POC-5, 3, over {protocol}: HLC order") as story:
        hosts = opened(story, 3, number=1)
        clocks = [Clock(offset) for offset in (-5, 0, +5)]
        tills = [shop.till(shop.host(clock=clock), number) for number, clock in enumerate(clocks)]
        story.step(f"three tills, each with an Odoo server of its own beside {hosts[0].url}, whose clocks are 5 s apart")
        sold = sell_in_turn(story, shop, tills)
        clocks[2].set(5 - 3600)
        refund_elsewhere(story, shop, tills, sold)
        shop.settle()
        receipts = shop.receipts()
        assert sum(receipt.refunds is not None for receipt in receipts) == 3
        assert not judge.clocks_grow(receipts) and not judge.refunds_follow_sales(receipts)
        judge_shop(story, shop)
