# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""POC-5, split brain: one deliverer per register, one breaker for all processes, one order of events for all tills.

Every verdict comes from what the OFD's history and the shop's database say afterwards. `SLOW=1` takes a whole minute of
bad weather, with the default recovery time (60 s); `SEED=n` repeats a certain weather.
"""

import os
import random
import time
from collections import Counter
from itertools import combinations, count

from harness import judge
from harness.contest import (
    Barrier,
    Breaker,
    Command,
    DeliverNow,
    Told,
    barrier,
    delivered_by_crons,
    set_number,
    switch_crons,
)
from harness.processes import wait_until
from harness.report import Scenario
from harness.shop import Shop
from harness.stack import Clock, Odoo
from harness.till import Client, Till

SLOW = bool(os.environ.get("SLOW"))
SEED = int(os.environ.get("SEED", random.randrange(1_000_000)))
RECEIPTS = 10
PATIENCE = 600.0  # s; only ends what hangs
HOUR = 3600  # s


# --- scenario 1 ------------------------------------------------------------------------------------------------


def test_scenario_1_distributed_lock(report, shop):
    with report.scenario("POC-5, 1: distributed lock") as story:
        hosts = start_hosts(story, shop, crons=1)  # as many crons as hosts, so each host runs one of them
        switch_crons(shop.database, False)  # the openings of shifts are in nobody's count
        tills = [shop.till(host, number) for number, host in enumerate(hosts)]
        switch_crons(shop.database, True)
        set_number(tills[0], "request_timeout", PATIENCE)
        set_number(tills[0], "lease_ttl", PATIENCE)  # less than two requests may take: it is renewed with every document
        with_one_register(story, shop, tills[:1])
        with_two_registers(story, shop, tills)
        with_redis_stopped(story, shop, tills[:1])
        with_redis_flushed(story, shop, tills[:1])
        with_redis_hung(story, shop, tills[:1])
        judge_shop(story, shop)


def start_hosts(story: Scenario, shop: Shop, number: int = 2, **options) -> list[Odoo]:
    hosts = [shop.host(**options) for _host in range(number)]
    story.step(f"{number} Odoo servers on one database, process ids {', '.join(str(host.pid) for host in hosts)}")
    return hosts


def with_one_register(story, shop, tills):
    requests = contest(story, shop, tills, "one register", lambda: lease_tells_who_delivers(story, shop))
    assert not missing_redis(shop)
    assert not overlaps(requests)


def with_two_registers(story, shop, tills):
    requests = contest(story, shop, tills, "two registers")
    assert overlaps(requests), "two registers waited for each other"
    story.step(f"{overlaps(requests)} times a document of one register was under way together with one of the other")


def with_redis_stopped(story, shop, tills):
    shop.redis.kill()
    contest(story, shop, tills, "Redis stopped")
    assert missing_redis(shop), "nobody was told that Redis is missing"
    story.step("the register says that Redis is missing")


def with_redis_flushed(story, shop, tills):
    shop.redis.start()
    contest(story, shop, tills, "Redis flushed in the middle", lambda: flush(story, shop))
    assert not missing_redis(shop), "Redis is back, and the register doesn't know"


def with_redis_hung(story, shop, tills):
    shop.redis.pause()
    try:
        contest(story, shop, tills, "Redis hung")
    finally:
        shop.redis.resume()
    assert missing_redis(shop), "nobody was told that Redis is missing"
    story.step("the register says that Redis is missing")


def contest(story, shop, tills, name, meanwhile=lambda: None) -> judge.History:
    """Ten receipts wait; eight deliverers at two hosts and in three processes of their own go at them at once."""
    story.step(f"-- {name}")
    seq, crons = last_seq(shop), delivered_by_crons(shop.database)
    shop.ofd.mode("wait")
    callers = [Command(shop, f"{n}") for n in (1, 2, 3)]
    callers += [DeliverNow(shop.hosts[n % 2], f"host {n % 2 + 1}") for n in (0, 1, 2)]
    began = sell_and_let_go_at_once(story, shop, tills, callers)
    wait_until(lambda: len(shop.ofd.under_way()) == len(tills), PATIENCE, "a document of each register under way")
    others = len(callers) - len(tills)
    wait_until(lambda: sum(caller.is_done() for caller in callers) >= others, PATIENCE, f"answers to {others} who came too late")
    meanwhile()
    shop.ofd.mode("ok")
    shop.settle()
    told = [caller.answer() for caller in callers]
    requests = shop.ofd.history(seq)
    judge_contest(story, name, requests, told, began, others)
    counts_add_up(story, shop, told, crons)
    return requests


def sell_and_let_go_at_once(story, shop, tills, callers, crons: int = 2) -> float:
    """Hold the callers and the crons at a barrier; return when they were let go (s since 1970)."""
    breaker = Breaker(shop, shop.hosts[0])
    breaker.force_open()
    with barrier(shop.database) as held:
        for number in range(RECEIPTS):
            tills[number % len(tills)].sell()
        assert shop.unfinished() == RECEIPTS
        story.step(f"{RECEIPTS} receipts wait behind a breaker that is forced open")
        breaker.automatic()  # wakes the crons; who looked before would have seen it open, however long that look is held back
        start_processes(callers)
        gather(held, callers, crons)
        story.step(f"{held.waiting()} deliverers stand at the barrier, {crons} of them crons")
    return time.time()


def start_processes(callers):
    for caller in callers:
        if isinstance(caller, Command):
            caller.start()


def gather(held: Barrier, callers, crons: int = 0):
    """Wait for the processes, which take seconds to come to the barrier; then call."""
    calls = [caller for caller in callers if isinstance(caller, DeliverNow)]
    held.wait(len(callers) - len(calls) + crons)
    for caller in calls:
        caller.start()
    held.wait(len(callers) + crons)


def judge_contest(story, name, requests, told: list[Told], began: float, others: int):
    outcomes = Counter(request["outcome"] for request in requests)
    assert outcomes == {"accepted": RECEIPTS}, f"{RECEIPTS} requests, all accepted, were expected: {outcomes}"
    assert not judge.one_in_flight(requests)
    ended = max(request["answered"] for request in requests) / 1000
    overlapped = [answer for answer in told if answer.at < ended]
    untold = [answer for answer in overlapped if not answer.was_busy and not answer.delivered]
    assert not untold, f"came while others delivered and were not told: {untold}"
    busy = sum(answer.was_busy for answer in told)
    assert busy >= others, f"only {busy} callers were told busy: {told}"
    story.figure(
        f"{name}: {len(requests)} requests, {outcomes['accepted']} accepted in {ended - began:.1f} s,"
        f" {len({(r['register'], r['epoch']) for r in requests})} holds, {busy} of {len(told)} callers told busy"
    )


def counts_add_up(story, shop, told: list[Told], crons_before: int):
    by_callers = sum(answer.delivered for answer in told)
    wait_until(
        lambda: by_callers + delivered_by_crons(shop.database) - crons_before >= RECEIPTS, PATIENCE, "the crons' counts", 0.3
    )
    by_crons = delivered_by_crons(shop.database) - crons_before
    assert by_callers + by_crons == RECEIPTS, f"callers say {by_callers}, crons {by_crons}"
    story.step(f"delivered: {by_callers} by callers, {by_crons} by crons")


def lease_tells_who_delivers(story, shop):
    """While a register is delivered, its lease in Redis has the name of the holder in the database."""
    holder = shop.database.value("SELECT holder FROM kkt_delivery ORDER BY held_at DESC NULLS LAST LIMIT 1")
    assert holder in leases(shop)
    story.step(f"the lease in Redis names the holder: {holder}")


def leases(shop) -> list[str]:
    return [shop.redis.client.get(key) for key in shop.redis.client.keys("kkt:*")]


def flush(story, shop):
    """While one document is under way; the lease is back before the next one is."""
    before = shop.ofd.under_way()
    shop.redis.flush()
    shop.ofd.mode("wait")  # lets that one go
    wait_until(lambda: shop.ofd.under_way() not in ([], before), PATIENCE, "the next document under way")
    assert leases(shop)
    story.step("Redis flushed; the lease was back before the next document was sent")


def missing_redis(shop) -> bool:
    """What an administrator is shown: the register that was delivered last."""
    admin = Client(shop.hosts[1])
    [last] = shop.database.query("SELECT register_id AS id FROM kkt_delivery ORDER BY held_at DESC NULLS LAST LIMIT 1")
    return admin.call("kkt.register", "read", [last["id"]], ["lease_missing"])[0]["lease_missing"]


def overlaps(requests: judge.History) -> int:
    """How often a document of one register was under way together with one of another."""
    return sum(
        second["arrived"] < first["answered"] and first["arrived"] < second["answered"]
        for first, second in combinations(requests, 2)
        if first["register"] != second["register"]
    )


def last_seq(shop) -> int:
    return max((request["seq"] for request in shop.ofd.history()), default=0)


def judge_shop(story, shop):
    violations = shop.violations()
    assert not violations, violations
    again = [request for request in shop.ofd.history() if request["outcome"] == "duplicate"]
    assert not again, f"sent again without asking first: {again}"
    receipts = Counter(receipt.state for receipt in shop.receipts())
    story.figure(f"in all {receipts['delivered']} receipts delivered, each accepted once, in order, one in flight per register")


# --- scenario 2 ------------------------------------------------------------------------------------------------


def test_scenario_2_network_flapping(report, shop):
    with report.scenario("POC-5, 2: network flapping") as story:
        hosts = start_hosts(story, shop)
        tills = [shop.till(hosts[number % 2], number) for number in range(4)]
        breaker = Breaker(shop, hosts[0])
        prepare_ten(story, shop, tills, breaker)
        failures_open_it_once_five_are_in_a_row(story, shop, breaker)
        nothing_starts_while_it_is_open(story, shop, breaker)
        one_of_four_processes_probes(story, shop, breaker)
        two_successes_close_it(story, shop, breaker)
        judge_breaker(story, shop, breaker)
        state_survives_every_process(story, shop, breaker, tills)
        weather(story, shop, breaker, tills[:2])
        judge_breaker(story, shop, breaker)
        judge_shop(story, shop)


def prepare_ten(story, shop, tills, breaker):
    """Ten receipts of four registers: 4, 2, 2, 2. The recovery time is over when we say so."""
    breaker.write(mode="forced_open", recovery_timeout=HOUR)
    for till in [*tills, *tills, tills[0], tills[0]]:
        till.sell()
    switch_crons(shop.database, False)
    breaker.automatic()
    assert shop.unfinished() == RECEIPTS
    story.step(f"{RECEIPTS} receipts of four registers wait; the recovery time is an hour, crons are off")


def failures_open_it_once_five_are_in_a_row(story, shop, breaker):
    """Each *Deliver now* is one failure, made at one host and then at the other; a success is followed by the
    first failure of the next document.
    """
    first, second, third, _fourth = queue(shop, 0)
    opened = last_seq(shop)
    attempts = attempt_at_each_host_in_turn(shop)
    shop.ofd.fail_matching(first)
    expect(breaker, "closed", [next(attempts) for _failure in range(4)])
    for failing, failures in ((second, 4), (third, 5)):
        shop.ofd.fail_matching("")
        shop.ofd.fail_matching(failing)
        expect(breaker, "closed" if failures < 5 else "open", [next(attempts) for _failure in range(failures)])
    outcomes = [request["outcome"] for request in shop.ofd.history(opened) if request["method"] == "POST"]
    assert outcomes == ["failed"] * 4 + ["accepted"] + ["failed"] * 4 + ["accepted"] + ["failed"] * 5, outcomes
    story.figure("4 failures, a success, 4 failures: closed; a success, 5 failures from two processes: open")


def queue(shop, number: int) -> list[str]:
    """Keys of what till `number` has waiting, in order."""
    rows = shop.database.query(
        "SELECT idempotency_key FROM kkt_receipt r JOIN kkt_register g ON g.id = r.register_id"
        " WHERE pos_config_id = %s AND state = 'pending' ORDER BY queue_number",
        shop.configs()[number],
    )
    return [row["idempotency_key"] for row in rows]


def attempt_at_each_host_in_turn(shop):
    """One pass for the first register, at the one host, then at the other …"""
    register = shop.database.value("SELECT id FROM kkt_register WHERE pos_config_id = %s", shop.configs()[0])
    callers = [DeliverNow(host, f"host {number}", [register]) for number, host in enumerate(shop.hosts, start=1)]
    for number in count():
        yield callers[number % 2].start().answer()


def expect(breaker, state: str, told: list[Told]):
    row = breaker.row()
    assert row["state"] == state, f"{row['state']} with {row['failure_count']} failures after {told}"


def nothing_starts_while_it_is_open(story, shop, breaker):
    seq = last_seq(shop)
    seen = {breaker.seen_by(host)["state"] for host in shop.hosts}
    told = [DeliverNow(host, "a host").start().answer() for host in shop.hosts]
    assert seen == {"open"} and not any(answer.delivered for answer in told)
    assert not shop.ofd.history(seq), "something started while the breaker was open"
    story.step(f"both hosts see it open; {len(told)} calls of Deliver now, no request")


def one_of_four_processes_probes(story, shop, breaker):
    """Four registers have something to send and four processes try at the same moment; the probe hangs, then fails."""
    seq = last_seq(shop)
    shop.ofd.fail_matching("")
    shop.ofd.mode("hang")
    set_number(Client(shop.hosts[0]), "request_timeout", 3)
    breaker.let_recovery_pass()
    with barrier(shop.database) as held:
        start_processes(callers := four_processes(shop))
        gather(held, callers)
        story.step(f"{held.waiting()} processes stand at the barrier, {len(registers_waiting(shop))} registers wait")
    told = [caller.answer() for caller in callers]
    assert breaker.row()["state"] == "open"
    requests = shop.ofd.history(seq)
    assert len(requests) == 1, f"one probe was expected: {requests}"
    assert not any(answer.delivered for answer in told)
    story.figure(f"{len(callers)} processes tried after the recovery time, {len(requests)} probe; it failed: open again")


def four_processes(shop):
    return [Command(shop, "1"), Command(shop, "2"), *(DeliverNow(host, "a host") for host in shop.hosts)]


def registers_waiting(shop) -> list[int]:
    rows = shop.database.query("SELECT DISTINCT register_id AS id FROM kkt_receipt WHERE state IN ('pending', 'sending')")
    return [row["id"] for row in rows]


def two_successes_close_it(story, shop, breaker):
    """The crons alone find out that the network is back."""
    probed = {event["actor"] for event in breaker.events() if event["reason"] == "recovery_timeout"}
    shop.ofd.mode("slow", seconds=0.3)
    set_number(Client(shop.hosts[0]), "request_timeout", PATIENCE)
    breaker.let_recovery_pass()
    switch_crons(shop.database, True)
    Client(shop.hosts[1]).call("kkt.ofd", "action_resume", Client(shop.hosts[1]).call("kkt.ofd", "search", []))  # wakes them
    shop.settle()
    half_open, closed = breaker.events()[-2:]
    assert (half_open["to_state"], closed["reason"]) == ("half_open", "probes_succeeded")
    probes = [r for r in shop.ofd.accepted() if half_open["at"] <= r["arrived"] <= closed["at"]]
    assert len(probes) == 2, f"two probes were expected to close it: {probes}"
    assert half_open["actor"].split("/")[1] not in {actor.split("/")[1] for actor in probed}, "the same register probed again"
    assert shop.violations() == []
    story.figure("the next probe came from another register; 2 successes closed it; all 10 delivered, in order, none twice")


def state_survives_every_process(story, shop, breaker, tills):
    """Open with receipts waiting; then Odoo, Redis and the OFD die and come back."""
    breaker.write(recovery_timeout=HOUR)
    shop.ofd.mode("fail", status=500)
    for till in [*tills[:2], *tills[:2]]:
        till.sell()
    breaker.wait_for("open")
    seq, before = kill_and_restart(shop, breaker)
    told = [DeliverNow(host, "a host").start().answer() for host in shop.hosts]
    assert not any(answer.delivered for answer in told)
    after = breaker.row()
    assert (after["state"], after["opened_at"]) == ("open", before["opened_at"])
    assert not shop.ofd.history(seq), "a request while the breaker was open"
    breaker.let_recovery_pass()
    breaker.write(recovery_timeout=5)  # wakes the crons
    shop.settle()
    story.figure(
        f"{len(shop.hosts)} Odoo servers, Redis and OFD killed and restarted: open still, quiet although all were told"
        " to deliver; then a probe, and all that waited"
    )


def kill_and_restart(shop, breaker):
    """Return the last request and the breaker's row of the moment when nobody was alive."""
    for host in shop.hosts:
        host.kill()
    seq, row = last_seq(shop), breaker.row()
    for server in (shop.redis, shop.ofd):
        server.kill()
    for server in (shop.ofd, shop.redis, *shop.hosts):
        server.start()
    return seq, row


