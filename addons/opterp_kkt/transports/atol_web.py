"""A cash register on the counter, through the web server of the ATOL driver (10.x): tasks in a queue, under uuids of ours.

    POST /api/v2/requests          {"uuid", "request": [task, …]}   201: queued, 409: this uuid is known
    GET  /api/v2/requests/<uuid>   {"results": [{"status", "errorCode", "errorDescription", "result"}, …]}, 404: never seen

Sources: the driver's public documentation (`docs.zip` of atoldrv.ru; its words on the states of a task as quoted at
help-kassa.shop-ctrl.ru), its error codes (LIBFPTR_ERROR_… of libfptr10), and what clients expect of `fiscalParams`
(github.com/pbardov/node-atol-rpc). Not verified against a real register.
"""

import json
import re
from base64 import b64encode
from dataclasses import replace
from datetime import datetime
from time import monotonic, sleep
from typing import NamedTuple
from uuid import UUID, uuid4, uuid5

import requests

from ..core.ffd import to_text
from ..core.fiscal_data import FiscalData
from ..core.qr import qr_text
from .atol_task import closing_before, to_command, to_task
from .base import Answer, Contents, Credential, Device, Document, Endpoint, Outcome
from .exchange import HEADERS, WEB, Exchange, describe_page, find_fault, json_object
from .http import HttpTransport, read_answer
from .wire import Reply

NAMESPACE = UUID("3e0f8a56-6f5c-5d0b-9a3e-8f2a8d1f7c11")  # of our keys among uuids
CHECK_AGAIN = 1.0  # s: printing a receipt takes about that long
POLL = 0.2  # s, where a person waits
INQUIRIES = ("getDeviceInfo", "getFnInfo", "getShiftStatus", "getRegistrationInfo")

# What a task that ended with an error means: it was certainly not fiscalised, for a reason that passes when somebody looks after
# the register, or never, as the document is at fault. All other codes leave open what the drive has. A register whose queue lost
# sight of a document says `blocked` instead.
UNABLE = {
    1, 2, 3, 4, 10, 14, 107, 214, 221,  # no connection to the device
    44, 45, 46, 47, 114, 150,  # paper, cover, printer
    55, 80, 188, 226,  # busy, no cash, about to reboot
    68, 141,  # the shift is older than 24 hours
    35, 36, 117, 120, 121, 122, 136, 137, 139, 142, 166, 198, 224, 225,  # clock; the drive: ended, full, missing
}  # fmt: skip
REFUSED = {
    5, 8, 13, 16, 17, 40, 41, 48, 49, 52, 53, 54, 57, 59, 60, 61, 62, 63, 66, 73, 83, 98, 102, 103, 110, 116, 124, 128, 143, 144,
    145, 146, 147, 158, 161, 163, 167, 168, 169, 190, 192, 193, 195, 205, 215, 216, 217, 219, 227, 228, 231, 235, 243, 244, 249,
}  # fmt: skip
SHIFT_EXPIRED = {68, 141}
OVER = (Outcome.UNABLE, Outcome.REFUSED)  # of a try: nothing was fiscalised, so there may be another one


class Told(NamedTuple):
    """What the register says of the last try of a document."""

    number: int
    answer: Answer
    shift_expired: bool = False


