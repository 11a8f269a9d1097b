# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What people do to the shop: they press what its pages and alarms offer, and change what its forms let them change."""

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from typing import NamedTuple

import psycopg2
import requests
from harness import hands
from harness.hands import Person, Refused
from harness.receivers import get_address, get_receiver
from harness.shop import Shop
from harness.stack import Emulator, Odoo
from harness.till import LOST_ANSWERS, RpcError
from opterp_kkt.transports import PROTOCOLS

WRONG = "wrong"
OTHER_OFD = "Another OFD"
ADMINISTRATOR = "admin"
PATIENCE = 30.0  # s for one button
AGAIN = 0.5  # s between two tries of what has to be put back
IN_FLIGHT = 3.0  # s that a sale which began before a change may still take

# What the pages offer: *Retry* and *Handled* on what was rejected and is open, *Handled* also on what an alarm names as absent,
# *Release Hold* on what is held, *Deliver now* on what waits, *Reset* on a breaker that is not closed.
REJECTED = "SELECT id FROM kkt_receipt WHERE state = 'rejected' AND handled_at IS NULL ORDER BY id"
NAMED = """
    SELECT r.id FROM kkt_alarm a JOIN kkt_receipt r ON r.id = (a.facts ->> 'document')::int
     WHERE a.told_level > 0 AND a.kind IN ('held', 'stuck') AND r.state = 'pending' ORDER BY r.id
"""
HELD = "SELECT register_id AS id FROM kkt_delivery WHERE hold_reason IS NOT NULL ORDER BY id"
STUCK = "SELECT res_id AS id FROM kkt_alarm WHERE kind = 'stuck' AND told_level > 0 ORDER BY id"
WAITING = "SELECT DISTINCT register_id AS id FROM kkt_receipt WHERE state IN ('pending', 'sending') ORDER BY id"
OPEN_SHIFTS = "SELECT id FROM kkt_register WHERE active AND shift_id IS NOT NULL ORDER BY id"
NO_SHIFT = "SELECT id FROM kkt_register WHERE active AND shift_id IS NULL ORDER BY id"
OPEN_SESSIONS = """
    SELECT s.id, s.config_id FROM pos_session s JOIN kkt_register g ON g.pos_config_id = s.config_id
     WHERE g.active AND s.state = 'opened' ORDER BY s.id
"""
NOT_CLOSED = "SELECT id FROM kkt_circuit_breaker WHERE mode = 'automatic' AND state <> 'closed' ORDER BY id"
BREAKERS = "SELECT id FROM kkt_circuit_breaker WHERE mode = 'automatic' ORDER BY id"
REGISTERS = "SELECT id, fiscal_drive_number, pos_config_id, ofd_id FROM kkt_register WHERE active ORDER BY id"
CRONS = """
    SELECT c.id, s.model_id FROM ir_cron c JOIN ir_act_server s ON s.id = c.ir_actions_server_id
     WHERE s.code LIKE '%%_cron_deliver()%%' AND c.active = %s ORDER BY c.id
"""
LAST_ORDER = "SELECT coalesce(max(id), 0) FROM pos_order"


class NotOffered(Exception):
    """No page shows that button now, or it said why it can't be pressed."""


class Way(NamedTuple):
    """How an OFD is reached: by one address or another, with the same credentials."""

    ofd: int
    address: str
    other: str
    credentials: dict[str, str]