def weather(story, shop, breaker, tills):
    """The network comes and goes at random while two tills sell."""
    breaker.write(recovery_timeout=60 if SLOW else 2)
    seq = last_seq(shop)
    seconds, sold = blow(story, shop, tills)
    began = time.monotonic()
    shop.settle(600)
    requests = shop.ofd.history(seq)
    outcomes = ", ".join(f"{number} {outcome}" for outcome, number in Counter(r["outcome"] for r in requests).most_common())
    story.figure(
        f"{seconds} s of random weather (SEED={SEED}): {sold} sold, {len(requests)} requests ({outcomes}),"
        f" all delivered {time.monotonic() - began:.1f} s after the last cloud"
    )


def blow(story, shop, tills) -> tuple[int, int]:
    """Random weather while tills sell. Return for how many seconds, and how many sales there were."""
    set_number(Client(shop.hosts[0]), "request_timeout", 3)
    chance, seconds, sold = random.Random(SEED), 60 if SLOW else 20, 0
    story.step(f"random weather for {seconds} s, SEED={SEED}")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        shop.ofd.mode(**chance.choice(WEATHER))
        time.sleep(chance.uniform(0.1, 1.5))
        chance.choice(tills).sell()
        sold += 1
    shop.ofd.mode("ok")
    return seconds, sold