class AtolWeb:
    """One register behind the driver's web server.

    A document's first try has uuid5(NAMESPACE, key), the n-th after it uuid5(NAMESPACE, "key/n"): a uuid whose task ended with an
    error can't be used again. The next try exists only where the last one ended with an error that says that nothing was
    fiscalised, so that among all tries one can be fiscalised; the register refuses a uuid that it knows. What a try became is
    asked by its uuid, never sent again. A receipt that was fiscalised but not printed is `ready`.

        send      POST the first try; if that is known, ask what became of the last one, and POST the next if that may be
        lookup    ask what became of the last try; ABSENT if there was none

    The payload keeps the task's text, which is what is sent, beside what it was made of.
    """

    label = "ATOL driver (web server)"
    schemes = WEB
    is_register = True
    keeps_shifts = False
    names_buyer = False
    commands = ("report_x", "copy", "cash_in", "cash_out")
    calls_back = False
    credentials = (Credential("login", "Login", secret=False), Credential("password", "Password"))

    def __init__(self, endpoint: Endpoint):
        login, password = (endpoint.credentials.get(name, "") for name in ("login", "password"))
        basic = b64encode(f"{login}:{password}".encode()).decode()
        self._headers = HEADERS | ({"Authorization": f"Basic {basic}"} if login or password else {})
        self._url = endpoint.url.rstrip("/") + "/api/v2/requests"
        self._timeout = endpoint.timeout
        fault = "The login may contain no colon." if ":" in login else find_fault(endpoint)
        self._exchange = Exchange(endpoint, [basic, password], fault)

    @staticmethod
    def encode(contents: Contents) -> str:
        """See `Transport.encode`; KeyError for what the driver has no name for."""
        made_of = json.loads(HttpTransport.encode(contents))
        kept = {"contents": made_of, "task": to_text(to_task(contents))}
        return to_text(kept if contents.on_paper else {**kept, "on_paper": False})

    @staticmethod
    def decode(payload: str) -> Contents:
        """See `Transport.decode`."""
        kept = json.loads(payload)
        return replace(HttpTransport.decode(to_text(kept["contents"])), on_paper=kept.get("on_paper", True))

    def send(self, document: Document) -> Answer:
        """See `Transport.send`."""
        ends = monotonic() + self._timeout
        answer = self._post(document, 0, ends)
        if answer.http_status != 409 or answer.outcome is not Outcome.PROCESSING:
            return answer
        told = self._find_last(document, ends)
        if told.answer.outcome is Outcome.ABSENT:
            return replace(told.answer, outcome=Outcome.UNKNOWN, message="the register knows the uuid, but not its task")
        if told.answer.outcome not in OVER:
            return told.answer
        return self._post(document, told.number + 1, ends, told.shift_expired)

    def lookup(self, document: Document) -> Answer:
        """See `Transport.lookup`."""
        return self._find_last(document, monotonic() + self._timeout).answer

    def check(self) -> Answer:
        """Ask the register about itself; see `Transport.check`."""
        ends, uuid = monotonic() + self._timeout, str(uuid4())
        body = to_text({"uuid": uuid, "request": [{"type": name} for name in INQUIRIES]})
        return self._await(body, uuid, ends, read_device)

    def command(self, uuid: str, name: str, **facts) -> Answer:
        """See `Transport.command`."""
        body = to_text({"uuid": uuid, "request": [to_command(name, **facts)]})
        return self._await(body, uuid, monotonic() + self._timeout, read_done)

    def _await(self, body: str, uuid: str, ends: float, read) -> Answer:
        """What became of tasks that a person waits for."""
        answer = self._attempt("POST", body, ends, lambda reply: read_queued(reply, uuid))
        while answer.outcome is Outcome.PROCESSING and monotonic() < ends - POLL:
            sleep(POLL)
            answer = self._attempt("GET", uuid, ends, read)
        return answer

    def close(self) -> None:
        """Close the kept connection; the next call opens another."""
        self._exchange.close()

    def _find_last(self, document: Document, ends: float) -> Told:
        """The last try of a document. There may be many, of a night without paper: they are not asked one by one."""
        last, absent = Told(-1, Answer(Outcome.ABSENT)), None
        while absent is None or absent - last.number > 1:
            number = max(2 * last.number + 1, 0) if absent is None else (last.number + absent) // 2
            told = self._ask(document, number, ends)
            if told.answer.outcome is Outcome.ABSENT:
                absent = number
                last = last if number else told
            elif told.answer.outcome in OVER:
                last = told
            else:
                return told
        return last

    def _ask(self, document: Document, number: int, ends: float) -> Told:
        results = []

        def read(reply):
            results.extend(get_results(reply))
            return read_results(reply, self.decode(document.payload))

        answer = self._attempt("GET", get_uuid(document.idempotency_key, number), ends, read)
        return Told(number, answer, any(result.get("errorCode") in SHIFT_EXPIRED for result in results))

    def _post(self, document: Document, number: int, ends: float, shift_expired: bool = False) -> Answer:
        uuid, text = get_uuid(document.idempotency_key, number), json.loads(document.payload)["task"]
        before = f"{to_text(closing_before(json.loads(text)))}," if shift_expired else ""
        body = f'{{"uuid":"{uuid}","request":[{before}{text}]}}'
        return self._attempt("POST", body, ends, lambda reply: read_queued(reply, uuid))

    def _attempt(self, method: str, what: str, ends: float, read) -> Answer:
        def prepare():
            request = requests.PreparedRequest()
            if method == "GET":
                request.prepare(method=method, url=f"{self._url}/{what}", headers=self._headers)
            else:
                headers = self._headers | {"Content-Type": "application/json; charset=utf-8"}
                request.prepare(method=method, url=self._url, headers=headers, data=what.encode())
            return request

        return self._exchange.attempt(prepare, read, max(ends - monotonic(), 0.001))


