# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What stands between the shop and its OFD, and an OFD that is half well: a web firewall, a proxy's page, look-ups that fail,
slow answers. None of it refuses a document, stops a queue in silence or lets one register starve.
"""

import pytest
from harness import hands, judge
from harness.contest import Breaker
from harness.hands import alarms, fiscal_administrator, receipts_of, set_numbers
from harness.processes import wait_until
from harness.till import Till

pytestmark = pytest.mark.at_length

SECONDS = 600.0  # after which something hangs
TRIES, PAUSE, STREAK = 3, 2, 5
HTTPS_PORT = "<html><center><h1>400 Bad Request</h1></center>The plain HTTP request was sent to HTTPS port</html>"
HELD = "SELECT hold_reason FROM kkt_delivery WHERE register_id = %s"
STATES = "SELECT count(*) FROM kkt_receipt WHERE state = %s AND id = ANY(%s)"
PAUSED = "SELECT paused_until > now() AT TIME ZONE 'UTC' FROM kkt_ofd"


@pytest.fixture
def host(shop):
    """A host whose pauses and tries are short."""
    host = shop.host(crons=4)
    set_numbers(fiscal_administrator(host), poison_tries=TRIES, backoff_max=1, misconfigured_pause=PAUSE, refusal_streak=STREAK)
    Breaker(shop, host).write(recovery_timeout=1)
    return host


@pytest.fixture
def administrator(host):
    return fiscal_administrator(host)


def sell_bad(till: Till) -> dict:
    return till.sell([till.line(price=hands.PRICE)])


def wait_for_hold(shop, register: int):
    wait_until(lambda: shop.database.value(HELD, register) is not None, SECONDS, "a register that is held")


def count(shop, state: str, orders: list[dict]) -> int:
    return shop.database.value(STATES, state, [receipt["id"] for receipt in receipts_of(shop, *orders)])


def test_a_firewall_that_dislikes_one_document(shop, host, administrator, report):
    """It is answered 403 while the other register's pass: that is the document's own failure, not the OFD's."""
    with report.scenario("middleboxes: one document is answered 403, the other register's pass") as scenario:
        bad, good = (shop.till(host, number) for number in range(2))
        shop.ofd.fail_matching(hands.BAD, status=403, body="<h1>Blocked by the firewall</h1>")
        order = sell_bad(bad)
        after = bad.sell()
        [receipt] = receipts_of(shop, order)
        sold = []

        def is_held():
            sold.append(good.sell())
            wait_until(lambda: count(shop, "delivered", sold) == len(sold), SECONDS, "delivery at the other register")
            return shop.database.value(HELD, receipt["register_id"]) is not None

        wait_until(is_held, SECONDS, "a register that is held")
        [alarm] = wait_until(lambda: alarms(shop, "held"), SECONDS, "an alarm")
        tried = sum(r["key"] == receipt["idempotency_key"] and r["method"] == "POST" for r in shop.ofd.history())
        assert alarm["res_id"] == receipt["register_id"] and alarm["activities"]
        scenario.step(f"held after {tried} tries, while the other register's {len(sold)} were delivered")
        administrator.handle(receipt["id"])
        shop.settle(SECONDS)
        wait_until(lambda: not shop.database.value(PAUSED), SECONDS, "an OFD that is not paused")
        assert count(shop, "delivered", [after]) == 1 and count(shop, "rejected", [order]) == 1
        scenario.figure(f"held after {tried} tries, the other register went on; marked as handled, the rest was delivered")


def test_a_proxys_page_refuses_nothing(shop, host, administrator, report):
    """Only the contract's error object refuses a document."""
    with report.scenario("middleboxes: a proxy answers a backlog with a page of status 400") as scenario:
        till = shop.till(host)
        shop.ofd.mode("page", status=400, body=HTTPS_PORT)
        orders = [till.sell() for _number in range(8)]
        wait_until(lambda: shop.database.value(PAUSED), SECONDS, "a pause")
        [alarm] = wait_until(lambda: alarms(shop, "misconfigured"), SECONDS, "an alarm")
        assert alarm["activities"] and count(shop, "rejected", orders) == 0
        scenario.step(f"after {len(shop.ofd.history())} pages none of 8 is rejected, and somebody is told")
        for status in (409, 413, 422):
            shop.ofd.mode("page", status=status, body="<html></html>")
            known = len(shop.ofd.history())
            wait_until(lambda known=known: len(shop.ofd.history()) > known + 1, SECONDS, "another try")
        assert count(shop, "rejected", orders) == 0
        shop.ofd.mode("ok")
        shop.settle(SECONDS)
        assert shop.violations() == []
        scenario.figure("pages of status 400, 409, 413 and 422: 0 of 8 receipts rejected; then all delivered")