WEATHER = (
    {"mode": "ok"},
    {"mode": "ok"},
    {"mode": "fail", "status": 500},
    {"mode": "reset"},
    {"mode": "hang"},
    {"mode": "drop", "count": 2},
    {"mode": "garbage", "count": 1},
    {"mode": "slow", "seconds": 0.4},
)


def judge_breaker(story, shop, breaker):
    events, history = breaker.events(), shop.ofd.history()
    violations = [
        *judge.legal_transitions(events),
        *judge.quiet_while_open(history, events),
        *judge.one_probe_at_a_time(history, events),
    ]
    assert not violations, violations
    opened = sum(event["to_state"] == "open" for event in events)
    story.step(f"{opened} times open, {len(events)} transitions, all legal; quiet while open, one probe at a time")


# --- scenario 3 ------------------------------------------------------------------------------------------------


def test_scenario_3_hlc_order(report, shop):
    with report.scenario("POC-5, 3: HLC order") as story:
        clocks = [Clock(offset) for offset in (-5, 0, +5)]
        tills = [shop.till(shop.host(clock=clock), number) for number, clock in enumerate(clocks)]
        story.step("three tills, each with an Odoo server of its own, whose clocks are 5 s behind, right, 5 s ahead")
        sold = sell_in_turn(story, shop, tills)
        clocks[2].set(5 - 3600)
        story.step("the third server's clock is set back by an hour")
        refund_elsewhere(story, shop, tills, sold)
        shop.settle()
        judge_clocks(story, shop)
        judge_shop(story, shop)


