"""A cash register behind the web server of the ATOL driver: tasks under uuids, a drive that numbers and signs, paper that ends.

It shares history and orders with the OFD, and keeps what the driver's documentation says: a uuid is used once (409), an unknown
one is 404, each task ends `ready` or with an error, after an error the rest of a request is `interrupted`. Its shift is opened by
itself, or by a task, and is too old when that is ordered. A document that stands in the history as accepted is fiscalised.
"""

from __future__ import annotations

import hashlib
import time
from base64 import b64encode
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from .exchange import Answer, Request, to_json

if TYPE_CHECKING:
    from .history import History, Record

LOGIN = "kkt"
DRIVE = "8710000100000001"
OPERATIONS = {"sell": 1, "sellReturn": 2, "buy": 3, "buyReturn": 4}
SETTLEMENTS = OPERATIONS | {f"{name}Correction": number for name, number in OPERATIONS.items()}
MOSCOW = timezone(timedelta(hours=3))
NAMES = {
    "taxationType": {"osn", "usnIncome", "usnIncomeOutcome", "esn", "patent"},
    "paymentMethod": {"fullPrepayment", "prepayment", "advance", "fullPayment", "partialPayment", "credit", "creditPayment"},
    "paymentType": {"cash", "electronically", "prepaid", "credit", "other"},
    "tax": {f"vat{rate}" for rate in ("0", "5", "7", "10", "20", "22", "105", "107", "110", "120", "122")} | {"none"},
}
COMMANDS = {"reportX", "printFnDocument", "cashIn", "cashOut"}  # what is no document
CONDITIONS = {  # orders -> their defaults
    "paper": True,
    "cover_open": False,
    "shift_expired": False,
    "drive_full": False,
    "error_code": None,  # that each task for the drive ends with
    "busy_for": 0.0,  # s that tasks are in progress
    "not_printed": False,
    "blocked": False,  # the queue has lost sight of what it was told
    "stated": {},  # what differs in the fiscalParams that are told
}
ERRORS = {
    44: "Нет бумаги",
    45: "Открыта крышка",
    68: "Смена превысила 24 часа",
    121: "Исчерпан ресурс хранения ФН",
    123: "Документ не найден в ФН",
    73: "Смена закрыта - операция невозможна",
    83: "Смена открыта - операция невозможна",
    13: "Некорректный параметр",
    66: "Чек оплачен не полностью",
    227: "Некорректный итог чека",
}


class TaskError(Exception):
    """A task that ends with an error: code, words."""


