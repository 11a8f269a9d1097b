# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the POS browser does, without the browser: it opens a till, builds orders as Odoo 19 serialises them,
syncs them.
"""

import json
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

import requests
from harness.stack import Odoo

KOPECK = Decimal("0.01")
NOTHING_PREPARED = {"lines": {}, "metadata": {}, "general_customer_note": "", "internal_note": "", "sittingMode": 0}

# What a crash looks like to a till, or a server that is late: names of errors that begin so.
LOST_ANSWERS = (
    "Connect",
    "HTTPError",
    "JSONDecodeError",
    "ReadTimeout",
    "psycopg2.OperationalError",
    "psycopg2.InterfaceError",
    "psycopg2.errors.AdminShutdown",
    "psycopg2.errors.CannotConnectNow",
    "psycopg2.errors.CrashShutdown",
    "psycopg2.errors.SerializationFailure",
    "odoo.http.SessionExpired",
)


class RpcError(RuntimeError):
    """The server answered with an error; `name` is its exception class, e.g. odoo.exceptions.UserError."""

    def __init__(self, error: dict):
        data = error.get("data") or {}
        self.name = data.get("name", "")
        self.debug = data.get("debug", "")
        super().__init__(f"{self.name}: {data.get('message') or error.get('message')}")


class Client:
    """A logged-in user of one Odoo host, over JSON-RPC as a browser speaks it.

    A host that is down raises requests.ConnectionError, one that hangs requests.Timeout, an answer that is an
    error RpcError. Clients of one user at one host share his session, as windows of one browser do: to check a password takes
    longer than a sale.
    """

    _sessions: dict[tuple, tuple] = {}  # cookies, and what the server told at the login

    def __init__(self, odoo: Odoo, login: str = "admin", password: str = "admin", timeout: float = 300.0):
        self.odoo = odoo
        self.login = login
        self.password = password
        self.timeout = timeout
        self.context: dict = {}
        if self._key in self._sessions:
            self._enter(*self._sessions[self._key])
        else:
            self.authenticate()

    @property
    def _key(self) -> tuple:
        return self.odoo.url, self.odoo.database.name, self.login

    def authenticate(self):
        """Log in, whoever is logged in."""
        self.http = requests.Session()
        info = self._rpc("/web/session/authenticate", db=self.odoo.database.name, login=self.login, password=self.password)
        self._sessions[self._key] = self.http.cookies, info
        self._enter(self.http.cookies, info)

    def _enter(self, cookies, info: dict):
        self.http = requests.Session()
        self.http.cookies.update(cookies)
        self.uid = info["uid"]
        self.context |= info["user_context"]

    def _rpc(self, path: str, **params):
        body = {"jsonrpc": "2.0", "method": "call", "id": 1, "params": params}
        answer = self.http.post(self.odoo.url + path, json=body, timeout=self.timeout)
        answer.raise_for_status()
        if error := answer.json().get("error"):
            raise RpcError(error)
        return answer.json().get("result")

    def call(self, model: str, method: str, *args, context: dict | None = None, **kwargs):
        kwargs["context"] = self.context | (context or {})
        return self._rpc(f"/web/dataset/call_kw/{model}/{method}", model=model, method=method, args=list(args), kwargs=kwargs)

    def first(self, model: str, domain: list, fields: list[str], order: str = "id") -> dict:
        rows = self.call(model, "search_read", domain, fields, limit=1, order=order)
        if not rows:
            raise LookupError(f"no {model} with {domain}")
        return rows[0]

    def move_to(self, odoo: Odoo):
        """Go on at another host, as a browser does behind a load balancer when its host has died: with its cookie, which the
        other host knows when it shares the data directory.
        """
        shared = odoo.data_dir == self.odoo.data_dir
        self.odoo = odoo
        if not shared:
            self.authenticate()


def money(amount: Decimal) -> Decimal:
    return amount.quantize(KOPECK, ROUND_HALF_UP)


@dataclass(frozen=True)
class Tax:
    """A percentage tax; `rate` 20 means 20 %."""

    id: int
    rate: Decimal
    included: bool

    def split(self, price: Decimal) -> tuple[Decimal, Decimal]:
        """Return (base, tax), unrounded, of a price that this tax belongs to."""
        tax = price * self.rate / (100 + self.rate) if self.included else price * self.rate / 100
        return (price - tax if self.included else price), tax


@dataclass
class Line:
    """One order line as typed; a refund has a negative quantity and the id of the line it takes back. `values` are further fields
    of it, such as those of a module.
    """

    product: dict
    quantity: Decimal
    price: Decimal
    tax: Tax | None
    discount: Decimal = Decimal(0)
    refunded_line_id: int | bool = False
    values: dict = field(default_factory=dict)
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))

    def split(self) -> tuple[Decimal, Decimal]:
        price = self.price * self.quantity * (100 - self.discount) / 100
        return self.tax.split(price) if self.tax else (price, Decimal(0))


def totals(lines: list[Line]) -> tuple[Decimal, Decimal]:
    """Return (total with tax, tax) in roubles, rounded per tax as Odoo's default `round_globally` does."""
    base, taxes, included = Decimal(0), defaultdict(Decimal), True
    for line in lines:
        line_base, line_tax = line.split()
        base += line_base
        taxes[line.tax] += line_tax
        included &= not line.tax or line.tax.included
    tax = sum(map(money, taxes.values()), Decimal(0))
    total = money(base + sum(taxes.values())) if included else money(base) + tax
    return total, tax


