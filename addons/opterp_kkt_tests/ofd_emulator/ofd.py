"""The OFD itself: which document it takes, and what it says."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import replace
from itertools import islice
from typing import Any

from .cloud import Cloud
from .drive import Drives
from .exchange import Answer, Request, to_json
from .faults import Fault
from .history import History, Record
from .orange import Orange
from .register import DRIVE, Register

OUTCOMES = {
    400: "refused",
    401: "unauthorized",
    403: "unauthorized",
    409: "conflict",
    413: "refused",
    422: "refused",
    429: "throttled",
}
HLC_FIELDS = ("local_time", "logical_counter", "node")
REQUIRED = {  # where in the payload -> its type
    "idempotency_key": str,
    "register.fiscal_drive_number": str,
    "register.registration_number": str,
    "fd_number": int,
    "document_type": str,
    "document": dict,
}


class Refusal(Exception):
    """The document can't be taken: (code, message) in the OFD's words."""


class Ofd:
    """Takes each key once: `arrive` opens a request's record, `decide` answers it, `end` closes the record.

    A real OFD asks for no order of documents and knows no delivery epoch, so neither does this one.
    One lock covers each decision together with its line in the history: nobody is told of an acceptance
    that is not written.
    """

    def __init__(self, history: History, token: str = "", drive: str = DRIVE):
        self._history = history
        self._token = token
        self._lock = threading.Lock()
        self._orders = 0
        cloud = Cloud(history, token)
        self._dialects = {
            "register": Register(history, token, drive),
            "cloud": cloud,
            "orange": Orange(history, cloud),
            "drive": Drives(history),
        }
        self._forget_orders()

    # -- requests under /v1 ----------------------------------------------------------------------------------

    def arrive(self, request: Request, arrived: float) -> tuple[Record, Fault]:
        """Open a request's record; also the fault that it meets, and may use up."""
        fields = self._dialects[request.dialect].describe(request) if request.dialect else describe(request)
        with self._lock:
            record, fault = self._history.open(arrived=arrived, **fields), self._fault
            self._fault = fault.after(request.method)
            return record, fault if fault.meets(request.method) else Fault()

    def decide(self, record: Record, request: Request, ends: bool = True) -> Answer | None:
        """The OFD's own answer; with `ends`, the same line of the history ends the request.

        None: everything was forgotten while the request was in flight, and the request with it.
        """
        with self._lock:
            if not self._history.knows(record):
                return None
            answer, facts = self._judge(record, request)
            if ends:
                facts |= ending(answer)
            if facts:
                self._history.update(record, **facts)
            return answer

    def end(self, record: Record, **facts: Any) -> None:
        """Write how a request ended: `ending(answer)`, or an outcome and `closed`."""
        with self._lock:
            self._history.update(record, **facts)

    def _judge(self, record: Record, request: Request) -> tuple[Answer, dict[str, Any]]:
        if request.dialect:
            return self._dialects[request.dialect].judge(record, request, self._ordered_answer(request.body or b""))
        if self._token and request.authorization != f"Bearer {self._token}":
            return _error(401, "unauthorized", "Токен доступа не указан или неверен"), {}
        if request.body is None:
            return _error(413, "too_large", "Документ больше 1 МиБ"), {}
        if request.method == "GET":
            return self._look_up(request.key), {}
        return self._judge_document(record, request)

    def _look_up(self, key: str) -> Answer:
        known = self._history.documents.get(key)
        if known:
            return _acknowledgement(known.key, known.ofd_id, known.server_time, "lookup_hit")
        return _error(404, "not_found", "Документ с таким ключом не поступал", "lookup_miss")

    def _judge_document(self, record: Record, request: Request) -> tuple[Answer, dict[str, Any]]:
        try:
            check_document(request)
        except Refusal as refusal:
            return _error(422, *refusal.args), {}
        known = self._history.documents.get(record.key)
        if known and known.sha256 != record.sha256:
            return _error(409, "conflict", "Документ с таким ключом уже принят с другим содержимым"), {}
        if known:
            return _acknowledgement(known.key, known.ofd_id, known.server_time, "duplicate"), {}
        ordered = self._ordered_answer(request.body)
        return (ordered, {}) if ordered else self._accept(record)

    def _accept(self, record: Record) -> tuple[Answer, dict[str, Any]]:
        taken = {"ofd_id": f"emu-{record.seq}", "server_time": int(time.time() * 1000)}
        return _acknowledgement(record.key, outcome="accepted", **taken), {"accepted": True, **taken}

    def _ordered_answer(self, body: bytes) -> Answer | None:
        for match, answer in self._failures.items():
            if match in body:
                return answer
        for match, (code, message) in self._refusals.items():
            if match in body:
                return _error(422, code, message)
        return None

    # -- orders under /_control ------------------------------------------------------------------------------

    def set_fault(self, fault: Fault) -> None:
        with self._lock:
            self._orders += 1
            self._fault = replace(fault, order=self._orders)

    def is_in_force(self, fault: Fault) -> bool:
        """Whether no other fault was ordered since; it may have been used up."""
        return fault.order == self._orders

    def refuse(self, match: str, code: str, message: str) -> None:
        """Answer 422 to documents whose body contains `match`; an empty one clears all such orders."""
        with self._lock:
            self._refusals = {**self._refusals, match.encode(): (code, message)} if match else {}

    def fail_matching(self, match: str, answer: Answer) -> None:
        """Answer so to documents whose body contains `match`; an empty one clears all such orders."""
        with self._lock:
            self._failures = {**self._failures, match.encode(): answer} if match else {}

    def reset(self) -> None:
        with self._lock:
            self._history.reset()
            self._forget_orders()

    def _forget_orders(self) -> None:
        self._orders += 1
        self._fault = Fault()
        self._refusals: dict[bytes, tuple[str, str]] = {}
        self._failures: dict[bytes, Answer] = {}
        for dialect in self._dialects.values():
            dialect.forget_orders()

    def set_condition(self, dialect: str, order: dict[str, Any]) -> None:
        """What is the matter with registers; see `register.py` and `cloud.py`."""
        with self._lock:
            self._dialects[dialect].obey(order)

    # -- views -----------------------------------------------------------------------------------------------

    def history(self, since: int = 0) -> list[dict[str, Any]]:
        """The records with a greater `seq`, in order of arrival."""
        with self._lock:
            return [dict(vars(record)) for seq, record in self._history.records.items() if seq > since]

    def latest(self, limit: int = 50) -> list[Record]:
        """The newest POSTs, newest first."""
        with self._lock:
            posts = (r for r in reversed(self._history.records.values()) if r.method == "POST")
            return [Record(**vars(record)) for record in islice(posts, limit)]

    def status(self) -> dict[str, Any]:
        """What is in force and how much of each outcome there was."""
        with self._lock:
            records, outcomes = len(self._history.records), dict(self._history.outcomes)
            return {
                "mode": self._fault.mode,
                "fault": self._fault.as_dict(),
                "refuse": [match.decode() for match in self._refusals],
                "fail_matching": [match.decode() for match in self._failures],
                "requests": records,
                "documents": len(self._history.documents),
                "in_flight": records - sum(outcomes.values()),
                "outcomes": outcomes,
            }


