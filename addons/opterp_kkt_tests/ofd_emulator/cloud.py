"""Registers in the cloud behind ATOL Online, protocol v5: groups of one register each, a token that expires, a queue.

It shares history and orders with the OFD, and keeps what is known of the service (see `transports/atol_online.py`): an
`external_id` is taken once in a group (error 33, with the uuid of its document), what is no valid receipt is not taken at all
(32), what was taken waits in the queue and ends with `done` or `fail`. Its shifts open by themselves. A document that stands in
the history as accepted is fiscalised.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
import urllib.request
import zlib
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from .exchange import Answer, Request, to_json

if TYPE_CHECKING:
    from .history import History, Record

LOGIN = "kkt"
OPERATIONS = {"sell": 1, "sell_refund": 2, "buy": 3, "buy_refund": 4}
SETTLEMENTS = OPERATIONS | {f"{name}_correction": number for name, number in OPERATIONS.items()}
MOSCOW = timezone(timedelta(hours=3))
CONDITIONS = {  # orders -> their defaults
    "queue_for": 0.0,  # s that documents wait
    "fails": None,  # the error that each document ends with: type, code, text
    "stated": {},  # what differs in the payload that is told
    "groups": None,  # that the account has; None: any
    "calls": True,  # where it is told to, when it has done
}
SNO = {"osn", "usn_income", "usn_income_outcome", "esn", "patent"}
METHODS = {"full_prepayment", "prepayment", "advance", "full_payment", "partial_payment", "credit", "credit_payment"}
RATES = {f"vat{rate}" for rate in ("0", "5", "7", "10", "20", "22", "105", "107", "110", "120", "122")} | {"none"}
MEASURES = {0, 10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 70, 71, 72, 73, 80, 81, 82, 83, 255}
DAY, MOMENT = r"\d\d\.\d\d\.\d{4}", r"\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d"
CALL_AFTER = 0.1  # s


class NotValid(Exception):
    """What is wrong with a receipt: the field."""


class Cloud:
    """The service; the OFD holds its lock around every call."""

    def __init__(self, history: History, token: str):
        self._history = history
        self._password = token
        self._tokens: set[str] = set()
        self.forget_orders()

    def forget_orders(self) -> None:
        self._is = dict(CONDITIONS)

    @property
    def conditions(self) -> dict[str, Any]:
        """What is the matter with registers in the cloud, whoever's they are."""
        return self._is

    def obey(self, order: dict[str, Any]) -> None:
        """`expire` ends all tokens; the other orders are conditions."""
        for name, value in order.items():
            if name == "expire":
                self._tokens.clear()
            elif name in CONDITIONS:
                self._is[name] = value
            else:
                raise ValueError(f"the cloud has no {name}")

    def describe(self, request: Request) -> dict[str, Any]:
        """The small fields of a request that the history keeps. The key is the document's `external_id`."""
        receipt = _get_receipt(request)
        total, operation = receipt.get("total"), request.path[-1] if request.method == "POST" else None
        return {
            "method": request.method,
            "key": request.key,
            "document_type": operation,
            "operation_type": SETTLEMENTS.get(operation),
            "total_sum": round(total * 100) if isinstance(total, int | float) else None,
            "sha256": hashlib.sha256(request.body).hexdigest() if request.body and request.method == "POST" else None,
        }

    def judge(self, record: Record, request: Request, ordered: Any) -> tuple[Answer, dict[str, Any]]:
        """What it answers, and what the history says of that."""
        if request.method == "TOKEN":
            return self._give_token(request.payload or {}), {}
        if request.authorization not in self._tokens:
            code, words = (11, "Переданный токен не активен") if request.authorization else (10, "Не распознан токен запроса")
            return _error(401, code, words, "unauthorized"), {}
        group, *path = request.path
        if self._is["groups"] is not None and group not in self._is["groups"]:
            return _error(401, 20, "Код группы, указанный в запросе, не соответствует токену.", "unauthorized"), {}
        if request.method == "GET":
            return self._tell(group, path[-1]), {}
        if ordered and ordered.outcome == "failed":
            return ordered, {}
        return self._register(record, request, group, bool(ordered))

    def _give_token(self, account):
        if self._password and (account.get("login"), account.get("pass")) != (LOGIN, self._password):
            return _error(401, 12, "Неверный логин или пароль", "unauthorized")
        token = uuid4().hex
        self._tokens.add(token)
        return Answer(200, to_json({"error": None, "token": token, "timestamp": _now()}), "token")

    def _register(self, record, request, group, refused):
        operation = request.path[-1]
        if operation not in SETTLEMENTS:
            return _error(400, 31, f'Операция "{operation}" не поддерживается.', "refused"), {}
        try:
            if refused:
                raise NotValid("по распоряжению")
            check_receipt(request.payload, operation)
        except (NotValid, KeyError, TypeError, ValueError, ArithmeticError) as error:
            return _error(400, 32, f"Ошибка валидации входного чека. Ошибочные поля : {error}"[:200], "refused", "fail"), {}
        uuid = str(uuid5(NAMESPACE_URL, f"{group}/{request.key}"))
        if known := self._find(group, uuid):
            words = f"В системе существует чек с external_id : {known.key} и group_code: {group}"
            return _error(400, 33, words, "duplicate", "wait", uuid=uuid), {}
        facts = self._carry_out(_get_receipt(request), group, uuid)
        self._call_back(request.payload, self._get_report(group, uuid, request.key, facts["results"]))
        answer = {"uuid": uuid, "status": "wait", "error": None, "timestamp": _now()}
        return Answer(200, to_json(answer), "accepted" if facts.get("accepted") else "queued"), facts

    def _carry_out(self, receipt, group, uuid):
        """What the document will have become when it has waited in the queue."""
        error = self._is["fails"] or find_fault(receipt)
        if error:
            return {"ofd_id": uuid, "results": [{"status": "fail", "error": {"error_id": str(uuid4()), **error}}]}
        payload = self._sign(receipt, get_drive(group))
        return {
            "accepted": True, "ofd_id": uuid, "fd_number": payload["fiscal_document_number"], "register": get_drive(group),
            "server_time": int(time.time() * 1000), "results": [{"status": "done", "payload": payload | self._is["stated"]}],
        }  # fmt: skip

    def _sign(self, receipt, drive):
        numbers = [record.fd_number for record in self._history.documents.values() if record.register == drive]
        number = max(numbers, default=1) + 1  # behind the report on the shift that it has opened by itself
        return {
            "fiscal_receipt_number": len(numbers) + 1,
            "shift_number": 1,
            "receipt_datetime": f"{datetime.now(MOSCOW):%d.%m.%Y %H:%M:%S}",
            "total": receipt["total"],
            "fn_number": drive,
            "ecr_registration_number": "0000000001002292",
            "fiscal_document_number": number,
            "fiscal_document_attribute": int.from_bytes(hashlib.sha256(f"{drive}{number}".encode()).digest()[:4], "big"),
            "fns_site": "www.nalog.gov.ru",
        }

    def _find(self, group, uuid):
        for record in reversed(self._history.tasks.values()):
            if record.ofd_id == uuid == str(uuid5(NAMESPACE_URL, f"{group}/{record.key}")):
                return record
        return None

    def _tell(self, group, uuid):
        record = self._find(group, uuid)
        if not record:
            return _error(400, 30, f'Передан некорректный UUID : "{uuid}"', "lookup_miss", "fail")
        if time.time() * 1000 < record.arrived + self._is["queue_for"] * 1000:
            return _error(200, 34, "Состояние чека не найдено. Попробуйте позднее.", "lookup_hit", "wait", uuid=uuid)
        return Answer(200, to_json(self._get_report(group, uuid, record.key, record.results)), "lookup_hit")

    def _get_report(self, group, uuid, key, results):
        facts = {"uuid": uuid, "error": None, "payload": None, "group_code": group, "external_id": key}
        return {**facts, **results[-1], "timestamp": _now()}

    def _call_back(self, request, report):
        """Tell what became of a document when it has waited, if an address was given. Once; nobody's answer is awaited."""
        service = request.get("service")
        address = service.get("callback_url") if isinstance(service, dict) else None
        if address and self._is["calls"]:
            timer = threading.Timer(self._is["queue_for"] + CALL_AFTER, call, (address, to_json(report)))
            timer.daemon = True
            timer.start()


