# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A server is killed with SIGKILL while it delivers, again and again: nothing is lost, nothing is accepted twice, the
order is kept.
"""

import random
import time

from harness.contest import set_number
from harness.judge import first_acceptances
from harness.processes import wait_until
from harness.shop import Shop
from harness.stack import FAILING, Odoo
from harness.till import Till

WAITING = 16  # receipts, at every kill
ANSWER_SECONDS = 0.7  # slow enough that every kill meets documents under way
POINTS = {"after_claim": False, "before_send": False, "after_answer": True, "before_record": True}  # has the OFD got it?
RANDOM_KILLS = 3

FAILPOINT = "opterp_kkt_tests.failpoint"
SET_FAILPOINT = """
    INSERT INTO ir_config_parameter (key, value) VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""
GET_FAILPOINT = "SELECT value FROM ir_config_parameter WHERE key = %s"
STATE = "SELECT state FROM kkt_receipt WHERE idempotency_key = %s"
SENDING = "SELECT idempotency_key AS key FROM kkt_receipt WHERE state = 'sending'"
LEFT = "SELECT count(*) FROM kkt_receipt WHERE idempotency_key = ANY(%s) AND state IN ('pending', 'sending')"


class Drain:
    """A queue that one server drains slowly, until it is killed and started again."""

    def __init__(self, shop: Shop, host: Odoo, tills: list[Till]):
        self.shop = shop
        self.host = host
        self.tills = tills
        self.torn: set[str] = set()  # keys of what a kill left half done

    def go_on(self) -> float:
        """Start the server again; return the seconds until what the dead one held was delivered."""
        accepted = len(self.shop.ofd.accepted())
        held = list(self.torn)
        self.shop.ofd.mode("wait")  # else a slow machine sells no faster than the server delivers
        self.host.restart()
        sell_until_enough_wait(self.shop, self.tills)
        self.shop.ofd.mode("slow", seconds=ANSWER_SECONDS)
        began = time.monotonic()
        wait_until(lambda: not self.shop.database.value(LEFT, held), 300, "delivery of what the dead process held")
        taken_over = time.monotonic() - began
        self.shop.ofd.wait_accepted(accepted + 2)
        return taken_over

    def die_at(self, point: str) -> str:
        """Have the server kill itself at a failpoint; return the key of the document that it was delivering there."""
        self.shop.database.execute(SET_FAILPOINT, FAILPOINT, point)
        wait_until(lambda: not self.host.running, 300, f"death of the server at {point}")
        return self.shop.database.value(GET_FAILPOINT, FAILPOINT)

    def note_torn(self) -> int:
        keys = {row["key"] for row in self.shop.database.query(SENDING)}
        self.torn |= keys
        return len(keys)


def test_a_server_killed_while_it_delivers_loses_and_repeats_nothing(environment, report):
    with report.scenario("kill -9 in the middle of a drain") as scenario, Shop(template=FAILING) as shop:
        drain = Drain(shop, *_sell_ahead(shop))
        scenario.step(f"{shop.unfinished()} receipts wait; the OFD takes {ANSWER_SECONDS} s for each")
        for point, known in POINTS.items():
            drain.go_on()
            key = drain.die_at(point)
            assert drain.note_torn() and shop.database.value(STATE, key) == "sending", "the claim is committed before the send"
            assert (key in {request["key"] for request in shop.ofd.accepted()}) == known
            scenario.step(f"killed {point.replace('_', ' ')}; {shop.unfinished()} receipts wait")
        for _number in range(RANDOM_KILLS):
            seconds = drain.go_on()
            time.sleep(random.uniform(0, ANSWER_SECONDS))
            drain.host.kill()
            scenario.step(
                f"what was left half done is delivered {seconds:.1f} s after the restart; killed again with"
                f" {drain.note_torn()} under way; {shop.unfinished()} receipts wait"
            )
        drain.go_on()
        shop.ofd.mode("drop", count=1)
        shop.settle()
        _judge(shop, drain, scenario)


def sell_until_enough_wait(shop: Shop, tills: list[Till]):
    while shop.unfinished() < WAITING:
        for till in tills:
            till.sell()


def _sell_ahead(shop: Shop) -> tuple[Odoo, list[Till]]:
    """Fill both tills' queues at a host that doesn't deliver yet."""
    shop.ofd.mode("slow", seconds=ANSWER_SECONDS)
    host = shop.host(crons=0)
    tills = [shop.till(host, number) for number in range(2)]
    set_number(tills[0], "request_timeout", 600)
    sell_until_enough_wait(shop, tills)
    host.crons = 2
    return host, tills


def _judge(shop: Shop, drain: Drain, scenario):
    history = shop.ofd.history()
    assert shop.violations() == []
    asked = {request["key"] for request in history if request["method"] == "GET"}
    assert drain.torn <= asked, "what was left half done is asked for before it is sent again"
    assert not [request for request in history if request["outcome"] == "duplicate"], "nothing known was sent again"
    dropped = {request["key"] for request in history if request["outcome"] == "dropped" and request["accepted"]}
    assert dropped and dropped <= {request["key"] for request in history if request["outcome"] == "lookup_hit"}
    kills = len(POINTS) + RANDOM_KILLS
    accepted = sum(map(len, first_acceptances(history).values()))
    scenario.figure(f"{kills} kills left {len(drain.torn)} documents half done; {len(asked)} were asked for before sending")
    scenario.figure(f"{accepted} receipts accepted by the OFD, none lost, none twice, each register's in order")