def test_a_streak_of_refusals_asks_a_person(shop, host, administrator, report):
    """Whoever refuses one document after the other may be wrong: the rest of the queue is kept."""
    with report.scenario("middleboxes: an OFD refuses one document after the other") as scenario:
        till = shop.till(host)
        shop.ofd.mode("reset")
        shop.ofd.refuse(hands.BAD)
        orders = [sell_bad(till) for _number in range(2 * STREAK + 2)]
        shop.ofd.mode("ok")
        [alarm] = wait_until(lambda: alarms(shop, "held"), SECONDS, "an alarm")
        refused = count(shop, "rejected", orders)
        assert refused == STREAK and shop.database.value(HELD, alarm["res_id"]) and alarm["activities"]
        scenario.step(f"held after {refused} refusals, {len(orders) - refused} wait")
        shop.ofd.refuse("")
        rejected = [receipt["id"] for receipt in receipts_of(shop, *orders) if receipt["state"] == "rejected"]
        administrator.retry(*rejected)
        administrator.release_hold(alarm["res_id"])
        shop.settle(SECONDS)
        assert count(shop, "delivered", orders) == len(orders) and shop.violations() == []
        scenario.figure(f"held after {refused} refusals in a row; mended, Retry and Release Hold delivered all {len(orders)}")


@pytest.mark.parametrize("status, on_refusal", [(409, "go_on"), (422, "hold")])
def test_a_refusal_without_words_holds(shop, host, administrator, report, status, on_refusal):
    with report.scenario(f"middleboxes: {status} whose error object has no words") as scenario:
        till = shop.till(host)
        administrator.change("kkt.ofd", administrator.first("kkt.ofd", [], [])["id"], on_refusal=on_refusal)
        shop.ofd.fail_matching(hands.BAD, status=status, body=hands.NO_WORDS)
        order = sell_bad(till)
        [receipt] = receipts_of(shop, order)
        wait_until(lambda: count(shop, "rejected", [order]), SECONDS, "a refusal")
        waits = till.sell()
        wait_for_hold(shop, receipt["register_id"])
        [alarm] = wait_until(lambda: alarms(shop, "held"), SECONDS, "an alarm")
        assert count(shop, "pending", [waits]) == 1
        administrator.handle(receipt["id"])
        shop.settle(SECONDS)
        assert count(shop, "delivered", [waits]) == 1
        scenario.figure("the register is held, somebody is told, Handled lets it go on")


@pytest.mark.parametrize("arrives", ["reset", "drop"])
def test_lookups_that_always_fail(shop, host, report, arrives):
    """After some of them the same key and bytes are sent again: the OFD knows the key."""
    with report.scenario(
        f"middleboxes: look-ups always fail, the document in doubt has {'' if arrives == 'drop' else 'not '}arrived"
    ) as scenario:
        till = shop.till(host)
        shop.ofd.mode(arrives, count=1)
        till.sell()
        wait_until(lambda: [r for r in shop.ofd.history() if r["outcome"] == "dropped"], SECONDS, "a request without an answer")
        shop.ofd.mode("fail_lookups")
        till.sell()
        shop.settle(SECONDS)
        assert shop.violations() == []
        asked = sum(request["method"] == "GET" for request in shop.ofd.history())
        scenario.figure(f"delivered after {asked} look-ups that failed, once each")


def test_no_register_starves(shop, host, report):
    """Five registers have a backlog, and the OFD takes its time."""
    with report.scenario("middleboxes: five registers with a backlog, 0.3 s per answer") as scenario:
        breaker, tills = Breaker(shop, host), [shop.till(host, number) for number in reversed(range(5))]
        breaker.force_open()
        opened = len(shop.ofd.history())
        for _number in range(20):
            for till in tills:
                till.sell()
        shop.ofd.mode("slow", seconds=0.3)
        breaker.automatic()
        shop.settle(2 * SECONDS)
        history = shop.ofd.history(opened)
        assert judge.all_advance(history) == [] and shop.violations() == []
        first = min(requests[-1]["arrived"] for requests in judge.first_acceptances(history).values())
        done = [sum(r["arrived"] <= first for r in requests) for requests in judge.first_acceptances(history).values()]
        scenario.figure(f"when the first register had its 20 through, the five had {sorted(done)}")