def sell_in_turn(story, shop, tills: list[Till]) -> list[dict]:
    """Six sales; each till comes twice, the network fails now and then."""
    sold = []
    for number in range(6):
        shop.ofd.mode(**TROUBLE[number % len(TROUBLE)])
        sold.append(tills[number % 3].sell(kkt_hlc=browser_stamp(number)))
    story.step(f"{len(sold)} sold; the OFD answered 500, dropped an answer, reset a connection")
    return sold


TROUBLE = (
    {"mode": "fail", "status": 500, "count": 2},
    {"mode": "drop", "count": 1},
    {"mode": "reset", "count": 1},
)


def browser_stamp(number: int) -> dict:
    """A browser's clock is wrong, too: by up to three seconds."""
    ahead = 1000 * (number % 7 - 3)
    return {"local_time": time.time_ns() // 1_000_000 + ahead, "logical_counter": 0, "node": f"browser-{number}"}


def refund_elsewhere(story, shop, tills: list[Till], sold: list[dict]):
    """Three refunds, each at another till than the sale; then a sale, by the clock that was set back."""
    shop.ofd.mode("fail", status=500, count=1)
    for number, row in enumerate(sold[:3]):
        tills[(number + 2) % 3].refund(row)
    tills[2].sell()
    story.step("3 refunds, each at another till than its sale, and one more sale")


def judge_clocks(story, shop):
    receipts = shop.receipts()
    assert len(receipts) == RECEIPTS + 3, "and the openings of three shifts"
    assert sum(receipt.refunds is not None for receipt in receipts) == 3
    assert not judge.clocks_grow(receipts) and not judge.refunds_follow_sales(receipts)
    ahead = max(receipt.hlc[0] for receipt in receipts) / 1000 - time.time()
    counted = sum(receipt.hlc[1] > 0 for receipt in receipts)
    accepted = judge.first_acceptances(shop.ofd.history())
    numbers = {register: [request["fd_number"] for request in requests] for register, requests in accepted.items()}
    assert all(found == sorted(found) for found in numbers.values()) and len(numbers) == 3
    story.figure(
        f"{len(receipts)} stamps of 3 registers strictly increase ({counted} by the counter alone, the latest"
        f" {ahead:+.1f} s from the true time); 3 refunds after their sales; FD order kept"
    )
