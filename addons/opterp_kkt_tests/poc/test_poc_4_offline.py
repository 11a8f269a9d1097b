# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""POC-4, eight hours offline: the OFD is away for a shop's day. Tills sell on as if nothing was, servers and PostgreSQL
crash meanwhile, and what has gathered is delivered when the network is back: all of it, in order, once.

At least 200 receipts of 6 tills; `FULL=1` (`make proofs`) takes 4 000 of 40.
"""

import math
import os
import socket
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial

import psycopg2
from harness import audit, judge
from harness.contest import Breaker, set_number
from harness.processes import wait_until
from harness.proxy import LATENCY, Proxy
from harness.report import Scenario
from harness.shop import Shop
from harness.stack import TEMPLATE, Odoo, Postgres, environment_dsn
from harness.till import LOST_ANSWERS
from harness.traffic import Sale, Traffic
from poc.nemesis.run import SET_NUMBER

# RATE is orders per second, all tills together, where the machine can do that.
RECEIPTS, TILLS, HOSTS, RATE = (4000, 40, 3, 6.0) if os.environ.get("FULL") else (200, 6, 2, 10.0)
SAMPLE = RECEIPTS // 10  # sales with the OFD up, before the day without it and once more after it
OFFLINE = 7 * SAMPLE  # sales of that day; the rest is sold while the queues drain
EIGHT_HOURS = 8 * 3600.0
SHORTENED = {"request_timeout": (10, 2), "backoff_max": (60, 1), "run_seconds": (50, 10)}  # s: the default, and here
RECOVERY = 1  # s that the breaker stays open
PROGRESS = 10.0  # s between two lines
PATIENCE = 600.0  # s; only ends what hangs

Window = tuple[float, float]  # from when to when, in s on the monotonic clock

LAST = "SELECT coalesce(max(id), 0) FROM kkt_receipt"
LEFT = "SELECT count(*) FROM kkt_receipt WHERE id <= %s AND state IN ('pending', 'sending')"
WAITING = "SELECT idempotency_key AS key FROM kkt_receipt WHERE state IN ('pending', 'sending')"
DEEPEST = """
    SELECT max(count) FROM (SELECT count(*) FROM kkt_receipt WHERE state IN ('pending', 'sending') GROUP BY register_id) queue
"""


def test_a_day_without_the_ofd(report):
    with report.scenario(f"POC-4: a day offline, {RECEIPTS} receipts of {TILLS} tills") as story, open_shop(story) as day:
        day.sell_a_sample()
        day.go_offline()
        day.come_back()
        day.sell_a_sample()
        day.close()
        judge_selling(story, day)
        judge_breaker(story, day)
        judge_documents(story, day)


@contextmanager
def open_shop(story: Scenario):
    """Servers as processes, on a PostgreSQL of their own, which is to crash; the way to the OFD can be cut."""
    with ExitStack() as stack:
        postgres = stack.enter_context(Postgres())
        postgres.adopt(TEMPLATE, environment_dsn())
        shop = stack.enter_context(Shop(postgres))
        network = stack.enter_context(Proxy(shop.ofd.port))
        default = shorten(shop, network)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda _number: shop.host(workers=2), range(HOSTS)))
        story.step(f"{HOSTS} Odoo servers are up, {TILLS} tills are being opened")
        day = Day(story, shop, postgres, network, Traffic(shop, 4, TILLS, RATE / TILLS))
        day.traffic.start()
        stack.callback(day.traffic.given_up.set)
        day.told_settings = ", ".join(
            f"{name} {was} s → {here} s" for name, (was, here) in {"recovery_timeout": (default, RECOVERY), **SHORTENED}.items()
        )
        yield day


def shorten(shop: Shop, network: Proxy) -> int:
    """Set what is shortened, before any server reads it; return the breaker's default recovery time."""
    default = shop.database.value("SELECT recovery_timeout FROM kkt_circuit_breaker")
    shop.database.execute("UPDATE kkt_circuit_breaker SET recovery_timeout = %s", RECOVERY)
    shop.database.execute("UPDATE kkt_ofd SET url = %s", network.url)
    for name, (_default, seconds) in SHORTENED.items():
        shop.database.execute(SET_NUMBER, f"opterp_kkt.{name}", str(seconds))
    audit.install(shop.database)
    return default


