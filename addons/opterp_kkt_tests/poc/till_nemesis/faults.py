# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What is broken around the tills, for how long, and the schedule that a seed gives."""

import random
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import NamedTuple

from harness.processes import ProcessDied
from harness.proxy import Proxy
from harness.shop import Shop
from harness.stack import Odoo

NETWORK = {"network_cut": "cut", "network_slow": "slow", "network_half_open": "half_open", "answers_dropped": "drop_answers"}
OFD = {"ofd_500": {"mode": "fail", "status": 500}, "ofd_503": {"mode": "fail", "status": 503}, "ofd_drops": {"mode": "drop"}}
BROWSER = ("page_reloaded", "tab_closed", "browser_killed", "session_ended", "clock_ahead", "clock_behind")
KINDS = ("server_killed", *NETWORK, *OFD, *BROWSER)
LENGTHS = {"server": (0.5, 4.0), "network": (1.0, 6.0), "ofd": (2.0, 8.0), "browser": (0.0, 0.0)}
PAUSES = {"server": (15.0, 30.0), "network": (6.0, 14.0), "ofd": (4.0, 12.0), "browser": (4.0, 10.0)}


class Planned(NamedTuple):
    """One fault: when it begins (s), what it does to what (a browser: that of a till, by number), for how long."""

    at: float
    kind: str
    thing: str
    seconds: float


def plan(seed: int, seconds: float, tills: int) -> list[Planned]:
    """The schedule of a seed: each thing by itself, one fault of it at a time."""
    chance = random.Random(seed)
    lanes = {"server": ("server_killed",), "network": tuple(NETWORK), "ofd": tuple(OFD)}
    lanes |= {f"browser {number}": BROWSER for number in range(tills)}
    planned = [fault for thing, kinds in lanes.items() for fault in _lane(chance, seconds, thing, kinds)]
    return sorted(planned)


def _lane(chance: random.Random, seconds: float, thing: str, kinds: tuple[str, ...]):
    group, at, bag = thing.split()[0], 0.0, []
    while True:
        at += chance.uniform(*PAUSES[group])
        length = chance.uniform(*LENGTHS[group])
        if at + length > seconds:
            return
        if not bag:  # each kind once before one comes again
            bag = chance.sample(kinds, len(kinds))
        yield Planned(at, bag.pop(), thing, length)
        at += length


class Faults:
    """Breaks what is planned, each in a thread of its own; what is a browser's is left to its cashier."""

    def __init__(self, shop: Shop, host: Odoo, network: Proxy, cashiers: list):
        self.shop, self.host, self.network, self.cashiers = shop, host, network, cashiers
        self.struck: Counter = Counter()
        self._threads: list[threading.Thread] = []

    def strike(self, fault: Planned):
        self.struck[fault.kind] += 1
        if fault.thing.startswith("browser"):
            self.cashiers[int(fault.thing.split()[1])].faults.put(fault.kind)
            return
        thread = threading.Thread(target=getattr(self, f"_{fault.thing}"), args=[fault], daemon=True)
        self._threads.append(thread)
        thread.start()

    def heal(self):
        """Return when everything is up and whole."""
        for thread in self._threads:
            thread.join()
        self.shop.ofd.mode("ok")

    def _server(self, fault: Planned):
        self.host.kill()
        time.sleep(fault.seconds)
        while not self.host.running:
            with suppress(ProcessDied, TimeoutError):
                self.host.start()

    def _network(self, fault: Planned):
        with self.network.broken(NETWORK[fault.kind]):
            time.sleep(fault.seconds)

    def _ofd(self, fault: Planned):
        self.shop.ofd.mode(**OFD[fault.kind])
        time.sleep(fault.seconds)
        self.shop.ofd.mode("ok")