def call(address: str, body: bytes) -> None:
    """Nobody waits for what comes of it."""
    request = urllib.request.Request(address, body, {"Content-Type": "application/json; charset=utf-8"})
    with suppress(OSError, ValueError), urllib.request.urlopen(request, timeout=10):
        pass


def get_drive(group: str) -> str:
    """The fiscal drive of a group's register."""
    return f"87100001{zlib.crc32(group.encode()) % 10**8:08d}"


def check_receipt(request: dict[str, Any], operation: str) -> None:
    """Fields are there and have their form.

    :raises NotValid: with the field; so do a missing one and one of another kind
    """
    receipt = request["correction" if operation.endswith("_correction") else "receipt"]
    client, company, items = receipt["client"], receipt["company"], receipt["items"]
    wrong = {
        "external_id": not 0 < len(request["external_id"]) <= 128,
        "timestamp": not re.fullmatch(MOMENT, request["timestamp"]),
        "client": not ("@" in client.get("email", "") or re.fullmatch(r"\+\d{7,18}", client.get("phone", ""))),
        "company.email": not 0 < len(company["email"]) <= 64 or "@" not in company["email"],
        "company.inn": not re.fullmatch(r"\d{10}|\d{12}", company["inn"]),
        "company.sno": company["sno"] not in SNO,
        "company.payment_address": not 0 < len(company["payment_address"]) <= 256,
        "items": not 0 < len(items) <= 100,
        "payments": not 0 < len(receipt["payments"]) <= 10,
        "timezone": receipt.get("timezone", 1) not in range(1, 12),
        "internet": type(receipt.get("internet", True)) is not bool,
        "cashier": len(receipt.get("cashier", "")) > 64,
        **({"correction_info": not _is_cause(receipt["correction_info"])} if operation.endswith("_correction") else {}),
    }
    for item in items:
        wrong["items.name"] = not 0 < len(item["name"]) <= 128
        wrong["items.measure"] = item["measure"] not in MEASURES
        wrong["items.payment_method"] = item["payment_method"] not in METHODS
        wrong["items.payment_object"] = type(item["payment_object"]) is not int or not 0 < item["payment_object"] < 34
        wrong["items.vat"] = item["vat"]["type"] not in RATES
        wrong["items.price"] = not _fits(item["price"], 2, "42949672.95") or not _fits(item["sum"], 2, "42949672.95")
        wrong["items.quantity"] = not _fits(item["quantity"], 3, "99999.999")
        if fields := [name for name, is_wrong in wrong.items() if is_wrong]:
            raise NotValid(", ".join(fields))
    for payment in receipt["payments"]:
        if payment["type"] not in range(10) or not _fits(payment["sum"], 2, "99999999.99"):
            raise NotValid("payments")


