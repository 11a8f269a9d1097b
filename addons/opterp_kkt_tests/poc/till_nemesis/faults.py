# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What is broken around the tills, for how long, and the schedule that a seed gives."""

import random
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import NamedTuple

import requests
from harness.hands import Refused, fiscal_administrator
from harness.processes import ProcessDied
from harness.proxy import Proxy
from harness.shop import Shop
from harness.stack import Odoo
from harness.till import RpcError

NETWORK = {"network_cut": "cut", "network_slow": "slow", "network_half_open": "half_open", "answers_dropped": "drop_answers"}
OFD = {"ofd_500": {"mode": "fail", "status": 500}, "ofd_503": {"mode": "fail", "status": 503}, "ofd_drops": {"mode": "drop"}}
HOSTS = ("killed", "paused")
BROWSER = ("page_reloaded", "tab_closed", "browser_killed", "logged_out", "clock_ahead", "clock_behind")
KINDS = (*(f"{host}_{fault}" for host in ("server", "deliverer") for fault in HOSTS), *NETWORK, *OFD, *BROWSER, "session_closed")
# Seconds that a fault of a thing lasts, and that pass until the next one of it.
LENGTHS = {"server": (0.5, 4.0), "deliverer": (1.0, 8.0), "network": (1.0, 6.0), "ofd": (2.0, 8.0)}
PAUSES = {
    "server": (12.0, 25.0),
    "deliverer": (5.0, 15.0),
    "network": (6.0, 14.0),
    "ofd": (4.0, 12.0),
    "browser": (4.0, 10.0),
    "session": (20.0, 40.0),
}
OPEN_SESSION = "SELECT id FROM pos_session WHERE config_id = %s AND state = 'opened' AND rescue IS NOT TRUE"


class Planned(NamedTuple):
    """One fault: when it begins (s), what it does to what (a browser: that of a till, by number), for how long."""

    at: float
    kind: str
    thing: str
    seconds: float


def plan(seed: int, seconds: float, tills: int) -> list[Planned]:
    """The schedule of a seed: each thing by itself, one fault of it at a time."""
    chance = random.Random(seed)
    lanes = {host: tuple(f"{host}_{fault}" for fault in HOSTS) for host in ("server", "deliverer")}
    lanes |= {"network": tuple(NETWORK), "ofd": tuple(OFD)}
    for number in range(tills):
        lanes |= {f"browser {number}": BROWSER, f"session {number}": ("session_closed",)}
    planned = [fault for thing, kinds in lanes.items() for fault in _lane(chance, seconds, thing, kinds)]
    return sorted(planned)


def _lane(chance: random.Random, seconds: float, thing: str, kinds: tuple[str, ...]):
    group, at, bag = thing.split()[0], 0.0, []
    while True:
        at += chance.uniform(*PAUSES[group])
        length = chance.uniform(*LENGTHS.get(group, (0.0, 0.0)))
        if at + length > seconds:
            return
        if not bag:  # each kind once before one comes again
            bag = chance.sample(kinds, len(kinds))
        yield Planned(at, bag.pop(), thing, length)
        at += length


class Faults:
    """Breaks what is planned, each in a thread of its own; what is a browser's is left to its cashier."""

    def __init__(self, shop: Shop, server: Odoo, deliverer: Odoo, network: Proxy, cashiers: list):
        self.shop, self.server, self.deliverer, self.network, self.cashiers = shop, server, deliverer, network, cashiers
        self.struck: Counter = Counter()
        self.missed: Counter = Counter()
        self._threads: list[threading.Thread] = []

    def strike(self, fault: Planned):
        thing, _, number = fault.thing.partition(" ")
        if thing == "browser":
            self.cashiers[int(number)].faults.put(fault.kind)
            return
        thread = threading.Thread(target=self._suffer, args=[fault, thing, number], daemon=True)
        self._threads.append(thread)
        thread.start()

    def heal(self):
        """Return when everything is up and whole."""
        for thread in self._threads:
            thread.join()
        self.shop.ofd.mode("ok")

    def _suffer(self, fault: Planned, thing: str, number: str):
        try:
            getattr(self, f"_{thing}")(fault, number)
            self.struck[fault.kind] += 1
        except (Refused, RpcError, requests.RequestException, ValueError) as error:  # the server was away, or said why not
            self.missed[f"{fault.kind}: {str(error) or type(error).__name__}"[:90]] += 1

    def _server(self, fault: Planned, _number: str):
        self._break_host(self.server, fault)

    def _deliverer(self, fault: Planned, _number: str):
        self._break_host(self.deliverer, fault)

    def _break_host(self, host: Odoo, fault: Planned):
        if fault.kind.endswith("paused"):
            with host.paused():
                time.sleep(fault.seconds)
            return
        host.kill()
        time.sleep(fault.seconds)
        while not host.running:
            with suppress(ProcessDied, TimeoutError):
                host.start()

    def _network(self, fault: Planned, _number: str):
        with self.network.broken(NETWORK[fault.kind]):
            time.sleep(fault.seconds)

    def _ofd(self, fault: Planned, _number: str):
        self.shop.ofd.mode(**OFD[fault.kind])
        time.sleep(fault.seconds)
        self.shop.ofd.mode("ok")

    def _session(self, fault: Planned, number: str):
        """An administrator closes it from elsewhere; the till opens the next one when it hears of it."""
        session = self.shop.database.value(OPEN_SESSION, self.cashiers[int(number)].config)
        if not session:
            raise Refused("it is closed")
        fiscal_administrator(self.server).close_session(session)