class People:
    """A manager and a fiscal administrator, at whichever host answers. What they changed they put back: that they try until
    it works. `answers` are the buttons that did not work and what they said, `without_register` the orders of tills whose
    register was archived: (pos.config, from, to) by their ids.
    """

    def __init__(self, shop: Shop, other: Emulator, ways: list[Way], say_up: Callable[[], list[Odoo]]):
        self.shop = shop
        self.ways = ways
        self.protocol = shop.ofd.protocol
        self.up = say_up
        self.dice = random.Random()
        self.answers: list[tuple[str, str]] = []
        self.said: Counter[str] = Counter()
        self.without_register: list[tuple[int, int, int]] = []
        self._prepare(other)

    def _prepare(self, other: Emulator):
        administrator = hands.fiscal_administrator(self.shop.hosts[0])
        hands.add_manager(administrator)
        address = get_address(self.protocol, 1, other.url)
        values = {"name": OTHER_OFD, "protocol": self.protocol, "url": address, **get_receiver(self.protocol, 1).credentials}
        self.other = administrator.call("kkt.ofd", "create", values)
        self.company = administrator.context["allowed_company_ids"]
        self.model = self.shop.database.query(CRONS, True)[0]["model_id"]

    # -- how they do it ------------------------------------------------------------------------------------------

    def press(self, login: str, button: str, /, *arguments, **values):
        """Press it at a host that is up; NotOffered when the answer is a word of why not, or is lost."""
        host = self.dice.choice(self.up() or self.shop.hosts)
        try:
            person = Person(host, login, login, PATIENCE)
            person.context["allowed_company_ids"] = self.company
            return getattr(person, button)(*arguments, **values)
        except (Refused, RpcError, requests.RequestException, ValueError) as error:
            self._note(f"{login}: {button} {arguments}", error)
            raise NotOffered(f"{button}: {error}") from error

    def _note(self, button: str, error: Exception):
        words = str(error) if isinstance(error, Refused | RpcError) else type(error).__name__
        self.said[words.split(":")[0]] += 1
        if not words.startswith(LOST_ANSWERS) and not isinstance(error, requests.RequestException | ValueError):
            self.answers.append((button, words))

    def surely(self, login: str, button: str, /, *arguments, **values):
        """Press it again and again until it works: what was changed is put back."""
        while True:
            try:
                return self.press(login, button, *arguments, **values)
            except NotOffered:
                time.sleep(AGAIN)

    def _offered(self, statement: str, choice: int, *parameters) -> dict:
        rows = self.shop.database.query(statement, *parameters)
        if not rows:
            raise NotOffered("no page offers that")
        return rows[choice % len(rows)]

    # -- buttons -------------------------------------------------------------------------------------------------

    @contextmanager
    def retried(self, choice):
        receipt = self._offered(REJECTED, choice)["id"]
        self.press(hands.MANAGER, "retry", receipt)
        yield f"receipt {receipt}"

    @contextmanager
    def handled(self, choice):
        receipt = self._offered((NAMED, REJECTED)[choice % 2], choice)["id"]
        self.press(ADMINISTRATOR, "handle", receipt)
        yield f"receipt {receipt}"

    @contextmanager
    def held_by_hand(self, choice):
        register = self._offered(STUCK, choice)["id"]
        self.press(ADMINISTRATOR, "hold", register)
        yield f"register {register}"

    @contextmanager
    def released(self, choice):
        register = self._offered(HELD, choice)["id"]
        self.press(hands.MANAGER, "release_hold", register)
        yield f"register {register}"

    @contextmanager
    def delivered_now(self, choice):
        register = self._offered(WAITING, choice)["id"]
        yield f"register {register}: {self.press(hands.MANAGER, 'deliver_now', register)}"

    @contextmanager
    def shift_closed(self, choice):
        register = self._offered(OPEN_SHIFTS, choice)["id"]
        self.press(hands.MANAGER, "close_shift", register)
        yield f"register {register}"

    @contextmanager
    def shift_opened(self, choice):
        register = self._offered(NO_SHIFT, choice)["id"]
        self.press(hands.MANAGER, "open_shift", register)
        yield f"register {register}"

    @contextmanager
    def session_closed(self, choice):
        """Tills go on selling: Odoo takes nothing until somebody opens the next session, which gets what has waited."""
        session = self._offered(OPEN_SESSIONS, choice)
        try:
            self.press(hands.MANAGER, "close_session", session["id"])
            yield f"session {session['id']}"
        finally:
            self.surely(hands.MANAGER, "open_session", session["config_id"])

    @contextmanager
    def breaker_reset(self, choice):
        breaker = self._offered(NOT_CLOSED, choice)["id"]
        self.press(ADMINISTRATOR, "reset", breaker)
        yield f"breaker {breaker}"

    @contextmanager
    def breaker_forced_open(self, choice):
        breaker = self._offered(BREAKERS, choice)["id"]
        self.press(ADMINISTRATOR, "change", "kkt.circuit.breaker", breaker, mode="forced_open")
        try:
            yield f"breaker {breaker}"
        finally:
            self.surely(ADMINISTRATOR, "change", "kkt.circuit.breaker", breaker, mode="automatic")

    # -- forms ---------------------------------------------------------------------------------------------------

    @contextmanager
    def address_changed(self, choice):
        """To another way to the same OFD, and back; the credentials are typed anew each time."""
        way = self.ways[choice % len(self.ways)]
        self.press(ADMINISTRATOR, "change", "kkt.ofd", way.ofd, url=way.other, **way.credentials)
        try:
            yield f"of OFD {way.ofd}"
        finally:
            self.surely(ADMINISTRATOR, "change", "kkt.ofd", way.ofd, url=way.address, **way.credentials)

    @contextmanager
    def token_changed(self, choice):
        way = self.ways[choice % len(self.ways)]
        declared = PROTOCOLS[self.protocol].credentials
        secret = next(each.name for each in declared if each.secret and each.name in way.credentials)
        self.press(ADMINISTRATOR, "change", "kkt.ofd", way.ofd, **{secret: WRONG})
        try:
            yield f"of OFD {way.ofd}"
        finally:
            self.surely(ADMINISTRATOR, "change", "kkt.ofd", way.ofd, **{secret: way.credentials[secret]})

    @contextmanager
    def ofd_changed(self, choice):
        register = self._offered(REGISTERS, choice)["id"]
        self.press(ADMINISTRATOR, "change", "kkt.register", register, ofd_id=self.other)
        try:
            yield f"of register {register}"
        finally:
            self.surely(ADMINISTRATOR, "change", "kkt.register", register, ofd_id=self.ways[0].ofd)

    @contextmanager
    def drive_moved(self, choice):
        """A register's drive goes to the next register, which sells with it, and comes back."""
        one, two = self._offered(REGISTERS, choice), self._offered(REGISTERS, choice + 1)
        spare = f"9999777{one['id']:09}"
        self.press(ADMINISTRATOR, "change_drive", one["id"], spare)
        try:
            self.surely(ADMINISTRATOR, "change_drive", two["id"], one["fiscal_drive_number"])
            yield f"of register {one['id']} to register {two['id']}"
        finally:
            for row in (two, one):
                self.surely(ADMINISTRATOR, "change_drive", row["id"], row["fiscal_drive_number"])

    @contextmanager
    def register_archived(self, choice):
        register = self._offered(REGISTERS, choice)
        first = self.shop.database.value(LAST_ORDER)
        try:
            self.press(ADMINISTRATOR, "change", "kkt.register", register["id"], active=False)
            yield f"register {register['id']}"
        finally:
            self.surely(ADMINISTRATOR, "change", "kkt.register", register["id"], active=True)
            time.sleep(IN_FLIGHT)
            self.without_register.append((register["pos_config_id"], first, self._last_order()))

    def _last_order(self) -> int:
        while True:
            try:
                return self.shop.database.value(LAST_ORDER)
            except psycopg2.Error:
                time.sleep(AGAIN)

    # -- jobs ----------------------------------------------------------------------------------------------------

    @contextmanager
    def cron_deleted(self, choice):
        cron = self._offered(CRONS, choice, True)["id"]
        self.press(ADMINISTRATOR, "call", "ir.cron", "unlink", [cron])
        try:
            yield f"{cron}, left: {len(self.shop.database.query(CRONS, True))}"
        finally:
            self.add_cron()

    @contextmanager
    def cron_deactivated(self, choice):
        cron = self._offered(CRONS, choice, True)["id"]
        self.press(ADMINISTRATOR, "change", "ir.cron", cron, active=False)
        try:
            yield str(cron)
        finally:
            self.surely(ADMINISTRATOR, "change", "ir.cron", cron, active=True)

    @contextmanager
    def cron_added(self, choice):
        self.add_cron()
        yield

    def add_cron(self):
        self.surely(
            ADMINISTRATOR,
            "call",
            "ir.cron",
            "create",
            {
                "name": "KKT: deliver receipts to the OFD",
                "model_id": self.model,
                "state": "code",
                "code": "model._cron_deliver()",
                "interval_number": 1,
                "interval_type": "minutes",
            },
        )

    # -- at the end ----------------------------------------------------------------------------------------------

    def press_what_is_offered(self):
        """One round: leave out what an alarm names as absent, let go what is held, close what was refused."""
        for login, button, statement in (
            (ADMINISTRATOR, "handle", NAMED),
            (hands.MANAGER, "release_hold", HELD),
            (ADMINISTRATOR, "handle", REJECTED),
        ):
            for row in self.shop.database.query(statement):
                try:
                    self.press(login, button, row["id"])
                except NotOffered:
                    continue
