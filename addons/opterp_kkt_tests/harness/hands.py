# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The people of a shop, who press what its pages offer: a manager of the point of sale and a fiscal administrator."""

from contextlib import suppress

from harness.shop import Shop
from harness.stack import Odoo
from harness.till import Client, RpcError

PRICE = 777.77  # by which the emulator knows a bad document
BAD = '"price":77777,'
NO_WORDS = '{"error": {"code": "<hr>", "message": ""}}'  # the contract's error object, of which no word is left to show
REASON = "put right by a correction receipt"
MANAGER = "manager"
SAID = ("odoo.exceptions.UserError", "odoo.exceptions.AccessError", "odoo.exceptions.ValidationError")
ALARMS = """
    SELECT a.id, a.kind, a.res_model, a.res_id, a.facts,
           (SELECT count(*) FROM mail_activity m WHERE m.kkt_alarm_id = a.id AND m.active) AS activities
      FROM kkt_alarm a WHERE a.told_level > 0 ORDER BY a.id
"""


def set_numbers(client: Client, **numbers: float):
    """Set `opterp_kkt.<name>` for the runs that begin from now on."""
    for name, number in numbers.items():
        client.call("ir.config_parameter", "set_param", f"opterp_kkt.{name}", str(number))


def add_manager(admin: Client):
    """A user who manages the point of sale, and is no fiscal administrator."""
    groups = [
        admin.first("ir.model.data", [("module", "=", module), ("name", "=", name)], ["res_id"])["res_id"]
        for module, name in (("base", "group_user"), ("point_of_sale", "group_pos_manager"))
    ]
    company = admin.first("kkt.register", [], ["company_id"])["company_id"][0]
    admin.call(
        "res.users",
        "create",
        {
            "name": MANAGER,
            "login": MANAGER,
            "password": MANAGER,
            "group_ids": [[6, 0, groups]],
            "company_ids": [[6, 0, [company]]],
            "company_id": company,
        },
    )


class Refused(Exception):
    """The page says why this can't be done now."""


class Person(Client):
    """Somebody at one host. Buttons are methods of the name that the page shows."""

    def call(self, *arguments, **options):
        try:
            return super().call(*arguments, **options)
        except RpcError as error:
            if error.name in SAID:
                raise Refused(str(error)) from error
            raise

    def retry(self, *receipts: int):
        self.call("kkt.receipt", "action_retry", list(receipts))

    def handle(self, *receipts: int, reason: str = REASON):
        """What *Mark as Handled* and its dialog do."""
        action = self.call("kkt.receipt", "action_handle", list(receipts))
        dialog = self.call(action["res_model"], "create", {"receipt_ids": [[6, 0, list(receipts)]], "reason": reason})
        self.call(action["res_model"], "action_confirm", [dialog])

    def correct(self, model: str, record: int, rate: str):
        """Go through the dialog of a wrong receipt, or of an order without receipt, whose lines are at this rate."""
        action = self.call(model, {"kkt.receipt": "action_correct", "pos.order": "action_kkt_correct"}[model], [record])
        draft = action["res_id"]
        lines = self.call("kkt.correction.draft.line", "search", [("draft_id", "=", draft)])
        self.call("kkt.correction.draft", "action_next", [draft])
        self.change("kkt.correction.draft", draft, line_ids=[[1, line, {"vat_rate": rate}] for line in lines])
        self.call("kkt.correction.draft", "action_next", [draft])
        self.call("kkt.correction.draft", "action_sign", [draft])

    def hold(self, *registers: int):
        self.call("kkt.register", "action_hold", list(registers))

    def release_hold(self, *registers: int):
        self.call("kkt.register", "action_release_hold", list(registers))

    def open_shift(self, *registers: int):
        self.call("kkt.register", "action_open_shift", list(registers))

    def close_shift(self, *registers: int):
        self.call("kkt.register", "action_close_shift", list(registers))

    def close_session(self, session: int):
        """What the closing popup does, with as much cash as there must be."""
        expected = self.call("pos.session", "get_closing_control_data", [session])["default_cash_details"]
        if expected:
            self._want(self.call("pos.session", "post_closing_cash_details", [session], expected["amount"]))
        self._want(self.call("pos.session", "close_session_from_ui", [session], []))

    def _want(self, answer: dict):
        if not answer["successful"]:
            raise Refused(f"odoo.exceptions.UserError: {answer.get('message')}")

    def open_session(self, config: int):
        """What the button on the point of sale's card and the opening popup do."""
        self.call("pos.config", "open_ui", [config])
        domain = [("config_id", "=", config), ("state", "=", "opening_control"), ("rescue", "=", False)]
        for session in self.call("pos.session", "search", domain):
            self.call("pos.session", "set_opening_control", [session], 0, "")

    def change_drive(self, register: int, number: str):
        """Close the shift and put another fiscal drive in; refused where a sale was quicker and has opened the next shift."""
        with suppress(Refused):  # none is open
            self.close_shift(register)
        self.change("kkt.register", register, fiscal_drive_number=number)

    def deliver_now(self, *registers: int) -> dict:
        return self.call("kkt.register", "action_deliver", list(registers))

    def reset(self, *breakers: int):
        self.call("kkt.circuit.breaker", "action_reset", list(breakers))

    def change(self, model: str, record: int, **values):
        """Type into a form and save it."""
        self.call(model, "write", [record], values)


def fiscal_administrator(host: Odoo) -> Person:
    person = Person(host)
    person.context["allowed_company_ids"] = [person.first("kkt.register", [], ["company_id"])["company_id"][0]]
    return person


def alarms(shop: Shop, *kinds: str) -> list[dict]:
    """What people were told of and is not over."""
    return [alarm for alarm in shop.database.query(ALARMS) if not kinds or alarm["kind"] in kinds]


def receipts_of(shop: Shop, *orders: dict) -> list[dict]:
    """The receipts of orders (rows of a till's answer), in the same order."""
    rows = shop.database.query("SELECT * FROM kkt_receipt WHERE pos_order_id = ANY(%s)", [order["id"] for order in orders])
    found = {row["pos_order_id"]: row for row in rows}
    return [found[order["id"]] for order in orders]
