"""A cash register in the cloud: ATOL Online, protocol v5 (FFD 1.2), and services that speak it at another address.

    POST {url}/getToken                    {"login", "pass"}                     200 {"token"}, for 24 hours; error 12: wrong
    POST {url}/<group>/<operation>         Token: …  {"external_id", "receipt"}  200 {"uuid", "status": "wait"}, or an error
    GET  {url}/<group>/report/<uuid>       Token: …                              wait, done with "payload", fail with "error"

Sources: clients (github.com/ili/atol-online; Mygento's `ErrorCode` for Magento) and a table of errors made from the service's
document (`API_atol_online_v4.pdf`, version 5.15, page 63, as kept in Vlsv's `StatusErrorConstants`): error 33, an `external_id`
that is known, brings the `uuid` of its document; 34, not known yet; 30, no such uuid; a document that ended with `fail` needs
another `external_id`. It POSTs its report to a `service.callback_url` that it was given. Its v4 (FFD 1.05) is
not spoken: a document here, its paper and the counters are those of FFD 1.2. Not verified against the real service.
"""

import json
import re
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from time import monotonic
from typing import NamedTuple
from urllib.parse import quote
from uuid import UUID, uuid4

import requests

from ..core.ffd import to_text
from ..core.fiscal_data import FiscalData
from ..core.qr import qr_text
from .atol_receipt import get_operation, to_request
from .atol_web import get_uuid
from .base import Answer, Contents, Credential, Document, Endpoint, Outcome
from .exchange import HEADERS, WEB, Exchange, describe_page, find_fault, json_object
from .http import HttpTransport, read_answer
from .wire import Reply

CHECK_AGAIN = 3.0  # s: a register in the cloud has a queue
CHECK_ANYWAY = 15.0  # s: it calls when it has done, and a call may get lost
KNOWN, LATER, NO_SUCH_UUID = 33, 34, 30
NOT_TAKEN = {  # errors of a POST, by code: the document was not registered, but for those that leave it open
    0: Outcome.UNKNOWN, 1: Outcome.UNKNOWN, 50: Outcome.UNKNOWN,
    10: Outcome.MISCONFIGURED, 11: Outcome.MISCONFIGURED, 12: Outcome.MISCONFIGURED, 14: Outcome.MISCONFIGURED,
    20: Outcome.MISCONFIGURED, 21: Outcome.MISCONFIGURED, 41: Outcome.MISCONFIGURED,  # token, account, group, content type
    13: Outcome.REFUSED, 31: Outcome.REFUSED, 32: Outcome.REFUSED, 40: Outcome.REFUSED,  # what was sent is not valid
}  # fmt: skip
# A document that ended with `fail` was not fiscalised, for good. These say that another one may be, when the queue gets shorter
# or somebody has looked after the registers; anything else blames the document.
UNABLE = {("timeout", 1), ("agent", 3), ("agent", 4)} | {
    ("driver", code)
    for code in (-1, -3807, -3822, -3910, -3912, -3913, -3914, -3915, -3916, -3917, -3922, -3924, -3935, -3978, -3979)
}
VERDICTS = (Outcome.ACCEPTED, Outcome.PROCESSING, Outcome.UNABLE, Outcome.REFUSED)  # what became of a try

TOKENS: dict[tuple, str] = {}  # of this process, by account


class Try(NamedTuple):
    """A document's latest try as the service knows it; `uuid` is empty until it has told. Earlier ones are over for certain."""

    number: int = 0
    uuid: str = ""

    @classmethod
    def from_text(cls, text: str) -> "Try":
        uuid, _, number = text.partition("/")
        return cls(int(number or 0), uuid)

    def __str__(self):
        return f"{self.uuid}/{self.number}" if self.number else self.uuid


