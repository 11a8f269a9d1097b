# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The story of one seed: a server that delivers, cashiers at their tills, faults, the final heal, the verdict."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from harness.processes import wait_until
from harness.proxy import Proxy
from harness.shop import Shop
from poc.till_nemesis.cashier import Cashier
from poc.till_nemesis.faults import Faults, plan
from poc.till_nemesis.verdict import in_the_tills_order, kept, nothing_else, true_on_the_screen

RECOVERY = 3  # s that the breaker stays open
GRACE = 400.0  # s after the heal, in which every till has sent what it has: longer than its longest pause
LOOK = 60.0  # s until a screen is asked for the last time: it asks by itself every 30 s, if the bus is down
STATES = "SELECT o.uuid, r.state FROM kkt_receipt r JOIN pos_order o ON o.id = r.pos_order_id"


@dataclass
class Result:
    """What happened and what was wrong with it."""

    violations: list[str]
    struck: Counter
    missed: Counter
    cashiers: list[Cashier]
    recovery: float
    truth: float

    def figures(self) -> dict[str, str]:
        troubles = sum((cashier.troubles for cashier in self.cashiers), Counter())
        struck = sum((cashier.struck for cashier in self.cashiers), self.struck)
        kinds = Counter(promise.kind for cashier in self.cashiers for promise in cashier.promises.values())
        return {
            "shown as paid": str(kinds.total()),
            **{f"  {kind}s": str(count) for kind, count in sorted(kinds.items())},
            "confirmed": str(sum(len(cashier.tried) for cashier in self.cashiers)),
            "faults": str(struck.total()),
            **{f"  {kind}": str(count) for kind, count in sorted(struck.items())},
            **{f"met nothing: {words}": str(count) for words, count in self.missed.items()},
            "steps that did not go on": str(troubles.total()),
            "errors of pages": str(sum(len(cashier.errors) for cashier in self.cashiers)),
            "all sent and delivered": f"{self.recovery:.1f} s after the heal",
            "screens true": f"{self.truth:.1f} s later",
            "violations": str(len(self.violations)),
        }

    def table(self) -> str:
        return "\n".join(f"  {name:34} {value}" for name, value in self.figures().items())


class TillNemesis:
    """One run: `run` returns its result, whatever happened; `say` gets a line now and then."""

    def __init__(self, seed: int, seconds: float, say: Callable[[str], None], tills: int = 2):
        self.seed, self.seconds, self.say, self.tills = seed, seconds, say, tills

    def run(self) -> Result:
        with ExitStack() as stack:
            self.shop = stack.enter_context(Shop())
            self.shop.database.execute("UPDATE kkt_circuit_breaker SET recovery_timeout = %s", RECOVERY)
            server, deliverer = self.shop.host(crons=0), self.shop.host()
            configs = [self.shop.till(server, number).config_id for number in range(self.tills)]
            network = stack.enter_context(Proxy(server.port))
            self.cashiers = [Cashier(number, network.url, config, self.seed) for number, config in enumerate(configs)]
            stack.callback(self._dismiss)
            self.faults = Faults(self.shop, server, deliverer, network, self.cashiers)
            return self._story()

    def _story(self) -> Result:
        for cashier in self.cashiers:
            cashier.start()
        wait_until(lambda: all(c.promises or c.help_needed for c in self.cashiers), 600, "the first sales", 0.5)
        self.say(f"{self.tills} tills sell")
        self._rage()
        began = time.monotonic()
        late = self._heal()
        healed = time.monotonic()
        wrong = self._look()
        times = healed - began, time.monotonic() - healed
        return Result(late + wrong + self._judge(), self.faults.struck, self.faults.missed, self.cashiers, *times)

    def _rage(self):
        planned, began = plan(self.seed, self.seconds, self.tills), time.monotonic()
        while (at := time.monotonic() - began) < self.seconds:
            while planned and planned[0].at <= at:
                self.say(f"{at:4.0f} s  {planned[0].kind} ({planned[0].thing}), {self._count()} shown as paid")
                self.faults.strike(planned.pop(0))
            time.sleep(0.1)

    def _count(self) -> int:
        return sum(len(cashier.promises) for cashier in self.cashiers)

    def _heal(self) -> list[str]:
        self.say("healing")
        self.faults.heal()
        for cashier in self.cashiers:
            cashier.stopped.set()
        try:
            wait_until(self._is_settled, GRACE, "what the tills have", 0.5)
        except TimeoutError:
            return [f"late: of till {c.number} {getattr(c, 'unsent', 'all')} unsent" for c in self.cashiers] + [
                f"late: {self.shop.unfinished()} not delivered"
            ]
        return []

    def _is_settled(self) -> bool:
        asked = all(getattr(cashier, "unsent", 1) == 0 or cashier.help_needed for cashier in self.cashiers)
        return asked and not self.shop.unfinished()

    def _look(self) -> list[str]:
        """Wait until the screens are true, as they become without a click; return what is not in the end."""
        try:
            wait_until(lambda: not self._untrue(), LOOK, "true screens", 0.5)
        except TimeoutError:
            return self._untrue()
        finally:
            self._dismiss()
        return []

    def _untrue(self) -> list[str]:
        states = {row["uuid"]: row["state"] for row in self.shop.database.query(STATES)}
        wrong = [words for cashier in self.cashiers for words in true_on_the_screen(cashier.shown, states)]
        icons = [(cashier.number, getattr(cashier, "color", None) or "no icon") for cashier in self.cashiers]
        return wrong + [f"till {number} shows {color}" for number, color in icons if "text-success" not in color]

    def _dismiss(self):
        for cashier in self.cashiers:
            cashier.stopped.set()
            cashier.gone.set()
        for cashier in self.cashiers:
            if cashier.ident:
                cashier.join(60)

    def _judge(self) -> list[str]:
        receipts, history = self.shop.receipts(), self.shop.ofd.history()
        promises = [promise for cashier in self.cashiers for promise in cashier.promises.values()]
        tried = {uuid for cashier in self.cashiers for uuid in cashier.tried}
        return [
            *[f"till {c.number} needs help: {c.help_needed}" for c in self.cashiers if c.help_needed],
            *[f"till {c.number}: {words}" for c in self.cashiers for words in c.untrue],
            *kept(promises, receipts, history),
            *nothing_else(tried, receipts),
            *in_the_tills_order(promises, receipts),
            *self.shop.violations(),
        ]
