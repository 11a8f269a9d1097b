# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What is broken, for how long, and the schedule that a seed gives."""

import os
import random
import signal
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

import psycopg2
from harness.processes import ProcessDied, wait_until
from harness.proxy import Proxy
from harness.shop import Shop
from harness.stack import Clock, Odoo, Postgres
from harness.traffic import REFUSED, Traffic
from poc.nemesis.people import NotOffered, People

LEASE = 8.0  # s; the settings of a nemesis are short, so that two minutes hold what takes an hour otherwise
SHORT, LONG, STOPPED = (0.5, 3.0), (3.0, 7.0), (LEASE + 1, LEASE + 4)
HOUR = 3600.0
PAGE = "<html><h1>Blocked</h1></html>"

# What a fault is done to, of which one at a time is broken, and for how many seconds. The way to the OFD is the network and
# the OFD itself: were both broken all the time, the breaker would leave the other faults nothing to hit.
KINDS = {
    "server_killed": ("host", SHORT),
    "server_stopped": ("host", STOPPED),
    "deliverer_killed": ("deliverer", (0, 0)),
    "deliverer_stopped": ("deliverer", STOPPED),
    "deliverer_fenced": ("deliverer", STOPPED),
    "killed_after_claim": ("failpoint", (0, 0)),
    "killed_before_send": ("failpoint", (0, 0)),
    "killed_after_answer": ("failpoint", (0, 0)),
    "killed_before_record": ("failpoint", (0, 0)),
    "redis_stopped": ("redis", LONG),
    "redis_killed": ("redis", LONG),
    "redis_restarted": ("redis", (0, 0)),
    "redis_flushed": ("redis", (0, 0)),
    "redis_hung": ("redis", LONG),
    "postgres_restarted": ("postgres", (0, 0)),
    "backends_terminated": ("postgres", (0, 0)),
    "network_cut": ("way", LONG),
    "network_slow": ("way", LONG),
    "network_half_open": ("way", LONG),
    "network_drips": ("way", LONG),
    "network_reset": ("way", SHORT),
    "answers_dropped": ("way", SHORT),
    "ofd_slow": ("way", LONG),
    "ofd_500": ("way", LONG),
    "ofd_503": ("way", SHORT),
    "ofd_429": ("way", SHORT),
    "ofd_garbage": ("way", SHORT),
    "ofd_other_key": ("way", SHORT),
    "proxy_page": ("way", SHORT),
    "lookups_fail": ("way", LONG),
    "ofd_refuses": ("documents", LONG),
    "firewall_403": ("documents", LONG),
    "firewall_400": ("documents", LONG),
    "conflict_without_words": ("documents", LONG),
    "poison_sold": ("documents", SHORT),
    "clock_ahead": ("clock", LONG),
    "clock_behind": ("clock", LONG),
    "clock_a_little_ahead": ("clock", LONG),
    "clock_a_little_behind": ("clock", LONG),
    "database_ahead": ("database's clock", LONG),
    "database_behind": ("database's clock", LONG),
    "retried": ("buttons", (0, 0)),
    "handled": ("buttons", (0, 0)),
    "held_by_hand": ("buttons", (0, 0)),
    "released": ("buttons", (0, 0)),
    "delivered_now": ("buttons", (0, 0)),
    "shift_closed": ("buttons", (0, 0)),
    "shift_opened": ("buttons", (0, 0)),
    "session_closed": ("sessions", LONG),
    "breaker_reset": ("buttons", (0, 0)),
    "breaker_forced_open": ("breaker", LONG),
    "address_changed": ("settings", LONG),
    "token_changed": ("settings", LONG),
    "ofd_changed": ("registers", LONG),
    "drive_moved": ("registers", LONG),
    "register_archived": ("registers", LONG),
    "cron_deleted": ("jobs", LONG),
    "cron_deactivated": ("jobs", LONG),
    "cron_added": ("jobs", (0, 0)),
    "paper_ends": ("device", LONG),
    "register_busy": ("device", LONG),
    "shift_too_old": ("device", (0, 0)),
    "queue_is_long": ("device", LONG),
    "queue_gives_up": ("device", SHORT),
    "tokens_end": ("device", (0, 0)),
}
POINTS = {
    "killed_after_claim": "after_claim",
    "killed_before_send": "before_send",
    "killed_after_answer": "after_answer",
    "killed_before_record": "before_record",
}
NETWORK = {  # modes of the proxy
    "network_cut": "cut",
    "network_slow": "slow",
    "network_half_open": "half_open",
    "network_drips": "drip",
    "network_reset": "reset",
    "answers_dropped": "drop_answers",
}
OFD = {  # orders to the emulator
    "ofd_slow": {"mode": "slow", "seconds": 1},
    "ofd_500": {"mode": "fail", "status": 500},
    "ofd_503": {"mode": "fail", "status": 503, "retry_after": 1},
    "ofd_429": {"mode": "throttle", "retry_after": 1},
    "ofd_garbage": {"mode": "garbage"},
    "ofd_other_key": {"mode": "other_key"},
    "proxy_page": {"mode": "page", "status": 400, "body": PAGE},
    "lookups_fail": {"mode": "fail_lookups", "status": 502},
}
MARKED = {  # how documents are answered that have the kind's name in a line's name, while it lasts
    "firewall_403": {"status": 403, "body": PAGE},
    "firewall_400": {"status": 400, "body": PAGE},
    "conflict_without_words": {"status": 409, "body": ""},
}
POISON = "poison_sold"  # … and for ever
DEVICE = {  # orders to a register on the counter, and what mends it
    "paper_ends": ({"paper": False}, {"paper": True}),
    "register_busy": ({"busy_for": 3}, {"busy_for": 0}),
    "shift_too_old": ({"shift_expired": True}, {}),
}
CLOUD = {  # … to the service
    "queue_is_long": ({"queue_for": 4}, {"queue_for": 0}),
    "queue_gives_up": ({"fails": {"type": "timeout", "code": 1, "text": "Превышено время ожидания"}}, {"fails": None}),
    "tokens_end": ({"expire": True}, {}),
}
OF_A_STATUS = ("ofd_503", "ofd_429", "ofd_other_key", "proxy_page", "firewall_403", "firewall_400", "conflict_without_words")
LEFT_OUT = {  # by protocol: what makes no sense there, and why
    "http": dict.fromkeys([*DEVICE, *CLOUD], "an OFD has neither paper nor a queue"),
    "ofd_tcp": {
        **dict.fromkeys([*DEVICE, *CLOUD], "an OFD has neither paper nor a queue"),
        **dict.fromkeys(OF_A_STATUS, "it speaks no HTTP: to a drive that is garbage, which ofd_garbage is"),
        "lookups_fail": "the protocol has no question",
        "token_changed": "the protocol has no credentials",
        "poison_sold": "nobody can say that it is not there, so it is never left out",
    },
    "atol_web": {
        **dict.fromkeys(CLOUD, "it is no service"),
        "ofd_changed": "a register elsewhere is its own receiver",
        "drive_moved": "its drive is inside it",
    },
    "orangedata": {
        **dict.fromkeys(DEVICE, "its paper is not the shop's"),
        "ofd_changed": "a register elsewhere is its own receiver",
        "drive_moved": "its drive is inside it",
        "tokens_end": "it gives no tokens",
    },
    "atol_online": {
        **dict.fromkeys(DEVICE, "its paper is not the shop's"),
        "ofd_changed": "a register elsewhere is its own receiver",
        "drive_moved": "its drive is inside it",
        "poison_sold": "nobody can say that it is not there, so it is never left out",
    },
}
OFFSETS = {"clock_ahead": HOUR, "clock_behind": -HOUR, "clock_a_little_ahead": 3.0, "clock_a_little_behind": -3.0}
KILLS = {kind for kind in KINDS if "killed" in kind and kind != "redis_killed"}
REST = 5.0  # s between two faults of one thing
SEEK = 6.0  # s in which something must come by to be hit