def failure(status: int, retry_after: float | None = None) -> Answer:
    """The OFD's answer when it is not well."""
    if status == 429:
        words = "too_many_requests", "Слишком много запросов, повторите позже"
    else:
        words = "operator_error", "Ошибка на стороне оператора"
    return _error(status, *words, retry_after=retry_after)


def page(status: int, body: str, content_type: str) -> Answer:
    """What a web firewall or a proxy answers in the OFD's stead. Only with an error object it is the OFD's word."""
    said = isinstance((parse_object(body.encode()) or {}).get("error"), dict)
    return Answer(status, body.encode(), said and OUTCOMES.get(status) or "failed", content_type)


def garbage() -> Answer:
    page = "<!doctype html><title>Вход в сеть</title><h1>Добро пожаловать в сеть Wi-Fi</h1>"
    return Answer(200, page.encode(), "failed", "text/html; charset=utf-8")


def other_key() -> Answer:
    return _acknowledgement("another-key", "emu-0", int(time.time() * 1000), "failed")


def ending(answer: Answer) -> dict[str, Any]:
    """What the history says of a request that is answered now."""
    return {"status": answer.status, "outcome": answer.outcome, "answered": time.time() * 1000}


def check_document(request: Request) -> None:
    """Raise Refusal unless the payload is one for this key, with everything that an OFD needs."""
    if request.payload is None:
        raise Refusal("bad_json", "Тело запроса не является объектом JSON")
    for path, kind in REQUIRED.items():
        value = request.payload
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value in (None, ""):
            raise Refusal("missing_field", f"Не заполнено поле «{path}»")
        if not isinstance(value, kind) or isinstance(value, bool):
            raise Refusal("bad_field", f"Неверный тип поля «{path}»")
    if request.payload["idempotency_key"] != request.key:
        raise Refusal("key_mismatch", "Заголовок Idempotency-Key не совпадает с полем «idempotency_key»")


def describe(request: Request) -> dict[str, Any]:
    """The small fields of a request that the history keeps, as far as they make sense."""
    payload = request.payload or {}
    register, document, hlc = (_part(payload, name) for name in ("register", "document", "hlc"))
    return {
        "method": request.method,
        "key": request.key,
        "epoch": request.epoch,
        "register": _small(register.get("fiscal_drive_number")),
        "fd_number": _small(payload.get("fd_number")),
        "document_type": _small(payload.get("document_type")),
        "operation_type": _small(document.get("operationType")),
        "total_sum": _small(document.get("totalSum")),
        "hlc": {name: _small(hlc.get(name)) for name in HLC_FIELDS} if hlc else None,
        "sha256": hashlib.sha256(request.body).hexdigest() if request.body else None,
    }


def parse_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object that the body is, or None."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _part(payload: dict[str, Any], name: str) -> dict[str, Any]:
    value = payload.get(name)
    return value if isinstance(value, dict) else {}


def _small(value: Any) -> Any:
    if isinstance(value, str):
        return value[:64]
    return value if isinstance(value, int) and abs(value) < 1 << 63 else None


def _acknowledgement(key: str, ofd_id: str, server_time: int, outcome: str) -> Answer:
    body = {"status": "accepted", "idempotency_key": key, "ofd_id": ofd_id, "server_time": server_time}
    return Answer(200, to_json(body), outcome)


def _error(status: int, code: str, message: str, outcome: str = "", **more: Any) -> Answer:
    body = to_json({"error": {"code": code, "message": message}})
    return Answer(status, body, outcome or OUTCOMES.get(status, "failed"), **more)
