# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A document that the OFD always answers 5xx while others pass: its register is held, somebody is told, and the other
register does not notice. Then a person lets it go on, or leaves the document out.
"""

import time

from harness import judge
from harness.contest import Breaker, set_number
from harness.judge import first_acceptances
from harness.processes import wait_until
from harness.shop import Shop
from harness.till import Client, Till

TRIES = 3
BACKOFF = 1.0  # s at most, so that the tries don't take minutes
PRICE = 777.77  # by which the emulator knows a bad document
BAD = '"price":77777,'
REASON = "put right by a correction receipt"
HELD = "SELECT register_id, hold_reason, hold_receipt_id FROM kkt_delivery WHERE hold_reason IS NOT NULL"
KEY = "SELECT idempotency_key FROM kkt_receipt WHERE pos_order_id = %s"
TOLD = """
    SELECT a.id, (SELECT count(*) FROM mail_activity m WHERE m.kkt_alarm_id = a.id AND m.active) AS activities,
           (SELECT count(*) FROM mail_mail) AS mails
      FROM kkt_alarm a WHERE kind = 'held' AND told_level > 0 AND res_id = %s
"""


class Poisoned:
    """A shop with two tills; on the first one bad documents are sold."""

    def __init__(self, shop: Shop):
        self.shop = shop
        host = shop.host(crons=4)
        self.client = Client(host)
        self.client.call("res.users", "write", [self.client.uid], {"email": "admin@shop.example"})
        set_number(self.client, "poison_tries", TRIES)
        set_number(self.client, "backoff_max", BACKOFF)
        Breaker(shop, host).write(recovery_timeout=2)  # it may open once, before it is known that others pass
        self.bad, self.good = (shop.till(host, number) for number in range(2))
        self.sold_well: list[str] = []  # keys of the good till's receipts
        self.latest = 0.0  # s that the good till's receipts took at most

    def sell_bad(self) -> str:
        """Sell a document that the OFD can't take, and two after it; return its key."""
        self.shop.ofd.fail_matching(BAD)
        order = self.bad.sell([self.bad.line(price=PRICE)])
        for _number in range(2):
            self.bad.sell()
        return self.shop.database.value(KEY, order["id"])

    def sell_until_held(self) -> dict:
        """Sell at the good till, one receipt after the other, until the other till's register is held."""
        deadline = time.monotonic() + 600
        while not (held := self.shop.database.query(HELD)):
            assert time.monotonic() < deadline, "not held"
            self.latest = max(self.latest, self._sell_good(self.good))
        [held] = held
        return held

    def _sell_good(self, till: Till) -> float:
        count = len(self.shop.ofd.accepted())
        began = time.monotonic()
        self.sold_well.append(self.shop.database.value(KEY, till.sell()["id"]))
        self.shop.ofd.wait_accepted(count + 1)
        return time.monotonic() - began

    def wait_told(self, held: dict) -> dict:
        """Wait until people are told of it."""
        found = wait_until(lambda: self.shop.database.query(TOLD, held["register_id"]), 300, "an alarm")
        return found[0]

    def of(self, key: str) -> list[dict]:
        """The requests about a document."""
        return [request for request in self.shop.ofd.history() if request["key"] == key]


def test_a_document_that_never_passes_holds_its_register(shop, report):
    with report.scenario("poison: a document always answered 500 while others pass") as scenario:
        poisoned = Poisoned(shop)
        key = poisoned.sell_bad()
        held = poisoned.sell_until_held()
        told = poisoned.wait_told(held)
        requests_made = poisoned.of(key)
        sent = [request for request in requests_made if request["method"] == "POST"]
        assert len(sent) > TRIES, "only tries count between which others passed"
        assert requests_made[-1]["outcome"] == "lookup_miss" and len(requests_made) == 2 * len(sent), "asked before each sending"
        assert told["activities"] and told["mails"]
        others = [r["outcome"] for r in shop.ofd.history() if r["key"] in poisoned.sold_well]
        assert others == ["accepted"] * len(poisoned.sold_well), "the other register does not notice"
        scenario.figure(
            f"register held after {len(sent)} tries, each proven absent; the other register's slowest receipt took"
            f" {poisoned.latest:.1f} s; {told['activities']} activities, {told['mails']} e-mails"
        )

        _heal_and_release(poisoned, held)
        assert shop.violations() == []
        scenario.figure("released when the OFD had been mended: delivered, and all after it, in order")

        key = poisoned.sell_bad()
        held = poisoned.sell_until_held()
        _mark_as_handled(poisoned, held)
        assert _violations_without(shop, key) == []
        scenario.figure("marked as handled: left out, and all after it delivered in order")


def _heal_and_release(poisoned: Poisoned, held: dict):
    poisoned.shop.ofd.fail_matching("")
    poisoned.client.call("kkt.register", "action_release_hold", [held["register_id"]])
    poisoned.shop.settle()
    gone = "SELECT count(*) = 0 FROM kkt_alarm WHERE kind = 'held'"
    wait_until(lambda: poisoned.shop.database.value(gone), 300, "end of the alarm")


def _mark_as_handled(poisoned: Poisoned, held: dict):
    """What the dialog does, over RPC."""
    client, receipt = poisoned.client, held["hold_receipt_id"]
    action = client.call("kkt.receipt", "action_handle", [receipt])
    dialog = client.call("kkt.receipt.handle", "create", {"receipt_ids": [[6, 0, [receipt]]], "reason": REASON})
    client.call(action["res_model"], "action_confirm", [dialog])
    poisoned.shop.settle()


def _violations_without(shop: Shop, key: str) -> list[str]:
    """Judge all but the one document that a person left out."""
    history, receipts = shop.ofd.history(), shop.receipts()
    [left_out] = [receipt for receipt in receipts if receipt.key == key]
    assert left_out.state == "rejected" and key not in {request["key"] for request in shop.ofd.accepted()}
    others = [receipt for receipt in receipts if receipt.key != key]
    assert sum(map(len, first_acceptances(history).values())) == len(others)
    return [
        *judge.accepted_exactly_once(history, others),
        *judge.bytes_never_change(history),
        *judge.in_order(history, [key]),
        *judge.one_in_flight(history),
        *judge.epochs_never_fall(history),
        *judge.clocks_grow(receipts),
    ]