class Day:
    """The story, as the clock goes; the tills sell the whole time, each in a thread of its own.

        sell_a_sample    the OFD answers
        go_offline       the network refuses connections, from noon it swallows what is sent; meanwhile every server is
                         killed and started again, and PostgreSQL crashes and recovers
        come_back        until everything that had gathered is delivered
        sell_a_sample    once more, so that a machine that grew slower or faster meanwhile is seen
        close            the last documents

    Cashiers are those of the nemesis: one that gets no answer sends the same order, same uuid, to another server.
    """

    def __init__(self, story: Scenario, shop: Shop, postgres: Postgres, network: Proxy, traffic: Traffic):
        self.story = story
        self.shop = shop
        self.postgres = postgres
        self.network = network
        self.traffic = traffic
        self.told_settings = ""
        self.up: list[Window] = []
        self.away: Window = (0.0, 0.0)
        self.cut = self.back = 0.0  # when the OFD went and came, in s since 1970
        self._told = time.monotonic()

    def sell_a_sample(self):
        """Begin when the queues are as short as on a good day."""
        self._wait(lambda: self.shop.unfinished() <= 2 * TILLS, PATIENCE, "short queues")
        began = time.monotonic()
        self._sell(SAMPLE, began)
        self.up.append((began, time.monotonic()))
        self.story.step(f"{SAMPLE} sold with the OFD up")

    def go_offline(self):
        with ExitStack() as broken:
            broken.enter_context(self.network.broken("cut"))
            self.cut, began = time.time(), time.monotonic()
            self.story.step("the network to the OFD is cut: connections are refused")
            events = [*(partial(self._crash_host, host) for host in self.shop.hosts), self._crash_postgres]
            events.insert(len(events) // 2, lambda: self._swallow(broken))
            for number, event in enumerate(events, start=1):
                self._sell(OFFLINE * number // (len(events) + 1), began)
                event()
            self._sell(OFFLINE, began)
            self.away, self.back = (began, time.monotonic()), time.time()
        lasted = self.back - self.cut
        self.story.figure(f"eight hours are {lasted:.0f} s here (1/{EIGHT_HOURS / lasted:.0f}); shortened: {self.told_settings}")

    def _crash_host(self, host: Odoo):
        """A power cut; what it held, browsers' sessions apart, is gone."""
        name = f"server {self.shop.hosts.index(host) + 1}"
        host.restart()
        self.story.step(f"{name}: every process of it killed and started again, up after {host.start_seconds:.1f} s")

    def _crash_postgres(self):
        self.postgres.restart()
        self.story.step(f"PostgreSQL crashed and recovered, up after {self.postgres.start_seconds:.1f} s")

    def _swallow(self, broken: ExitStack):
        broken.enter_context(self.network.broken("half_open"))
        self.story.step("the network takes connections again, and swallows what is sent: every attempt hangs")

    def come_back(self):
        """Wait until all that waited when the network came back is delivered; the tills go on."""
        last, waiting = self.shop.database.value(LAST), {row["key"] for row in self.shop.database.query(WAITING)}
        deepest = self.shop.database.value(DEEPEST)
        self.story.figure(f"{len(waiting)} documents wait, {deepest} of one register; the network is back")
        began = time.monotonic()
        self._wait(lambda: not self.shop.database.value(LEFT, last), PATIENCE + len(waiting), "delivery of the day's documents")
        arrived = sorted(r["arrived"] / 1000 for r in self.shop.ofd.accepted() if r["key"] in waiting)
        arrived = [at for at in arrived if at >= self.back]
        drained = arrived[-1] - self.back
        self.story.figure(
            f"drained in {drained:.1f} s, the first document after {arrived[0] - self.back:.1f} s, then"
            f" {len(arrived) / (arrived[-1] - arrived[0]):.0f} documents/s over a network that takes {1000 * LATENCY:.0f} ms each"
            f" way, while the tills sold {len(self._sold((began, math.inf)))} more"
        )

    def close(self):
        self._sell(RECEIPTS, 0.0)
        self.traffic.close(PATIENCE)
        self.shop.settle()

    def seconds(self, *windows: Window) -> list[float]:
        """What each cashier waited, from the first try to the answer."""
        return [sale.answered - sale.sent for window in windows for sale in self._sold(window)]

    # -- while the tills sell --------------------------------------------------------------------------------------

    def _sold(self, window: Window) -> list[Sale]:
        return [sale for sale in self.traffic.sales if sale.answered and window[0] <= sale.sent < window[1]]

    def _sell(self, count: int, began: float):
        self._wait(lambda: len(self._sold((began, math.inf))) >= count, PATIENCE + 2 * count, f"{count} sales")

    def _wait(self, condition, limit: float, what: str):
        wait_until(lambda: self._watch() or condition(), limit, what, 0.2)

    def _watch(self):
        """Start what ended by itself, as systemd would; tell how far it is; fail as soon as a till is refused."""
        assert not refusals(self.traffic), f"tills were refused: {refusals(self.traffic)}"
        for host in self.shop.hosts:
            if not host.running:
                host.start()
                self.story.step(f"server {self.shop.hosts.index(host) + 1} had ended by itself: started again")
        if time.monotonic() - self._told > PROGRESS:
            self._told = time.monotonic()
            print(f"{'':11}… {len(self._sold((0, math.inf)))} sold, {self.shop.unfinished()} documents wait", flush=True)


def milliseconds(times: list[float]) -> str:
    return f"{1000 * statistics.median(times):.0f} ms"


def refusals(traffic: Traffic) -> dict[str, int]:
    """Answers that a crash does not explain."""
    return {name: count for name, count in traffic.complaints.items() if not name.startswith(LOST_ANSWERS)}


# --- cause and effect ---------------------------------------------------------------------------------------------

# What delivery writes about a register, a document, an OFD and its breaker, as a transaction of its own would lock it.
LOCK = "SELECT FROM {} FOR NO KEY UPDATE"
WRITTEN_BY_DELIVERY = ("kkt_delivery", "kkt_receipt", "kkt_ofd", "kkt_circuit_breaker")


class Listener:
    """An address that takes connections and never says a word; counts who came."""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(0)
        self.port = self.socket.getsockname()[1]
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def came(self) -> int:
        count = 0
        with suppress(BlockingIOError):
            while self.socket.accept():
                count += 1
        return count


def test_selling_waits_for_nothing_of_delivery(report, shop):
    """A deliverer is stopped in the middle of a sending, all that delivery writes is locked, OFD and Redis never answer.
    None of that ends before the sales are answered: a sale that waited for any of it would never be.
    """
    with report.scenario("POC-4: selling needs nothing of delivery") as story, Listener() as redis, Listener() as ofd:
        seller = shop.host(crons=0, redis_url=f"redis://127.0.0.1:{redis.port}/0")
        till = shop.till(seller)
        set_number(till, "request_timeout", 600)
        redis.came()  # forget who delivered the opening of the shift
        shop.ofd.mode("wait")
        deliverer = shop.host()
        till.sell()
        wait_until(shop.ofd.under_way, 300, "a document under way")
        deliverer.pause()
        shop.database.execute("UPDATE kkt_ofd SET url = %s", f"http://127.0.0.1:{ofd.port}")
        with closing(psycopg2.connect(dbname=shop.database.name, **shop.database.dsn)) as connection:
            for table in WRITTEN_BY_DELIVERY:
                connection.cursor().execute(LOCK.format(table))
            for _number in range(10):
                till.sell()
            assert len(shop.ofd.under_way()) == 1
        assert (redis.came(), ofd.came()) == (0, 0), "a sale opens no connection but PostgreSQL's"
        story.figure(
            "10 sales were answered while the deliverer was stopped in the middle of a sending, its locks and all that"
            " it writes were held, Redis and OFD hung; the seller called neither"
        )
        shop.database.execute("UPDATE kkt_ofd SET url = %s", shop.ofd.url)
        deliverer.resume()
        shop.ofd.mode("ok")
        shop.settle()
        assert shop.violations() == []


# --- the verdict -------------------------------------------------------------------------------------------------


def judge_selling(story: Scenario, day: Day):
    away, up = day.seconds(day.away), day.seconds(*day.up)
    ratio = statistics.median(away) / statistics.median(up)  # told, not judged: see the proof below
    story.figure(
        f"a sale takes {milliseconds(away)} with the OFD away ({len(away)} sales), {milliseconds(up)} with it up ({len(up)}):"
        f" ratio of medians {ratio:.2f}"
    )
    lost = ", ".join(f"{name} {count}" for name, count in day.traffic.complaints.most_common())
    story.figure(f"no sale refused; calls without an answer, made again: {lost or 'none'}")
    assert not refusals(day.traffic)


def judge_breaker(story: Scenario, day: Day):
    """It opened and let only probes through: what a day's outage costs the OFD."""
    events, history = Breaker(day.shop, day.shop.hosts[0]).events(), day.shop.ofd.history()
    notes = audit.read(day.shop.database)
    attempts = [note for note in notes if audit.is_claim(note) and day.cut < note["at"] < day.back]
    probes = sum(event["to_state"] == "half_open" and day.cut < event["at"] / 1000 < day.back for event in events)
    lasted = day.back - day.cut
    story.figure(
        f"the breaker opened and let {probes} probes through: {len(attempts)} attempts in the {lasted / RECOVERY:.0f} recovery"
        f" times without the OFD (at 60 s each, eight hours are {EIGHT_HOURS / 60:.0f})"
    )
    assert probes >= 2, "the breaker did not open, or gave up"
    assert len(attempts) <= 5 + TILLS + probes + 1, "hammered"
    claimed = {note["row"]["idempotency_key"]: note["at"] for note in reversed(attempts)}  # first after the cut
    reached = [r for r in history if r["key"] in claimed and claimed[r["key"]] < r["arrived"] / 1000 < day.back]
    assert not reached, f"the network was not cut: {reached}"
    violations = [
        *judge.legal_transitions(events),
        *judge.quiet_while_open(history, events),
        *judge.one_probe_at_a_time(history, events),
        *audit.violations(notes, history, audit.breaker_of(day.shop.database)),
    ]
    assert not violations, violations


def judge_documents(story: Scenario, day: Day):
    receipts, sales = day.shop.receipts(), day.traffic.sales
    violations = [
        *day.shop.violations(guards_were_lost=True),
        *judge.answered_orders_exist(((sale.uuid, sale.row) for sale in sales), receipts),
        *judge.effects_follow_causes(day.traffic.answered_before(), receipts),
    ]
    assert not violations, violations
    assert Counter(receipt.state for receipt in receipts) == {"delivered": len(sales) + TILLS}, "and the openings of shifts"
    again = [request for request in day.shop.ofd.history() if request["outcome"] == "duplicate"]
    assert not again, f"sent again without asking first: {again}"
    refunds = sum(receipt.refunds is not None for receipt in receipts)
    story.figure(
        f"{len(sales)} orders, {refunds} of them refunds: {len(receipts)} documents of"
        f" {len({receipt.register for receipt in receipts})} registers accepted, once each, in order"
    )
