# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Tills that never give up: they sell and take back the whole time, at whichever host answers."""

import random
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

import requests
from core import hlc
from harness.shop import Shop
from harness.till import RpcError, Till

REFUSED = "nemesis: refused"  # in a line's name: the OFD refuses such a document for good
PATIENCE = 8.0  # s that a till waits for an answer before it asks another host
NO_SESSION = "No open session available"  # what Odoo says to a till whose session was closed, until the next one is opened
SESSION_EXPIRED = "odoo.http.SessionExpiredException"
NO_ANSWER = (requests.RequestException, RpcError, ValueError)  # ValueError: an answer that is no JSON


@dataclass
class Sale:
    """One order as its till sent it; times in s on the monotonic clock."""

    order: dict
    till: int
    refunds: "Sale | None" = None
    sent: float = 0.0
    answered: float = 0.0
    row: dict | None = None

    @property
    def uuid(self) -> str:
        return self.order["uuid"]


class Cashier(threading.Thread):
    """One till: an order, its answer, the next order. While no answer comes the same order is sent again, same
    uuid, to another host, as the browser does. Its stamps come from a clock of its own, which is a little off.
    """

    def __init__(self, traffic: "Traffic", number: int, till: Till):
        super().__init__(name=f"till {number}", daemon=True)
        self.traffic = traffic
        self.number = number
        self.till = till
        self.random = random.Random(f"{traffic.seed}/{number}")
        self.skew = self.random.choice((0, 0, 30_000, -3_600_000))  # ms
        self.stamp = hlc.Timestamp(0, 0, f"till-{number}")

    def run(self):
        while not self.traffic.closing.wait(self.random.expovariate(self.traffic.rate)):
            sale = self._patiently(self._next)
            if sale:
                self._serve(sale)

    def _next(self) -> Sale:
        sold = self.random.random() < 0.2 and self.traffic.take_refundable()
        if sold:
            return Sale(self.till.refund_order(sold.row, **self._values()), self.number, sold)
        return Sale(self.till.order(self._lines(), payments="exact", **self._values()), self.number)

    def _values(self) -> dict:
        self.stamp = hlc.tick(self.stamp, int(time.time() * 1000) + self.skew)
        return {"kkt_hlc": self.stamp._asdict()}

    def _lines(self) -> list:
        lines = [self._line() for _line in range(self.random.randint(1, 3))]
        mark = next(iter(self.traffic.marks), None)
        if mark and self.random.random() < 0.5:
            product = lines[0].product
            lines[0].product = product | {"display_name": f"{product['display_name']} ({mark})"}
        return lines

    def _line(self):
        product = self.random.choice(self.till.products)
        return self.till.line(product, self.random.randint(1, 3), discount=self.random.choice((0, 0, 10)))

    def _serve(self, sale: Sale):
        sale.sent = time.monotonic()
        self.traffic.sales.append(sale)
        sale.row = self._patiently(lambda: self.till.sync(sale.order))
        if sale.row:
            sale.answered = time.monotonic()
            self._see(sale.row)
            if not sale.refunds:
                self.traffic.refundable.append(sale)

    def _see(self, row: dict):
        """The next stamp is later than every receipt that this till has seen, as in the browser.

        Integers of eight bytes are read as floats, which to JavaScript is the same.
        """
        stamps = [document["hlc"] for document in row.get("kkt_documents") or [] if document.get("hlc")]
        seen = [hlc.parse({**stamp, "local_time": int(stamp["local_time"])}) for stamp in stamps]
        self.stamp = max([self.stamp, *seen])._replace(node=self.stamp.node)

    def _patiently(self, call):
        """What `call` returns, at one host or another; None when the shop was given up meanwhile."""
        while not self.traffic.given_up.is_set():
            try:
                return call()
            except NO_ANSWER as error:
                self._move_on(error)

    def _move_on(self, error: Exception):
        name = NO_SESSION if NO_SESSION in str(error) else getattr(error, "name", "") or type(error).__name__
        self.traffic.complaints[name] += 1
        self.traffic.given_up.wait(0.3)
        with suppress(*NO_ANSWER):
            self.till.move_to(self.random.choice(self.traffic.shop.hosts))
            if getattr(error, "name", "") == SESSION_EXPIRED:
                self.till.authenticate()


class Traffic:
    """All tills of a shop. `rate` is orders per second and till; every second sale has one of the `marks` in a line's name,
    as long as there are any: by them the OFD, or what stands in front of it, knows what it does not like.
    """

    def __init__(self, shop: Shop, seed: int, tills: int, rate: float):
        self.shop = shop
        self.seed = seed
        self.rate = rate
        self.sales: list[Sale] = []
        self.refundable: list[Sale] = []
        self.complaints: Counter[str] = Counter()
        self.closing = threading.Event()
        self.given_up = threading.Event()
        self.marks: dict[str, None] = {}  # in the order in which they came
        shop.ofd.refuse(REFUSED)
        self.cashiers = [Cashier(self, number, self._open(number, tills)) for number in range(tills)]

    def _open(self, number: int, tills: int) -> Till:
        host = self.shop.hosts[number % len(self.shop.hosts)]
        if not number:
            self.shop.till(host, tills - 1, delivers=False)  # adds what is missing
        return self.shop.till(host, number, delivers=False, timeout=PATIENCE)

    def start(self):
        for cashier in self.cashiers:
            cashier.start()

    def close(self, seconds: float):
        """Begin no more orders; give those that have no answer yet so long to get one."""
        stopped = [cashier.name for cashier in self.cashiers if not cashier.is_alive()]
        assert not stopped, f"sold no more, for a mistake of this proof: {stopped}"
        self.closing.set()
        deadline = time.monotonic() + seconds
        for cashier in self.cashiers:
            cashier.join(max(0, deadline - time.monotonic()))
        self.given_up.set()

    def take_refundable(self) -> Sale | None:
        """An order of any till that was paid and not taken back yet."""
        with suppress(IndexError):
            return self.refundable.pop()

    @property
    def unanswered(self) -> list[Sale]:
        return [sale for sale in self.sales if not sale.row]

    def answered_before(self) -> list[tuple[str, str]]:
        """Pairs of uuids (cause, effect): a till's order and its next one, an order and its refund."""
        pairs = [(sale.refunds.uuid, sale.uuid) for sale in self.sales if sale.refunds]
        last: dict[int, Sale] = {}
        for sale in self.sales:
            before = last.get(sale.till)
            if before and before.answered and before.answered < sale.sent:
                pairs.append((before.uuid, sale.uuid))
            last[sale.till] = sale
        return pairs