class Register:
    """One device; the OFD holds its lock around every call."""

    def __init__(self, history: History, token: str, drive: str):
        self._history = history
        self._drive = drive
        self._authorization = f"Basic {b64encode(f'{LOGIN}:{token}'.encode()).decode()}" if token else None
        self.forget_orders()

    def forget_orders(self) -> None:
        self._is = dict(CONDITIONS)

    def obey(self, order: dict[str, Any]) -> None:
        for name, value in order.items():
            if name not in CONDITIONS:
                raise ValueError(f"a register has no {name}")
            self._is[name] = value

    def describe(self, request: Request) -> dict[str, Any]:
        """The small fields of a request that the history keeps."""
        task = (_get_tasks(request) or [{}])[-1]
        total = task.get("total", task.get("cashSum"))
        return {
            "method": request.method,
            "key": request.key,
            "document_type": str(task.get("type"))[:64] if task else None,
            "operation_type": SETTLEMENTS.get(str(task.get("type"))),
            "total_sum": round(total * 100) if isinstance(total, int | float) else None,
            "sha256": hashlib.sha256(request.body).hexdigest() if request.body else None,
        }

    def judge(self, record: Record, request: Request, ordered: Any) -> tuple[Answer, dict[str, Any]]:
        """What it answers, and what the history says of that."""
        if self._authorization and request.authorization != self._authorization:
            return _error(401, 401, "Требуется авторизация", "unauthorized"), {}
        if request.method == "GET":
            return self._tell(request.key), {}
        if ordered and ordered.outcome == "failed":
            return ordered, {}
        tasks = _get_tasks(request)
        if not tasks or not _is_uuid(request.key):
            return _error(400, 5, "Некорректное задание", "refused"), {}
        if request.key in self._history.tasks:
            return _error(409, 409, "Задание с таким uuid уже существует", "duplicate"), {}
        return self._queue(record, tasks, refused=bool(ordered))

    def _queue(self, record, tasks, refused):
        facts: dict[str, Any] = {}
        results: list[dict[str, Any]] = []
        for task in tasks:
            failed = results and results[-1]["status"] != "ready"
            results.append({"status": "interrupted"} if failed else self._carry_out(task, results, facts, refused))
        facts["results"] = results
        answer = {"uuid": record.key, "isBlocked": bool(self._is["blocked"])}
        return Answer(201, to_json(answer), "accepted" if facts.get("accepted") else "queued"), facts

    def _carry_out(self, task, earlier, facts, refused):
        try:
            if refused:
                raise TaskError(13, ERRORS[13])
            if str(task["type"]).startswith("get"):
                result = self._inquire(task["type"])
            else:
                result = self._obey(task) if task["type"] in COMMANDS else self._fiscalise(task, earlier, facts)
        except TaskError as error:
            code, words = error.args
            return {"status": "error", "errorCode": code, "errorDescription": words}
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            return {"status": "error", "errorCode": 13, "errorDescription": f"{ERRORS[13]}: {error}"[:200]}
        return {"status": "ready", "errorCode": 0, "errorDescription": "Ошибок нет", "result": result}

    # -- the device --------------------------------------------------------------------------------------------------------

    def _get_last(self, earlier=()):
        """Type and fiscalParams of the last document on the drive."""
        for result in reversed(earlier):
            return result["result"]["type"], result["result"]["fiscalParams"]
        for record in reversed(self._history.tasks.values()):
            for result in reversed(record.results):
                if "fiscalParams" in result.get("result", {}):
                    return result["result"]["type"], result["result"]["fiscalParams"]
        return "closeShift", {"fiscalDocumentNumber": 0, "shiftNumber": 0, "fiscalReceiptNumber": 0}

    def _obey(self, task):
        """Print, and count cash."""
        self._check_condition(task["type"], True)
        number = task.get("fiscalDocumentNumber")
        if task["type"] == "printFnDocument" and number not in {record.fd_number for record in self._history.tasks.values()}:
            raise TaskError(123, ERRORS[123])
        if task["type"].startswith("cash") and not _number(task["cashSum"]) > 0:
            raise TaskError(13, f"{ERRORS[13]}: cashSum")
        return {"type": task["type"], "isOnPaper": True}

    def _fiscalise(self, task, earlier, facts):
        kind, last = self._get_last(earlier)
        is_open = kind != "closeShift"
        self._check_condition(task["type"], is_open)
        if task["type"] in SETTLEMENTS:
            check_settlement(task)
        number, shift = last["fiscalDocumentNumber"] + 1, last["shiftNumber"]
        if not is_open:
            shift, last = shift + 1, {**last, "fiscalReceiptNumber": 0}
            number += task["type"] != "openShift"  # the report on the opening that it makes by itself
        receipt = last.get("fiscalReceiptNumber", 0) + (task["type"] in SETTLEMENTS)
        if task["type"] == "closeShift":
            self._is["shift_expired"] = False
        params = self._sign(task, number, shift, receipt)
        facts |= {
            "accepted": True, "fd_number": number, "register": self._drive, "server_time": int(time.time() * 1000),
            "ofd_id": params["fiscalDocumentSign"],
        }  # fmt: skip
        printed = not (self._is["not_printed"] or task.get("electronically"))
        warnings = {"notPrinted": bool(self._is["not_printed"])}
        return {"type": task["type"], "fiscalParams": params, "warnings": warnings, "isOnPaper": printed}

    def _check_condition(self, kind, is_open):
        for wrong, code in (
            (self._is["error_code"], self._is["error_code"]),
            (not self._is["paper"], 44),
            (self._is["cover_open"], 45),
            (self._is["drive_full"], 121),
            (self._is["shift_expired"] and kind not in {*COMMANDS, "closeShift"}, 68),
            (kind == "openShift" and is_open, 83),
            (kind == "closeShift" and not is_open, 73),
            (kind not in {*SETTLEMENTS, *COMMANDS, "openShift", "closeShift"}, 13),
        ):
            if wrong:
                raise TaskError(code, ERRORS.get(code, "Ошибка"))

    def _sign(self, task, number, shift, receipt):
        sign = int.from_bytes(hashlib.sha256(f"{self._drive}{number}".encode()).digest()[:4], "big")
        return {
            "fiscalDocumentDateTime": datetime.now(MOSCOW).isoformat(timespec="seconds"),
            "fiscalDocumentNumber": number,
            "fiscalDocumentSign": str(sign),
            "fiscalReceiptNumber": receipt,
            "fnNumber": self._drive,
            "registrationNumber": "0000000001022407",
            "shiftNumber": shift,
            "fnsUrl": "www.nalog.gov.ru",
            **({"total": task["total"]} if "total" in task else {}),
            **self._is["stated"],
        }

    def _inquire(self, kind):
        last, params = self._get_last()
        state = "expired" if self._is["shift_expired"] else "closed" if last == "closeShift" else "opened"
        told = {
            "getDeviceInfo": {"deviceInfo": {"modelName": "АТОЛ 27Ф (эмулятор)", "firmwareVersion": "5.8.30", "serial": "00106"}},
            "getFnInfo": {"fnInfo": {"serial": self._drive, "validityDate": "2027-12-31", "livePhase": "fiscalMode"}},
            "getShiftStatus": {"shiftStatus": {"state": state, "number": params["shiftNumber"]}},
            "getRegistrationInfo": {
                "device": {"registrationNumber": "0000000001022407"},
                "organization": {"vatin": "7700123459"},
            },
        }
        return told[kind]

    def _tell(self, uuid):
        record = self._history.tasks.get(uuid)
        if not record:
            return _error(404, 404, "Задание с таким uuid не найдено", "lookup_miss")
        if self._is["blocked"]:
            return Answer(200, to_json({"results": [{"status": "blocked"}] * len(record.results)}), "lookup_hit")
        if time.time() * 1000 < record.arrived + self._is["busy_for"] * 1000:
            return Answer(200, to_json({"results": [{"status": "inProgress"}] * len(record.results)}), "lookup_hit")
        return Answer(200, to_json({"results": record.results}), "lookup_hit")