class AtolOnline:
    """A group of registers with one register in it, which numbers and signs what its queue brings.

    A document's first try has the `external_id` uuid5(NAMESPACE, key), the n-th after it uuid5(NAMESPACE, "key/n"), as tasks
    have in `atol_web.py`: one that ended with `fail` can't be used again. The service takes each `external_id` once and tells,
    when it is sent again, the uuid that it gave to its document. Only by that uuid it can be asked. So the uuid is remembered
    (`Document.ofd_id`); where it is not known, since an answer was lost, the same is sent again under the same `external_id`.
    The next try is sent only once it is on record that the last one is over.

        send      POST the latest try; if that is known, ask what became of it
        lookup    ask what became of the latest try, by its uuid; without one, say that only sending it again tells

    A token is asked for when there is none, and anew when the service does not take it any more: what was refused so was not
    registered. The token is kept for the process. Others ask for their own, one request a day: a transport knows neither
    database nor Redis, and a secret more in either would cost more than that.

    The payload keeps the request's text, which is what is sent behind the `external_id`, beside what it was made of. Where it is
    to call is no part of that: a secret is in that address, and the payload is read by people.
    """

    label = "ATOL Online (v5)"
    schemes = WEB
    is_register = True
    keeps_shifts = True
    names_buyer = True
    commands = ()
    calls_back = True
    credentials = (
        Credential("login", "Login", secret=False),
        Credential("password", "Password"),
        Credential("group_code", "Group Code", secret=False),
    )

    def __init__(self, endpoint: Endpoint):
        self._login, self._password, group = (endpoint.credentials.get(name, "") for name in ("login", "password", "group_code"))
        self._url, self._group = endpoint.url.rstrip("/"), quote(group, safe="")
        self._account = (self._url, self._login, self._password)
        callback = endpoint.credentials.get("callback_url", "")
        self._service = f'"service":{to_text({"callback_url": callback})},' if callback else ""
        self._timeout = endpoint.timeout
        self._exchange = Exchange(
            endpoint,
            [self._password, callback, callback.rpartition("/")[2]],
            find_fault(endpoint) or ("" if group else "The group code is missing."),
        )

    @staticmethod
    def encode(contents: Contents) -> str:
        """See `Transport.encode`; KeyError for what the service has no name for."""
        made_of = json.loads(HttpTransport.encode(contents))
        operation, request = get_operation(contents), to_text(to_request(contents))
        return to_text({"contents": made_of, "utc_offset": contents.utc_offset, "operation": operation, "request": request})

    @staticmethod
    def decode(payload: str) -> Contents:
        """See `Transport.decode`."""
        kept = json.loads(payload)
        return replace(HttpTransport.decode(to_text(kept["contents"])), utc_offset=kept["utc_offset"])

    def send(self, document: Document) -> Answer:
        """See `Transport.send`."""
        ends, latest = monotonic() + self._timeout, Try.from_text(document.ofd_id)
        if latest.uuid:
            answer = self._ask(document, latest, ends)
            if answer.outcome is not Outcome.ABSENT:  # it was, so it was given up and goes to another service now
                return answer
        answer = self._post(document, latest.number, ends)
        if answer.outcome is not Outcome.PROCESSING or answer.http_status == 200:
            return answer
        told = self._ask(document, Try.from_text(answer.ofd_id), ends)
        return _own_or_conflict(told, document) if told.outcome in VERDICTS else answer

    def lookup(self, document: Document) -> Answer:
        """See `Transport.lookup`."""
        latest = Try.from_text(document.ofd_id)
        if not latest.uuid:
            return Answer(Outcome.UNKNOWN, message="only sending it again tells what became of it", resend=True)
        answer = self._ask(document, latest, monotonic() + self._timeout)
        return replace(answer, outcome=Outcome.UNKNOWN) if answer.outcome is Outcome.ABSENT else answer

    def check(self) -> Answer:
        """Ask for a token and for a uuid that does not exist; see `Transport.check`."""
        ends = monotonic() + self._timeout
        TOKENS.pop(self._account, None)
        return self._call(f"{self._group}/report/{uuid4()}", ends, read_check)

    def close(self) -> None:
        """Close the kept connection; the next call opens another."""
        self._exchange.close()

    def _post(self, document: Document, number: int, ends: float) -> Answer:
        kept = json.loads(document.payload)
        external_id = get_uuid(document.idempotency_key, number)
        body = f'{{"external_id":"{external_id}",{self._service}{kept["request"][1:]}'
        return self._call(f"{self._group}/{kept['operation']}", ends, lambda reply: read_registered(reply, number), body)

    def _ask(self, document: Document, latest: Try, ends: float) -> Answer:
        contents = self.decode(document.payload)
        external_id = get_uuid(document.idempotency_key, latest.number)
        path = f"{self._group}/report/{quote(latest.uuid, safe='')}"
        answer = self._call(path, ends, lambda reply: read_report(reply, contents, latest, external_id))
        waits = self._service and answer.outcome is Outcome.PROCESSING
        return replace(answer, retry_after=CHECK_ANYWAY) if waits else answer

    # -- token -----------------------------------------------------------------------------------------------------------

    def _call(self, path: str, ends: float, read, body: str | None = None) -> Answer:
        """One request under the token; once more, under a new one, where the service does not take it any more."""
        if token := TOKENS.get(self._account):
            answer = self._attempt(path, ends, read, body, token)
            if answer.http_status != 401:
                return answer
        failed = self._renew_token(ends)
        return failed or self._attempt(path, ends, read, body, TOKENS[self._account])

    def _renew_token(self, ends: float) -> Answer | None:
        """Keep a new token; the answer where there is none. Then nothing was sent, or it was not registered, for certain."""
        given = []

        def read(reply):
            given.append(json_object(reply.body).get("token"))
            answer = _read_error(reply) or read_peer(reply)
            return replace(answer, outcome=Outcome.MISCONFIGURED) if answer.outcome is Outcome.REFUSED else answer

        answer = self._attempt("getToken", ends, read, to_text({"login": self._login, "pass": self._password}))
        if answer.http_status == 200 and isinstance(given[0], str) and re.fullmatch("[!-~]+", given[0]):
            TOKENS[self._account] = given[0]
            return None
        TOKENS.pop(self._account, None)
        certain = answer.outcome in (Outcome.MISCONFIGURED, Outcome.THROTTLED)
        return answer if certain else replace(answer, outcome=Outcome.UNAVAILABLE, message=f"no token: {answer.message}")

    def _attempt(self, path: str, ends: float, read, body: str | None = None, token: str = "") -> Answer:
        def prepare():
            headers = HEADERS | ({"Token": token} if token else {})
            headers |= {"Content-Type": "application/json; charset=utf-8"} if body else {}
            request = requests.PreparedRequest()
            method, data = ("POST", body.encode()) if body else ("GET", None)
            request.prepare(method=method, url=f"{self._url}/{path}", headers=headers, data=data)
            return request

        self._exchange.hide(token)
        return self._exchange.attempt(prepare, read, max(ends - monotonic(), 0.001))


