# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The story of one seed: processes, tills and faults, the final heal, the verdict."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache

import psycopg2
from harness import audit, judge
from harness.keys import by_our_keys
from harness.processes import wait_until
from harness.proxy import Proxy
from harness.receivers import PASSWORD, Receivers, connect_tills, get_address, get_receiver
from harness.shop import Shop
from harness.stack import FAILING, Clock, Emulator, Odoo, Postgres, environment_dsn
from harness.till import LOST_ANSWERS
from harness.traffic import NO_SESSION, Traffic
from poc.nemesis.faults import LEASE, Faults, kinds_of, plan
from poc.nemesis.heads import Heads
from poc.nemesis.people import OTHER_OFD, People, Way
from poc.nemesis.result import Result

RECOVERY = 3  # s that the breaker stays open
UNTOUCHED, UNTOLD = 75.0, 45.0  # s that a head may go untried, and a hold untold, while hosts come and go
GRACE = 300.0  # s after the heal, besides the recovery time, after which what is not delivered or handled hangs
NUMBERS = {
    "request_timeout": 2,
    "lease_ttl": LEASE,
    "run_seconds": 20,
    "backoff_max": 5,
    "misconfigured_pause": 5,
    "poison_tries": 3,
}
SET_NUMBER = "INSERT INTO ir_config_parameter (key, value) VALUES (%s, %s)"
COUNTS = """
    SELECT count(*) FILTER (WHERE state = 'delivered') AS delivered,
           count(*) FILTER (WHERE state = 'rejected') AS rejected,
           count(*) FILTER (WHERE state IN ('pending', 'sending')) AS waiting,
           (SELECT string_agg(state, ', ') FROM kkt_circuit_breaker) AS breaker
      FROM kkt_receipt
"""


@dataclass(frozen=True)
class Settings:
    """What can be chosen: a seed, its length (s), tills, orders per second over all tills, kinds of faults, protocol."""

    seed: int
    seconds: float = 120.0
    hosts: int = 3
    tills: int = 4
    rate: float = 4.0
    kinds: tuple[str, ...] = ()
    protocol: str = "http"