def find_fault(receipt: dict[str, Any]) -> dict[str, Any] | None:
    """The error of a register whose receipt does not add up."""
    items = receipt["items"]
    if any(abs(_number(item["price"]) * _number(item["quantity"]) - _number(item["sum"])) > Decimal("0.01") for item in items):
        return {"type": "driver", "code": -3803, "text": "Неверная цена (сумма)"}
    if sum(_number(item["sum"]) for item in items) != _number(receipt["total"]):
        return {"type": "agent", "code": 1, "text": "Документ некорректен"}
    if sum(_number(payment["sum"]) for payment in receipt["payments"]) != _number(receipt["total"]):
        return {"type": "driver", "code": -3897, "text": "Чек оплачен не полностью"}
    return None


def _is_cause(cause):
    number = cause.get("base_number", "")
    by_order = cause["type"] == "instruction"
    return cause["type"] in ("self", "instruction") and bool(re.fullmatch(DAY, cause["base_date"])) and bool(number) == by_order


def _fits(value, decimals, most):
    number = _number(value)
    return 0 <= number <= Decimal(most) and number == round(number, decimals)


def _number(value):
    if type(value) not in (int, float):
        raise TypeError(value)
    return Decimal(str(value))


def _get_receipt(request):
    receipt = (request.payload or {}).get("correction" if str(request.path[-1:]).count("correction") else "receipt")
    return receipt if isinstance(receipt, dict) else {}


def _now():
    return f"{datetime.now(MOSCOW):%d.%m.%Y %H:%M:%S}"


def _error(status, code, words, outcome, state=None, **more):
    error = {"error_id": str(uuid4()), "code": code, "text": words, "type": "system"}
    return Answer(status, to_json({"error": error, "status": state, "timestamp": _now(), **more}), outcome)