def read_registered(reply: Reply, number: int) -> Answer:
    """The outcome of a POST: in the queue, known already, or not taken. With HTTP 200, it is this very request that was taken."""
    said = json_object(reply.body)
    code, uuid = get_error(said).get("code"), said.get("uuid")
    if code == KNOWN or (reply.status == 200 and not code):
        if not _is_uuid(uuid):
            return Answer(Outcome.UNKNOWN, reply.status, f"no uuid of the document: {describe_page(reply)}")
        return Answer(Outcome.PROCESSING, 400 if code else 200, ofd_id=str(Try(number, uuid)), retry_after=CHECK_AGAIN)
    return _read_error(reply) or read_peer(reply)


def read_report(reply: Reply, contents: Contents, latest: Try, external_id: str) -> Answer:
    """The outcome of a GET: of a try, what became of it. ABSENT: no such uuid."""
    said = json_object(reply.body)
    error, status = get_error(said), said.get("status")
    if said.get("uuid", latest.uuid) != latest.uuid or said.get("external_id", external_id) != external_id:
        return Answer(Outcome.UNKNOWN, reply.status, "an answer about another document")
    if reply.status == 200 and status == "done":
        return _read_done(reply, said.get("payload"), contents, latest)
    if error.get("code") == LATER or (reply.status == 200 and status == "wait"):
        return Answer(Outcome.PROCESSING, reply.status, ofd_id=str(latest), retry_after=CHECK_AGAIN)
    if error.get("code") == NO_SUCH_UUID:
        return Answer(Outcome.ABSENT, reply.status, get_words(error))
    if reply.status == 200 and status == "fail" and error:
        outcome = Outcome.UNABLE if (error.get("type"), error.get("code")) in UNABLE else Outcome.REFUSED
        return Answer(outcome, reply.status, get_words(error), ofd_id=f"/{latest.number + 1}")
    return read_peer(reply)