def get_uuid(key: str, number: int) -> str:
    """The uuid of a document's try."""
    return str(uuid5(NAMESPACE, f"{key}/{number}" if number else key))


def read_queued(reply: Reply, uuid: str) -> Answer:
    """The outcome of a POST: the task is queued, was known, or is no task."""
    said = json_object(reply.body)
    if 200 <= reply.status < 300:
        if not said or said.get("uuid", uuid) != uuid:
            return Answer(Outcome.UNKNOWN, reply.status, f"no receipt for this task: {describe_page(reply)}")
        return Answer(Outcome.PROCESSING, reply.status, retry_after=CHECK_AGAIN)
    if reply.status == 409 and said:
        return Answer(Outcome.PROCESSING, reply.status, retry_after=CHECK_AGAIN)
    if reply.status in (400, 413, 422) and said:
        return Answer(Outcome.REFUSED, reply.status, get_words(said) or describe_page(reply))
    return _read_other(reply, said)


def read_results(reply: Reply, contents: Contents) -> Answer:
    """The outcome of a GET: of the task, which is the last one of its request."""
    results = get_results(reply)
    if not results:
        return _read_missing(reply)
    states = [result.get("status") for result in results]
    if states[-1] == "ready":
        return _read_ready(reply, results[-1].get("result"), contents)
    if states[-1] in ("wait", "inProgress"):
        return Answer(Outcome.PROCESSING, reply.status, retry_after=CHECK_AGAIN)
    if states[-1] == "canceled":
        return Answer(Outcome.REFUSED, reply.status, "canceled at the register")
    if states[-1] in ("error", "interrupted") and "error" in states:  # what comes after an error was not begun
        return _read_error(reply, results[states.index("error")])
    return Answer(Outcome.UNKNOWN, reply.status, f"{states[-1]!s:.40} {get_words(results[-1])}".strip())


def read_device(reply: Reply) -> Answer:
    """The outcome of an inquiry: ABSENT, with what the register says of itself."""
    results = get_results(reply)
    if not results:
        return _read_missing(reply)
    if any(result.get("status") in ("wait", "inProgress") for result in results):
        return Answer(Outcome.PROCESSING, reply.status, "the register is busy", retry_after=CHECK_AGAIN)
    facts = [result["result"] if isinstance(result.get("result"), dict) else {} for result in results]
    if not any(facts):
        failed = next((result for result in results if result.get("status") == "error"), results[0])
        return replace(_read_error(reply, failed), outcome=Outcome.UNABLE)
    parts = {name: part for fact in facts for name, part in fact.items() if isinstance(part, dict)}
    return Answer(Outcome.ABSENT, reply.status, device=_describe_device(parts))


def read_done(reply: Reply) -> Answer:
    """The outcome of a command. A task that ended with an error was not done."""
    results = get_results(reply)
    if not results:
        return _read_missing(reply)
    status = results[-1].get("status")
    if status in ("wait", "inProgress"):
        return Answer(Outcome.PROCESSING, reply.status, "the register is busy", retry_after=CHECK_AGAIN)
    if status in ("error", "interrupted", "canceled"):
        answer = _read_error(reply, results[-1])
        return answer if answer.outcome is Outcome.UNABLE else replace(answer, outcome=Outcome.REFUSED)
    if status == "ready":
        return Answer(Outcome.ACCEPTED, reply.status)
    return Answer(Outcome.UNKNOWN, reply.status, f"{status!s:.40} {get_words(results[-1])}".strip())