SENDERS = """
    SELECT split_part(d.holder, ':', 2)::int AS process, l.pid AS backend, g.name
      FROM kkt_delivery d
      JOIN kkt_register g ON g.id = d.register_id
      JOIN kkt_receipt r ON r.register_id = d.register_id AND r.state = 'sending' AND r.delivery_epoch = d.epoch
      JOIN pg_locks l ON l.locktype = 'advisory' AND l.classid = 4934484 AND l.objid = d.register_id AND l.granted
"""
TERMINATE = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE %s
"""
FAILPOINT = "SELECT value FROM ir_config_parameter WHERE key = 'opterp_kkt_tests.failpoint'"
SET_FAILPOINT = """
    INSERT INTO ir_config_parameter (key, value) VALUES ('opterp_kkt_tests.failpoint', %s)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""


def kinds_of(protocol: str) -> tuple[str, ...]:
    """Those that make sense there."""
    return tuple(kind for kind in KINDS if kind not in LEFT_OUT[protocol])


class Planned(NamedTuple):
    """One fault of a schedule: when it strikes (s from the start), what, for how long, which of several."""

    at: float
    kind: str
    seconds: float
    choice: int


def plan(seed: int, seconds: float, kinds: list[str]) -> list[Planned]:
    """Deal the kinds like cards, shuffled anew each round, a new one every second or two; things rest in between."""
    dice = random.Random(seed)
    free_at: dict[str, float] = {}
    planned, deck, at = [], [], 1.0
    while at < seconds - 2:
        deck = deck or dice.sample(kinds, len(kinds))
        kind = deck.pop()
        thing, (shortest, longest) = KINDS[kind]
        length = min(dice.uniform(shortest, longest), max(0.0, seconds - at))
        begin = max(at, free_at.get(thing, 0.0))
        if begin < seconds - 2:
            planned.append(Planned(begin, kind, length, dice.randrange(1000)))
            free_at[thing] = begin + length + REST
        at += dice.uniform(0.5, 3.0)
    return sorted(planned)