def check_settlement(task: dict[str, Any]) -> None:
    """Names are known; price × quantity is the amount, the amounts are the total, and it is paid."""
    positions = [item for item in task["items"] if item["type"] == "position"]
    total = Decimal(str(task["total"]))
    for name, value in [("taxationType", task["taxationType"])] + [
        pair for item in positions for pair in (("paymentMethod", item["paymentMethod"]), ("tax", item["tax"]["type"]))
    ] + [("paymentType", payment["type"]) for payment in task["payments"]]:  # fmt: skip
        if value not in NAMES[name]:
            raise TaskError(13, f"{ERRORS[13]}: {name}")
    for item in positions:
        if abs(_number(item["price"]) * _number(item["quantity"]) - _number(item["amount"])) > Decimal("0.01"):
            raise TaskError(13, f"{ERRORS[13]}: amount")
    if sum(_number(item["amount"]) for item in positions) != total:
        raise TaskError(227, ERRORS[227])
    if sum(_number(payment["sum"]) for payment in task["payments"]) != total:
        raise TaskError(66, ERRORS[66])
    if task["type"].endswith("Correction") and not {"correctionType", "correctionBaseDate"} <= set(task):
        raise TaskError(13, f"{ERRORS[13]}: correctionType")


def _number(value):
    return Decimal(str(value))


def _get_tasks(request):
    tasks = (request.payload or {}).get("request")
    tasks = tasks if isinstance(tasks, list) else [tasks]
    return tasks if all(isinstance(task, dict) and "type" in task for task in tasks) else None


def _is_uuid(key):
    try:
        return key in (str(UUID(key)), UUID(key).hex)
    except (ValueError, TypeError, AttributeError):
        return False


def _error(status, code, words, outcome):
    return Answer(status, to_json({"error": {"code": code, "description": words}}), outcome)
