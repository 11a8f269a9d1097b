"""Registers in a data centre behind OrangeData, protocol v2: groups of one register each, signed requests, a queue.

It shares history and orders with the OFD, and the conditions of `cloud.py`, with which it has in common that documents wait, end
with an error or are told otherwise than they were. What is known of the service (see `transports/orangedata.py`): an id is taken
once (409), what is not valid or not signed is not taken at all (400), an id is asked about by everybody who knows it.
"""

from __future__ import annotations

import hashlib
import time
from base64 import b64decode
from binascii import Error
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .cloud import MOSCOW, Cloud, get_drive
from .exchange import Answer, Request, to_json

if TYPE_CHECKING:
    from .history import History, Record

RESOURCES = {"documents", "correction12"}
GROUP = "Main"  # of who names none
PAYMENTS = {1, 2, 14, 15, 16}
PKCS1_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")


class Orange:
    """The service; the OFD holds its lock around every call."""

    def __init__(self, history: History, cloud: Cloud):
        self._history = history
        self._cloud = cloud
        self._key: tuple[int, int] | None = None

    def forget_orders(self) -> None:
        """The key stays: whoever has registered it has not taken it back."""

    def obey(self, order: dict[str, Any]) -> None:
        """`modulus` and `exponent`, as text, of the key that requests must be signed with; until then, any signature does."""
        if set(order) != {"modulus", "exponent"}:
            raise ValueError("the key has a modulus and an exponent")
        self._key = int(order["modulus"]), int(order["exponent"])

    def describe(self, request: Request) -> dict[str, Any]:
        """The small fields of a request that the history keeps. The key is the document's `id`."""
        content = _get_content(request)
        total = sum_up(content) if request.method == "POST" else None
        return {
            "method": request.method,
            "key": request.key,
            "document_type": request.path[0],
            "operation_type": content.get("type") if type(content.get("type")) is int else None,
            "total_sum": total,
            "sha256": hashlib.sha256(request.body).hexdigest() if request.body and request.method == "POST" else None,
        }

    def judge(self, record: Record, request: Request, ordered: Any) -> tuple[Answer, dict[str, Any]]:
        """What it answers, and what the history says of that."""
        if request.path[0] not in RESOURCES:
            return _refuse(404, "Нет такого ресурса"), {}
        if request.method == "GET":
            return self._tell(request.key), {}
        if self._key and not is_signed(request.body or b"", request.authorization or "", *self._key):
            return _refuse(400, "Подпись не прошла проверку", "unauthorized"), {}
        if ordered and ordered.outcome == "failed":
            return ordered, {}
        errors = ["По распоряжению"] if ordered else find_errors(request.payload or {})
        if errors:
            return _refuse(400, *errors), {}
        if request.key in self._history.tasks:
            return Answer(409, b"", "duplicate"), {}
        facts = self._carry_out(request.payload)
        return Answer(201, b"", "accepted" if facts.get("accepted") else "queued"), facts

    def _carry_out(self, document):
        """What it will have become when it has waited in the queue."""
        if error := self._cloud.conditions["fails"]:
            return {"results": [{"status": "expired" if error["type"] == "timeout" else "fail", "error": error["text"]}]}
        told = self._sign(document, get_drive(document.get("group", GROUP)))
        return {
            "accepted": True, "ofd_id": document["id"], "fd_number": told["documentNumber"], "register": told["fsNumber"],
            "server_time": int(time.time() * 1000), "results": [{"status": "done", "told": told}],
        }  # fmt: skip

    def _sign(self, document, drive):
        numbers = [record.fd_number for record in self._history.documents.values() if record.register == drive]
        number = max(numbers, default=1) + 1  # behind the report on the shift that it has opened by itself
        stated = self._cloud.conditions["stated"]
        content = document["content"]
        return {
            "id": document["id"],
            "deviceSN": "0000000000000160",
            "deviceRN": "0000000001022407",
            "fsNumber": drive,
            "documentNumber": number,
            "shiftNumber": 1,
            "documentIndex": len(numbers) + 1,
            "processedAt": datetime.now(MOSCOW).replace(tzinfo=None).isoformat(timespec="seconds"),
            "content": {**content, **({"totalSum": stated["total"]} if "total" in stated else {})},
            "change": 0.0,
            "fp": str(int.from_bytes(hashlib.sha256(f"{drive}{number}".encode()).digest()[:4], "big")),
        }

    def _tell(self, key):
        record = self._history.tasks.get(key)
        if not record:
            return Answer(404, b"", "lookup_miss")
        if time.time() * 1000 < record.arrived + self._cloud.conditions["queue_for"] * 1000:
            return Answer(202, b"", "lookup_hit")
        result = record.results[-1]
        if result["status"] == "done":
            return Answer(200, to_json(result["told"]), "lookup_hit")
        return _refuse(524 if result["status"] == "expired" else 422, result["error"], "lookup_hit")