class Till(Client):
    """One POS browser: it opens its till, then sells, parks, pays and refunds, one sync_from_ui per order.

    An order is a dict as the browser keeps it: what nobody sets is sent as the browser sends it (False or
    []), so fields of addons travel too. `sell`, `pay`, `draft` and `refund` return the order's row of the
    server's answer; `seconds` has the time of every sync.
    """

    loaded = ("pos.config", "pos.payment.method", "account.tax", "product.template", "product.product")

    def __init__(self, odoo: Odoo, config_id: int, **credentials):
        super().__init__(odoo, **credentials)
        self.config_id = config_id
        self.seconds: list[float] = []
        self._open()
        self._load()

    def _open(self):
        """Open the session as the kanban button and the opening popup do; join it when it is open."""
        config = self.call("pos.config", "read", [self.config_id], ["company_id"])[0]
        self.context["allowed_company_ids"] = [config["company_id"][0]]
        self.call("pos.config", "open_ui", [self.config_id])
        domain = [("config_id", "=", self.config_id), ("state", "!=", "closed"), ("rescue", "=", False)]
        session = self.first("pos.session", domain, ["state"])
        self.session_id = session["id"]
        if session["state"] == "opening_control":
            self.call("pos.session", "set_opening_control", self.session_id, 0, "")
        device = self.call("pos.config", "register_new_device_identifier", self.config_id)["device_identifier"]
        self.device = str(device)
        self.orders = 0

    def close(self) -> dict:
        """Close the session as the closing popup does, with as much cash as there must be; return its answer."""
        expected = self.call("pos.session", "get_closing_control_data", self.session_id)["default_cash_details"]
        if expected:
            self.call("pos.session", "post_closing_cash_details", self.session_id, expected["amount"])
        return self.call("pos.session", "close_session_from_ui", self.session_id, [])

    def _load(self):
        data = self.call("pos.session", "load_data", self.session_id, list(self.loaded))
        self.schema = self.call("pos.session", "load_data_params", self.session_id)
        self.config = data["pos.config"][0]
        self.taxes = {
            tax["id"]: Tax(tax["id"], Decimal(str(tax["amount"])), tax["price_include"])
            for tax in data["account.tax"]
            if tax["amount_type"] == "percent"
        }
        templates = {template["id"]: template for template in data["product.template"]}
        self.products = [
            product | {"taxes": self._product_taxes(templates[product["product_tmpl_id"]])}
            for product in data["product.product"]
            if self._sellable(templates[product["product_tmpl_id"]])
        ]
        methods = [row for row in data["pos.payment.method"] if row["id"] in self.config["payment_method_ids"]]
        self.cash = next((row["id"] for row in methods if row["is_cash_count"]), None)
        self.card = next((row["id"] for row in methods if row["type"] == "bank"), self.cash)

    def _product_taxes(self, template: dict) -> list[Tax]:
        return [self.taxes[tax_id] for tax_id in template["taxes_id"] if tax_id in self.taxes]

    @staticmethod
    def _sellable(template: dict) -> bool:
        """Plain products: one tick of the scanner, no combo choices, no serial numbers."""
        return template["type"] != "combo" and template["tracking"] == "none"

    def product(self, code: str) -> dict:
        """Return the product with that internal reference, barcode or part of a name."""
        for product in self.products:
            if code in (product["default_code"], product["barcode"]) or code in product["display_name"]:
                return product
        raise LookupError(f"no product {code}")

    def line(self, product: dict | str | None = None, quantity=1, price=None, discount=0, **values) -> Line:
        """One line as typed; without a product the first one that is taxed, without a price the list price."""
        product = self.product(product) if isinstance(product, str) else product or self._any_product()
        price = product["lst_price"] if price is None else price
        tax = product["taxes"][0] if product["taxes"] else None
        return Line(product, Decimal(str(quantity)), Decimal(str(price)), tax, Decimal(str(discount)), values=values)

    def _any_product(self) -> dict:
        return next((product for product in self.products if product["taxes"]), self.products[0])

    def sell(self, lines: list[Line] | None = None, payments: dict[int, Decimal] | None = None, **values) -> dict:
        """Sell and sync. `payments` is {payment method id: amount handed over}, by default the total in cash;
        what exceeds the total is given back. `values` are further fields of the order, such as kkt_hlc.
        """
        return self.sync(self.order(lines, payments=payments or "exact", **values))

    def draft(self, lines: list[Line] | None = None, **values) -> dict:
        """Park an order at the server, unpaid."""
        return self.sync(self.order(lines, **values))

    def pay(self, row: dict, payments: dict[int, Decimal] | None = None, **values) -> dict:
        """Pay an order that `draft` parked."""
        total = Decimal(str(row["amount_total"]))
        order = self._blank("pos.order") | self._known(row) | values
        return self.sync(order | self._paid(total, payments or self._exact(total)))

    def refund(self, row: dict, lines: dict[int, Decimal] | None = None, **values) -> dict:
        """Take back a paid order, or of it `lines`: {line id: quantity}. The money goes back in cash."""
        return self.sync(self.refund_order(row, lines, **values))

    def refund_order(self, row: dict, lines: dict[int, Decimal] | None = None, **values) -> dict:
        """Build the order of a `refund`."""
        return self.order(self._taken_back(row, lines), payments="exact", is_refund=True, **values)

    def exchange(self, row: dict, lines: list[Line]) -> dict:
        """Take back a paid order and sell `lines` instead; the difference is paid in cash."""
        return self.sell([*lines, *self._taken_back(row)])

    def _taken_back(self, row: dict, lines: dict[int, Decimal] | None = None) -> list[Line]:
        sold = self.call("pos.order.line", "read", row["lines"], ["product_id", "qty", "price_unit", "discount", "tax_ids"])
        return [
            self._refunded(line, (lines or {}).get(line["id"], line["qty"])) for line in sold if not lines or line["id"] in lines
        ]

    def _refunded(self, line: dict, quantity) -> Line:
        tax = self.taxes.get(next(iter(line["tax_ids"]), None))
        product = {"id": line["product_id"][0], "display_name": line["product_id"][1]}
        price, discount = (Decimal(str(line[name])) for name in ("price_unit", "discount"))
        return Line(product, -Decimal(str(quantity)), price, tax, discount, line["id"])

    def sync(self, order: dict) -> dict:
        """Send one order as the browser does, again and again if need be, and return its row of the answer."""
        began = time.monotonic()
        context = {"config_id": self.config_id, "device_identifier": self.device}
        answer = self.call("pos.order", "sync_from_ui", [order], context=context)
        self.seconds.append(time.monotonic() - began)
        return next(row for row in answer["pos.order"] if row["uuid"] == order["uuid"])

    def order(self, lines: list[Line] | None = None, payments: dict[int, Decimal] | str | None = None, **values) -> dict:
        """Build an order as the browser serialises it: a draft, or paid when `payments` are given ("exact":
        cash).
        """
        lines = lines or [self.line()]
        total, tax = totals(lines)
        sign = -1 if values.get("is_refund") else 1
        order = (
            self._blank("pos.order")
            | self._references()
            | {
                "lines": [[0, 0, self._line(line, sign)] for line in lines],
                "amount_total": float(total),
                "amount_tax": float(tax),
                "amount_paid": 0,
                "amount_return": 0,
            }
            | values
        )
        if not payments:
            return order
        return order | self._paid(total, self._exact(total) if payments == "exact" else payments)

    def _exact(self, total: Decimal) -> dict[int, Decimal]:
        return {self.cash: total}

    def _references(self) -> dict:
        self.orders += 1
        year = datetime.now(UTC).strftime("%y")
        return {
            "name": "/",
            "state": "draft",
            "uuid": str(uuid.uuid4()),
            "access_token": str(uuid.uuid4()),
            "pos_reference": f"{year}{self.device}-{self.config_id}-{self.orders:06}",
            "tracking_number": f"{self.device}{self.orders % 1000:03}",
            "sequence_number": 0,
            "session_id": self.session_id,
            "user_id": self.uid,
            "company_id": self.config["company_id"],
            "pricelist_id": self.config["pricelist_id"],
            "fiscal_position_id": self.config["default_fiscal_position_id"],
            "date_order": _now(),
            "ticket_code": uuid.uuid4().hex[:5],
            "general_customer_note": "",
            "internal_note": "",
            "nb_print": 0,
            "last_order_preparation_change": json.dumps(NOTHING_PREPARED),
        }

    def _line(self, line: Line, sign: int) -> dict:
        # The browser rounds base and tax apart, so 100.05 with 20 % inside is sent as 83.38 and 100.06.
        base, tax = (money(amount) * sign for amount in line.split())
        return self._blank("pos.order.line") | {
            "uuid": line.uuid,
            "product_id": line.product["id"],
            "full_product_name": line.product["display_name"],
            "qty": float(line.quantity),
            "price_unit": float(line.price),
            "discount": float(line.discount),
            "price_type": "automatic" if line.refunded_line_id else "original",
            "price_extra": 0,
            "tax_ids": [line.tax.id] if line.tax else [],
            "price_subtotal": float(base),
            "price_subtotal_incl": float(base + tax),
            "refunded_orderline_id": line.refunded_line_id,
            **line.values,
        }

    def _paid(self, total: Decimal, payments: dict[int, Decimal]) -> dict:
        paid = sum(payments.values(), Decimal(0))
        return {
            "state": "paid",
            "date_order": _now(),
            "amount_paid": float(paid),
            "amount_return": float(total - paid),
            "payment_ids": [[0, 0, self._payment(method, amount)] for method, amount in payments.items()],
        }

    def _payment(self, method: int, amount: Decimal) -> dict:
        return self._blank("pos.payment") | {
            "uuid": str(uuid.uuid4()),
            "payment_method_id": method,
            "ticket": "",
            "amount": float(amount),
            "payment_date": _now(),
        }

    def _known(self, row: dict) -> dict:
        """What the browser sends back of an order that it got from the server."""
        names = self._blank("pos.order").keys() - {"lines", "payment_ids"}
        return {name: row[name] for name in names if name in row} | {"id": row["id"], "lines": [], "payment_ids": []}

    def _blank(self, model: str) -> dict:
        """Every field that the browser serialises (serialization.js): stored, of the server's making, set by
        nobody yet.
        """
        relations = self.schema[model]["relations"]
        return {
            name: [] if kind["type"] in ("one2many", "many2many") else False
            for name, kind in relations.items()
            if self._is_serialised(name, kind)
        }

    def _is_serialised(self, name: str, kind: dict) -> bool:
        """Neither computed, nor of a model that is not loaded, nor the parent of a line or payment."""
        if kind["compute"] or kind["related"] or name == "id":
            return False
        relation = kind.get("relation")
        return not relation or relation in self.schema and (kind["type"], relation) != ("many2one", "pos.order")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