class Missed(Exception):
    """There was nothing to hit."""


@dataclass
class Strike:
    """A fault that happened; times in s since 1970."""

    kind: str
    target: str
    began: float
    ended: float | None = None

    @property
    def thing(self) -> str:
        return KINDS[self.kind][0]

    def __str__(self):
        return f"{self.kind} {self.target}".strip()


class Faults:
    """Strikes as planned. Each kind is a context manager (the tables above, or the method of its name): entering
    breaks and says what, leaving mends.

    What a fault hits is what its choice points at among what is there then: timing differs from run to run, so a
    seed gives the same faults, not the same history. A supervisor starts hosts that ended by themselves.
    """

    def __init__(
        self, shop: Shop, postgres: Postgres, proxies: list[Proxy], traffic: Traffic, clocks: list[Clock], people: People
    ):
        self.shop = shop
        self.people = people
        self.postgres = postgres
        self.proxies = proxies
        self.traffic = traffic
        self.clocks = clocks
        self.strikes: list[Strike] = []
        self.missed: list[str] = []
        self.failed: list[str] = []  # of the harness itself
        self.revived = 0
        self._locks = {thing: threading.Lock() for thing, _seconds in KINDS.values()}
        self._down: set[Odoo] = set()
        self._healing = threading.Event()
        self._threads: list[threading.Thread] = []
        shop.ofd.fail_matching(POISON)

    # -- the schedule --------------------------------------------------------------------------------------------

    def strike(self, fault: Planned):
        """Begin a fault in a thread of its own."""
        self._begin(self._suffer, fault)

    def _begin(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, name=function.__name__)
        self._threads.append(thread)
        thread.start()

    def supervise(self):
        """Start what ended by itself, as systemd would: Odoo's master process ends when PostgreSQL is away."""
        for host in self.shop.hosts:
            if host not in self._down and not host.running:
                self.revived += 1
                self._down.add(host)
                self._begin(self._revive, host)

    def heal(self):
        """End all faults now, and return when everything is up."""
        self._healing.set()
        self.supervise()
        while self._threads:  # what people put back needs a host that is up
            self._threads[0].join(0.5)
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self.supervise()
        self.shop.database.execute(SET_FAILPOINT, "")

    def _suffer(self, fault: Planned):
        with self._locks[KINDS[fault.kind][0]]:
            if self._healing.is_set():
                return
            try:
                with self._broken(fault) as target:
                    strike = Strike(fault.kind, target or "", time.time())
                    self.strikes.append(strike)
                    self._healing.wait(fault.seconds)
                strike.ended = time.time()
            except (Missed, NotOffered, psycopg2.Error) as reason:
                self.missed.append(f"{fault.kind}: {reason}")
            except Exception as error:
                self.failed.append(f"{fault.kind} could not be made: {error!r}")

    def _broken(self, fault: Planned):
        if fault.kind in POINTS:
            return self._killed_at(POINTS[fault.kind])
        if fault.kind in NETWORK:
            return self._network(NETWORK[fault.kind])
        if fault.kind in OFD:
            return self._ofd(**OFD[fault.kind])
        if fault.kind in MARKED:
            return self._marked(fault.kind)
        if fault.kind in DEVICE:
            return self._condition(self.shop.ofd.device, *DEVICE[fault.kind])
        if fault.kind in CLOUD:
            return self._condition(self.shop.ofd.cloud, *CLOUD[fault.kind])
        if fault.kind in OFFSETS:
            return self._clock(fault.choice, OFFSETS[fault.kind])
        if hasattr(self.people, fault.kind):
            return getattr(self.people, fault.kind)(fault.choice)
        return getattr(self, f"_{fault.kind}")(fault.choice)

    @property
    def now(self) -> list[str]:
        """What is broken at this moment."""
        return [str(strike) for strike in list(self.strikes) if not strike.ended]

    # -- hosts ---------------------------------------------------------------------------------------------------

    def _host(self, choice: int) -> Odoo:
        up = self.up()
        if len(up) < 2:
            raise Missed("one host only is up")
        return up[choice % len(up)]

    def up(self) -> list[Odoo]:
        return [host for host in self.shop.hosts if host.running and host not in self._down]

    def _name(self, host: Odoo) -> str:
        return f"host {self.shop.hosts.index(host) + 1}"

    def _revive(self, host: Odoo):
        while not host.running:
            with suppress(ProcessDied, TimeoutError):
                host.restart()
        self._down.discard(host)

    @contextmanager
    def _server_killed(self, choice):
        host = self._host(choice)
        self._down.add(host)
        host.kill()
        yield self._name(host)
        self._revive(host)

    @contextmanager
    def _server_stopped(self, choice):
        host = self._host(choice)
        host.pause()
        yield self._name(host)
        host.resume()

    # -- deliverers ----------------------------------------------------------------------------------------------

    def _deliverer(self, choice: int) -> dict:
        """Somebody who has a document under way at this moment."""
        senders = self._seek(lambda: self.shop.database.query(SENDERS), "nobody delivers")
        return senders[choice % len(senders)]

    def _seek(self, condition, otherwise: str):
        try:
            return wait_until(condition, SEEK, otherwise, 0.02)
        except TimeoutError as error:
            raise Missed(otherwise) from error

    @contextmanager
    def _deliverer_killed(self, choice):
        deliverer = self._deliverer(choice)
        _signal(deliverer, signal.SIGKILL)
        yield f"of {deliverer['name']}"

    @contextmanager
    def _deliverer_stopped(self, choice):
        deliverer = self._deliverer(choice)
        _signal(deliverer, signal.SIGSTOP)
        yield f"of {deliverer['name']}"
        with suppress(Missed):
            _signal(deliverer, signal.SIGCONT)

    @contextmanager
    def _deliverer_fenced(self, choice):
        """It is stopped and loses its guard; somebody else delivers; then it comes back."""
        deliverer = self._deliverer(choice)
        _signal(deliverer, signal.SIGSTOP)
        self.shop.database.query("SELECT pg_terminate_backend(%s)", deliverer["backend"])
        yield f"of {deliverer['name']}"
        with suppress(Missed):
            _signal(deliverer, signal.SIGCONT)

    @contextmanager
    def _killed_at(self, point: str):
        """A deliverer kills itself there; see the tests' addon."""
        self.shop.database.execute(SET_FAILPOINT, point)
        try:
            self._seek(lambda: self.shop.database.value(FAILPOINT) != point, f"nobody came to {point}")
            yield
        finally:
            self.shop.database.execute(SET_FAILPOINT, "")

    # -- Redis and PostgreSQL ------------------------------------------------------------------------------------

    @contextmanager
    def _redis_stopped(self, choice):
        self.shop.redis.stop()
        yield
        self.shop.redis.start()

    @contextmanager
    def _redis_killed(self, choice):
        self.shop.redis.kill()
        yield
        self.shop.redis.start()

    @contextmanager
    def _redis_restarted(self, choice):
        self.shop.redis.restart()
        yield "empty"

    @contextmanager
    def _redis_flushed(self, choice):
        self.shop.redis.flush()
        yield

    @contextmanager
    def _redis_hung(self, choice):
        self.shop.redis.pause()
        yield
        self.shop.redis.resume()

    @contextmanager
    def _postgres_restarted(self, choice):
        self.postgres.restart()
        yield

    @contextmanager
    def _backends_terminated(self, choice):
        """All of them, or the guards alone."""
        pattern = ("%", "opterp_kkt")[choice % 2]
        yield f"{self.shop.database.value(TERMINATE, pattern)} of them"

    # -- the network and the OFD ---------------------------------------------------------------------------------

    @contextmanager
    def _network(self, mode: str):
        with ExitStack() as stack:
            for proxy in self.proxies:
                stack.enter_context(proxy.broken(mode))
            yield

    @contextmanager
    def _condition(self, order, broken: dict, mended: dict):
        """Something is the matter with the registers themselves."""
        order(**broken)
        yield
        order(**mended)

    @contextmanager
    def _ofd(self, **order):
        self.shop.ofd.mode(**order)
        yield
        self.shop.ofd.mode("ok")

    @contextmanager
    def _ofd_refuses(self, choice):
        """Tills sell what the OFD refuses for good, among the rest."""
        with self._sold(REFUSED):
            yield

    @contextmanager
    def _poison_sold(self, choice):
        """Tills sell what always gets a 500: somebody has to leave it out."""
        with self._sold(POISON):
            yield

    @contextmanager
    def _marked(self, kind: str):
        """Something in front of the OFD does not like some documents, for a while."""
        self.shop.ofd.fail_matching(kind, **MARKED[kind])
        with self._sold(kind):
            yield
        self.shop.ofd.fail_matching("")
        self.shop.ofd.fail_matching(POISON)

    @contextmanager
    def _sold(self, mark: str):
        self.traffic.marks[mark] = None
        yield
        del self.traffic.marks[mark]

    # -- clocks --------------------------------------------------------------------------------------------------

    def _database_ahead(self, choice):
        return self._database_clock(HOUR)

    def _database_behind(self, choice):
        return self._database_clock(-HOUR)

    @contextmanager
    def _database_clock(self, offset: float):
        self.postgres.clock.set(offset)
        yield
        self.postgres.clock.set(0)

    @contextmanager
    def _clock(self, choice: int, offset: float):
        number = choice % len(self.clocks)
        self.clocks[number].set(offset)
        yield f"of host {number + 1}"
        self.clocks[number].set(0)


def _signal(deliverer: dict, number: signal.Signals):
    try:
        os.kill(deliverer["process"], number)
    except ProcessLookupError as error:
        raise Missed("it was dead already") from error