def read_check(reply: Reply) -> Answer:
    """The outcome of a question for a uuid that does not exist."""
    if get_error(json_object(reply.body)).get("code") in (NO_SUCH_UUID, LATER):
        return Answer(Outcome.ABSENT, reply.status)
    answer = _read_error(reply) or read_peer(reply)
    return replace(answer, outcome=Outcome.MISCONFIGURED) if answer.outcome is Outcome.REFUSED else answer


def read_peer(reply: Reply) -> Answer:
    """What is no word on the document: as any HTTP peer's."""
    words = get_words(get_error(json_object(reply.body))) or describe_page(reply)
    return replace(read_answer(reply._replace(body=b""), ""), message=words)


def get_error(said: dict) -> dict:
    """The service's error object; {} without."""
    error = said.get("error")
    return error if isinstance(error, dict) and type(error.get("code")) is int else {}


def get_words(error: dict) -> str:
    """The service's words: code and text."""
    return ": ".join(str(error[name]) for name in ("code", "text") if isinstance(error.get(name), str | int))


def _read_error(reply):
    error = get_error(json_object(reply.body))
    outcome = NOT_TAKEN.get(error.get("code"))
    if reply.status == 429 or (outcome is Outcome.REFUSED and not 200 <= reply.status < 500):
        outcome = None
    return outcome and Answer(outcome, reply.status, get_words(error))


def _read_done(reply, payload, contents, latest):
    """Whether what was fiscalised is this document, says `delivery/verification.py`."""
    try:
        data, total = _get_fiscal_data(payload, contents), int(Decimal(str(payload["total"])) * 100)
    except (KeyError, ValueError, TypeError, ArithmeticError, AttributeError):
        return Answer(Outcome.ACCEPTED, reply.status, "no payload", ofd_id=str(latest))
    return Answer(Outcome.ACCEPTED, reply.status, ofd_id=str(latest), fiscal_data=data, total=total)


def _get_fiscal_data(payload, contents):
    moment = datetime.strptime(payload["receipt_datetime"], "%d.%m.%Y %H:%M:%S")
    drive, sign = payload["fn_number"], str(payload["fiscal_document_attribute"])
    numbers = [int(payload[name]) for name in ("fiscal_document_number", "shift_number", "fiscal_receipt_number")]
    if not re.fullmatch("[0-9]{16}", drive) or not re.fullmatch("[0-9]{1,10}", sign):
        raise ValueError(drive)
    if any(not 0 < number < 2**31 for number in numbers):
        raise ValueError(numbers)
    named = {"fiscalDriveNumber": drive, "fiscalDocumentNumber": numbers[0], "fiscalSign": sign}
    return FiscalData(drive, *numbers, sign, qr_text({**contents.document, **named}, moment))


def _own_or_conflict(answer, document):
    """What the service has under this `external_id`, although we did not know that it has it, must be of the same sum."""
    total = AtolOnline.decode(document.payload).document["totalSum"]
    if answer.outcome is not Outcome.ACCEPTED or answer.total in (None, total):
        return answer
    words = f"the service has another document under this external_id: {answer.total / 100:.2f} ≠ {total / 100:.2f}"
    return replace(answer, outcome=Outcome.REFUSED, conflict=True, fiscal_data=None, message=words)


def _is_uuid(text):
    try:
        return bool(UUID(text))
    except (ValueError, TypeError, AttributeError):
        return False