def get_results(reply: Reply) -> list[dict]:
    """The results of a request's tasks; [] for any other answer."""
    results = json_object(reply.body).get("results") if reply.status == 200 else None
    fits = isinstance(results, list) and all(isinstance(result, dict) for result in results)
    return results if fits else []


def get_words(said: dict) -> str:
    """The register's words: code and description."""
    error = said.get("error") if isinstance(said.get("error"), dict) else said
    words = [error.get("errorCode", error.get("code")), error.get("errorDescription", error.get("description"))]
    return ": ".join(str(word) for word in words if word and isinstance(word, str | int))


def _read_missing(reply):
    said = json_object(reply.body)
    if reply.status == 404 and said:
        return Answer(Outcome.ABSENT, reply.status, get_words(said))
    return _read_other(reply, said)


def _read_other(reply, said):
    """What is no word on the document: as any HTTP peer's."""
    answer = read_answer(reply._replace(body=b""), "")
    outcome = Outcome.MISCONFIGURED if answer.outcome is Outcome.REFUSED else answer.outcome
    return replace(answer, outcome=outcome, message=get_words(said) or describe_page(reply), retry_after=answer.retry_after)


def _read_error(reply, result):
    code = result.get("errorCode")
    known = code if type(code) is int else None
    outcome = Outcome.UNABLE if known in UNABLE else Outcome.REFUSED if known in REFUSED else Outcome.UNKNOWN
    return Answer(outcome, reply.status, get_words(result) or "error")


def _read_ready(reply, result, contents):
    """Whether what was fiscalised is this document, says `delivery/verification.py`."""
    facts = result.get("fiscalParams", result) if isinstance(result, dict) else {}
    try:
        data, moment = _get_fiscal_data(facts, contents)
        total = round(facts["total"] * 100) if "total" in facts else None
    except (KeyError, ValueError, TypeError, OverflowError, AttributeError):
        return Answer(Outcome.ACCEPTED, reply.status, "no fiscalParams")
    return Answer(
        Outcome.ACCEPTED,
        reply.status,
        server_time=int(moment.timestamp() * 1000) if moment.tzinfo else None,
        fiscal_data=data,
        total=total,
    )


def _get_fiscal_data(facts, contents):
    moment = datetime.fromisoformat(facts["fiscalDocumentDateTime"])
    drive, sign = str(facts["fnNumber"]), str(facts["fiscalDocumentSign"])
    settled = "operationType" in contents.document
    numbers = [facts[name] for name in ("fiscalDocumentNumber", "shiftNumber", *(["fiscalReceiptNumber"] if settled else []))]
    if not re.fullmatch("[0-9]{16}", drive) or not re.fullmatch("[0-9]{1,10}", sign):
        raise ValueError(drive)
    if any(type(number) is not int or not 0 < number < 2**31 for number in numbers):
        raise ValueError(numbers)
    named = {"fiscalDriveNumber": drive, "fiscalDocumentNumber": numbers[0], "fiscalSign": sign}
    qr = qr_text({**contents.document, **named}, moment) if settled else None
    return FiscalData(drive, *numbers, *([] if settled else [None]), sign, qr), moment


def _describe_device(parts):
    device, drive, shift = (parts.get(name, {}) for name in ("deviceInfo", "fnInfo", "shiftStatus"))
    told = {
        "model": device.get("modelName"),
        "firmware": device.get("firmwareVersion"),
        "serial_number": device.get("serial"),
        "registration_number": parts.get("device", {}).get("registrationNumber"),
        "inn": parts.get("organization", {}).get("vatin"),
        "fiscal_drive_number": drive.get("serial"),
        "drive_valid_until": drive.get("validityDate"),
        "shift_state": shift.get("state"),
    }
    number = shift.get("number")
    return Device(
        **{name: text.strip()[:64] for name, text in told.items() if isinstance(text, str) and text.isprintable()},
        shift_number=number if type(number) is int else None,
    )