def is_signed(body: bytes, signature: str, modulus: int, exponent: int) -> bool:
    """RSA with SHA-256 and the padding of PKCS #1, version 1.5 (RFC 8017, 8.2.2)."""
    size = (modulus.bit_length() + 7) // 8
    digest = PKCS1_SHA256 + hashlib.sha256(body).digest()
    padded = b"\0\1" + b"\xff" * (size - len(digest) - 3) + b"\0" + digest
    try:
        given = int.from_bytes(b64decode(signature, validate=True), "big")
    except (Error, ValueError):
        return False
    return given < modulus and pow(given, exponent, modulus).to_bytes(size, "big") == padded


def find_errors(document: dict[str, Any]) -> list[str]:
    """What is not as the service's clients have it."""
    try:
        return [f"Неверное поле {name}" for name, is_wrong in _find_wrong(document).items() if is_wrong]
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        return [f"Неверное поле {error}"[:200]]


def _find_wrong(document):
    content = document["content"]
    positions, payments = content["positions"], content["checkClose"]["payments"]
    paid = sum(_number(payment["amount"]) for payment in payments)
    return {
        "id": not 0 < len(document["id"]) <= 64,
        "inn": not document["inn"].isdecimal() or len(document["inn"]) not in (10, 12),
        "group": not 0 < len(document.get("group", GROUP)) <= 32,
        "ffdVersion": content.get("ffdVersion", 2) not in (2, 4),  # FFD 1.05, unless it is said
        "type": content["type"] not in range(1, 5),
        "customerContact": not 0 < len(content["customerContact"]) <= 64,
        "taxationSystem": content["checkClose"]["taxationSystem"] not in range(6),
        "positions": not 0 < len(positions) <= 100,
        "positions.text": any(not 0 < len(position["text"]) <= 128 for position in positions),
        "positions.tax": any(position["tax"] not in range(1, 13) for position in positions),
        "positions.paymentMethodType": any(position["paymentMethodType"] not in range(1, 8) for position in positions),
        "positions.paymentSubjectType": any(position["paymentSubjectType"] not in range(1, 34) for position in positions),
        "payments": any(payment["type"] not in PAYMENTS for payment in payments) or round(paid * 100) < sum_up(content),
        "causeDocumentDate": "correctionType" in content and not datetime.fromisoformat(content["causeDocumentDate"]),
    }


def sum_up(content: dict[str, Any]) -> int | None:
    """Kopecks, which it counts by itself; None for what can't be counted."""
    try:
        return sum(round(_number(position["price"]) * _number(position["quantity"]) * 100) for position in content["positions"])
    except (KeyError, TypeError, ArithmeticError):
        return None


def _number(value):
    if type(value) not in (int, float):
        raise TypeError(value)
    return Decimal(str(value))


def _get_content(request):
    content = (request.payload or {}).get("content")
    return content if isinstance(content, dict) else {}


def _refuse(status, *errors):
    *words, outcome = errors if errors[-1] in ("unauthorized", "lookup_hit") else (*errors, "refused")
    return Answer(status, to_json({"errors": words}), outcome)