class Nemesis:
    """One run: `run` returns its result, whatever happened; `say` gets a line now and then."""

    def __init__(self, settings: Settings, say: Callable[[str], None]):
        self.settings = settings
        self.say = say

    def run(self) -> Result:
        with ExitStack() as stack:
            self.postgres = stack.enter_context(Postgres(clocked=True))
            self.postgres.adopt(FAILING, environment_dsn())
            self.shop = Shop(self.postgres, FAILING)
            self.shop.ofd.token = PASSWORD
            stack.enter_context(self.shop)
            self.other = stack.enter_context(Emulator(token=PASSWORD))
            receivers = stack.enter_context(Receivers(self.shop, self.settings.protocol, self.settings.tills))
            proxies, others = (
                [stack.enter_context(Proxy(emulator.port)) for emulator in receivers.emulators] for _way in range(2)
            )
            self._prepare()
            self._start_hosts()
            ways = self._connect(receivers, proxies, others)
            self.traffic = Traffic(self.shop, self.settings.seed, self.settings.tills, self.settings.rate / self.settings.tills)
            self.people = People(self.shop, self.other, ways, lambda: self.faults.up())
            self.faults = Faults(self.shop, self.postgres, proxies, self.traffic, self.clocks, self.people)
            self.heads = Heads(self.shop.database)
            self.say(f"{len(self.shop.hosts)} Odoo servers and {self.settings.tills} tills are open")
            self._rage()
            overdue = self._heal()
            return self._judge(overdue)

    def _prepare(self):
        database = self.shop.database
        for name, seconds in NUMBERS.items():
            database.execute(SET_NUMBER, f"opterp_kkt.{name}", str(seconds))
        self._recover_soon()
        audit.install(database)

    def _recover_soon(self):
        """Also the breakers of former addresses, which are made when an address is changed."""
        self.shop.database.execute("UPDATE kkt_circuit_breaker SET recovery_timeout = %s", RECOVERY)

    def _connect(self, receivers: Receivers, proxies: list[Proxy], others: list[Proxy]) -> list[Way]:
        protocol, by_url = receivers.protocol, dict(zip((e.url for e in receivers.emulators), proxies, strict=True))
        ofds = connect_tills(self.shop, self.shop.hosts[0], receivers, self.settings.tills, lambda e: by_url[e.url].url)
        self._recover_soon()
        return [
            Way(
                ofd,
                *(get_address(protocol, number, way[min(number, len(way)) - 1].url) for way in (proxies, others)),
                get_receiver(protocol, number).credentials,
            )
            for number, ofd in ofds.items()
        ]

    def _start_hosts(self):
        self.clocks = [Clock() for _host in range(self.settings.hosts)]
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._start_host, self.clocks))

    def _start_host(self, clock: Clock) -> Odoo:
        return self.shop.host(workers=2, crons=2, clock=clock)

    def _rage(self):
        """Sell, and strike as planned."""
        self.traffic.start()
        self.heads.start()
        self.began = time.time()
        kinds = self.settings.kinds or kinds_of(self.settings.protocol)
        planned = plan(self.settings.seed, self.settings.seconds, list(kinds))
        told = 0.0
        while (at := time.time() - self.began) < self.settings.seconds:
            while planned and planned[0].at <= at:
                self.faults.strike(planned.pop(0))
            self.faults.supervise()
            if at - told >= 5:
                told = at
                self._tell(at)
            time.sleep(0.1)

    def _tell(self, at: float):
        try:
            [counts] = self.shop.database.query(COUNTS)
        except psycopg2.Error:
            counts = {"delivered": "?", "rejected": "?", "waiting": "?", "breaker": "PostgreSQL is away"}
        self.say(
            f"{at:4.0f} s  {len(self.traffic.sales)} orders, {len(self.traffic.unanswered)} unanswered;"
            f" receipts: {counts['delivered']} delivered, {counts['rejected']} rejected, {counts['waiting']} waiting;"
            f" breaker {counts['breaker']}; {', '.join(self.faults.now) or 'calm'}"
        )

    def _heal(self) -> list[str]:
        """Mend everything, and press what alarms and pages offer. Return what was not delivered in time after that."""
        self.say("healing")
        self.faults.heal()
        self._recover_soon()
        healed = time.monotonic()
        self.traffic.close(GRACE)
        try:
            wait_until(self._is_settled, RECOVERY + GRACE - (time.monotonic() - healed), "delivery", 0.5)
        except TimeoutError:
            return [f"late: {self.shop.unfinished()} receipts are not delivered {RECOVERY + GRACE:g} s after the heal"]
        finally:
            self.recovery = time.monotonic() - healed
            self.heads.stop()
        return []

    def _is_settled(self) -> bool:
        if self.shop.unfinished():
            self.people.press_what_is_offered()
            return False
        return True

    def _judge(self, overdue: list[str]) -> Result:
        self.people.press_what_is_offered()
        notes, receipts = audit.read(self.shop.database), self.shop.receipts()
        merged = judge.merged({"the OFD": self.shop.ofd.history(), OTHER_OFD: self.other.history()})
        history = by_our_keys(merged, receipts)
        moved, queued = judge.by_queue(history, receipts)
        sales = [(sale.uuid, sale.row) for sale in self.traffic.sales if not self._had_no_register(sale.row)]
        orders = [order for order in self.shop.paid_orders() if not self._had_no_register({"id": order})]
        violations = [
            *overdue,
            *self.faults.failed,
            *judge.answered_orders_exist(sales, receipts),
            *judge.violations(moved, queued, orders, guards_were_lost=True),
            *judge.accepted_by_one_ofd(history),
            *judge.recorded_as_fiscalised(history, receipts),
            *judge.effects_follow_causes(self.traffic.answered_before(), receipts),
            *audit.violations(notes, history, audit.breaker_of(self.shop.database)),
            *judge.sales_never_refused(self.traffic.complaints.elements(), (*LOST_ANSWERS, NO_SESSION)),
            *judge.buttons_work(self.people.answers),
            *judge.heads_have_a_way_out(self.heads.samples, UNTOUCHED, UNTOLD),
            *judge.settled_or_handled(receipts),
        ]
        return Result(
            self.settings.seed, violations, history, notes, receipts, self.traffic, self.faults, self.began, self.recovery
        )

    def _had_no_register(self, row: dict | None) -> bool:
        """Whether an order was sold while the register of its till was archived, as far as its number tells."""
        return bool(row) and any(
            first < row["id"] <= last and row["id"] in self._orders_of(config)
            for config, first, last in self.people.without_register
        )

    @cache  # noqa: B019  (one run, one nemesis)
    def _orders_of(self, config: int) -> set[int]:
        rows = self.shop.database.query("SELECT id FROM pos_order WHERE config_id = %s", config)
        return {row["id"] for row in rows}
