"""Cash registers in OrangeData's data centre, protocol v2 (FFD 1.2).

    POST {url}/<documents|correction12>/                     X-Signature: …  {"id", "inn", "group", "key", "content"}
         201 queued, 409 this id is known, 400 {"errors": […]} not valid, or not signed by the key, 503 with Retry-After
    GET  {url}/<documents|correction12>/<inn>/status/<id>    202 in the queue, 200 fiscalised, 404 never seen,
         524 it waited for too long and never will be: another id is needed, 422 its marking failed the check

Sources: the service's own clients (github.com/orangedata-official: Java `NetworkCodes`, `DocumentState`; node-orangedata;
Python-OrangeData) and github.com/Vasfed/orangedata. An id has up to 64 characters and is unique in an organisation. Not verified
against the real service.
"""

import json
import re
from base64 import b64encode
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from time import monotonic
from urllib.parse import quote
from uuid import uuid4

import requests
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ..core.ffd import to_text
from ..core.fiscal_data import FiscalData
from ..core.qr import qr_text
from .atol_web import get_uuid
from .base import Answer, Contents, Credential, Document, Endpoint, Outcome
from .exchange import HEADERS, WEB, Exchange, describe_page, find_fault, json_object
from .http import HttpTransport, read_answer
from .orangedata_request import get_resource, to_content
from .wire import Identity, Reply

CHECK_AGAIN = 3.0  # s
EXPIRED = 524
PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----(.*?)-----END \1-----", re.DOTALL)
OF_SIGNATURE = re.compile("подпис|signature", re.IGNORECASE)


class OrangeData:
    """Registers of one organisation, a group of which has one register in it, which number and sign what their queue brings.

    A document's first try has the id uuid5(NAMESPACE, key), the n-th after it uuid5(NAMESPACE, "key/n"), as tasks have in
    `atol_web.py`: one that expired in the queue can't be used again. The number of the latest is remembered
    (`Document.ofd_id`): the next one is sent only once it is on record that the last one is over.

        send      POST the latest try; if that is known, ask what became of it
        lookup    ask what became of the latest try; ABSENT if it never arrived

    The service knows us by a certificate, and believes a document by its signature (RSA, SHA-256, over the body). Both keys are
    given as PEM texts, with or without their line breaks.
    """

    label = "OrangeData (v2)"
    schemes = WEB
    is_register = True
    keeps_shifts = True
    names_buyer = False
    commands = ()
    calls_back = False
    credentials = (
        Credential("organisation", "INN at the Service", secret=False),
        Credential("group_code", "Group Code", secret=False),
        Credential("certificate", "Client Certificate (PEM)"),
        Credential("certificate_key", "Key of the Certificate (PEM)"),
        Credential("signing_key", "Signing Key (PEM)"),
    )

    def __init__(self, endpoint: Endpoint):
        given = {credential.name: endpoint.credentials.get(credential.name, "") for credential in self.credentials}
        self._account = {"inn": given["organisation"], "group": given["group_code"] or "Main", "key": given["organisation"]}
        self._url, self._timeout = endpoint.url.rstrip("/"), endpoint.timeout
        self._key = read_key(given["signing_key"])
        identity, fault = find_identity(given)
        fault = fault or ("" if self._key else "The signing key is missing, or is no RSA key in PEM.")
        fault = fault or ("" if given["organisation"] else "The INN at the service is missing.")
        secrets = [given[name] for name in ("certificate_key", "signing_key")]
        self._exchange = Exchange(endpoint, secrets, find_fault(endpoint) or fault, identity)

    @staticmethod
    def encode(contents: Contents) -> str:
        """See `Transport.encode`; KeyError for what the service has no name for."""
        made_of = json.loads(HttpTransport.encode(contents))
        resource, content = get_resource(contents), to_text(to_content(contents))
        return to_text({"contents": made_of, "resource": resource, "content": content})

    @staticmethod
    def decode(payload: str) -> Contents:
        """See `Transport.decode`."""
        return HttpTransport.decode(to_text(json.loads(payload)["contents"]))

    def send(self, document: Document) -> Answer:
        """See `Transport.send`."""
        ends, number = monotonic() + self._timeout, get_number(document)
        answer = self._post(document, number, ends)
        if answer.outcome is not Outcome.PROCESSING or answer.http_status != 409:
            return answer
        told = self._ask(document, number, ends)
        if told.outcome is Outcome.ABSENT:
            return replace(told, outcome=Outcome.UNKNOWN, message="the service knows the id, but not its document")
        return told

    def lookup(self, document: Document) -> Answer:
        """See `Transport.lookup`."""
        return self._ask(document, get_number(document), monotonic() + self._timeout)

    def check(self) -> Answer:
        """Ask what became of an id that does not exist; see `Transport.check`."""
        path = f"documents/{quote(self._account['inn'], safe='')}/status/{uuid4()}"
        return self._attempt(path, monotonic() + self._timeout, read_missing)

    def close(self) -> None:
        """Close the kept connection; the next call opens another."""
        self._exchange.close()

    def _post(self, document: Document, number: int, ends: float) -> Answer:
        kept = json.loads(document.payload)
        account = to_text({"id": get_uuid(document.idempotency_key, number), **self._account})
        body = f'{account[:-1]},"content":{kept["content"]}}}'
        return self._attempt(f"{kept['resource']}/", ends, lambda reply: read_registered(reply, number), body)

    def _ask(self, document: Document, number: int, ends: float) -> Answer:
        kept, contents = json.loads(document.payload), self.decode(document.payload)
        name = get_uuid(document.idempotency_key, number)
        path = f"{kept['resource']}/{quote(self._account['inn'], safe='')}/status/{name}"
        return self._attempt(path, ends, lambda reply: read_status(reply, contents, number, name))

    def _attempt(self, path: str, ends: float, read, body: str | None = None) -> Answer:
        def prepare():
            request = requests.PreparedRequest()
            headers, data = HEADERS, None
            if body:
                data = body.encode()
                signature = b64encode(self._key.sign(data, PKCS1v15(), SHA256())).decode()
                headers = HEADERS | {"Content-Type": "application/json; charset=utf-8", "X-Signature": signature}
            request.prepare(method="POST" if body else "GET", url=f"{self._url}/{path}", headers=headers, data=data)
            return request

        return self._exchange.attempt(prepare, read, max(ends - monotonic(), 0.001))


def get_number(document: Document) -> int:
    """Of the latest try."""
    number = document.ofd_id.rpartition("/")[2]
    return int(number) if number.isdecimal() else 0


def as_pem(text: str) -> str:
    """With its line breaks, which a form's field has lost."""
    parts = ((kind, "".join(body.split())) for kind, body in PEM.findall(text))
    lines = ((kind, re.findall(".{1,64}", body)) for kind, body in parts)
    return "\n".join("\n".join([f"-----BEGIN {kind}-----", *body, f"-----END {kind}-----", ""]) for kind, body in lines)


def read_key(text: str) -> RSAPrivateKey | None:
    """None for what is no RSA key."""
    try:
        key = load_pem_private_key(as_pem(text).encode(), None)
    except (ValueError, TypeError):
        return None
    return key if isinstance(key, RSAPrivateKey) else None


def find_identity(given: dict[str, str]) -> tuple[Identity | None, str]:
    """What the service knows us by, and what is wrong with it, in words."""
    certificate, key = as_pem(given["certificate"]), as_pem(given["certificate_key"])
    if not given["certificate"] and not given["certificate_key"]:
        return None, ""
    if "BEGIN CERTIFICATE" not in certificate or not read_key(key):
        return None, "The client certificate or its key is missing, or is no PEM text with an RSA key."
    return Identity(certificate, key), ""


def read_registered(reply: Reply, number: int) -> Answer:
    """The outcome of a POST: in the queue, known already, or not taken."""
    if reply.status in (201, 409) and is_its_own(reply):
        return Answer(Outcome.PROCESSING, reply.status, ofd_id=to_try(number), retry_after=CHECK_AGAIN)
    words = get_words(reply)
    if reply.status == 400 and words:
        return Answer(Outcome.MISCONFIGURED if OF_SIGNATURE.search(words) else Outcome.REFUSED, 400, words)
    return read_peer(reply)


def read_status(reply: Reply, contents: Contents, number: int, name: str) -> Answer:
    """The outcome of a GET: of a try, what became of it."""
    if reply.status == 200:
        return _read_done(reply, contents, number, name)
    if reply.status == 202:
        return Answer(Outcome.PROCESSING, 202, ofd_id=to_try(number), retry_after=CHECK_AGAIN)
    if reply.status == EXPIRED and is_its_own(reply):
        words = get_words(reply) or "it waited in the queue for too long"
        return Answer(Outcome.UNABLE, EXPIRED, words, ofd_id=to_try(number + 1))
    if reply.status == 422 and (words := get_words(reply)):
        return Answer(Outcome.REFUSED, 422, words, ofd_id=to_try(number + 1))
    return read_missing(reply)


def read_missing(reply: Reply) -> Answer:
    """The outcome of a question for an id that was never seen, and of what is no word on it."""
    if reply.status == 404 and is_its_own(reply):
        return Answer(Outcome.ABSENT, 404, get_words(reply))
    return read_peer(reply)


def read_peer(reply: Reply) -> Answer:
    """As any HTTP peer's."""
    answer = read_answer(reply._replace(body=b""), "")
    outcome = Outcome.MISCONFIGURED if answer.outcome is Outcome.REFUSED else answer.outcome
    return replace(answer, outcome=outcome, message=get_words(reply) or describe_page(reply))


def is_its_own(reply: Reply) -> bool:
    """Whether the service may have said so: a proxy's statuses come with a page."""
    return not reply.body.strip() or bool(json_object(reply.body))


def get_words(reply: Reply) -> str:
    """The service's words; "" without."""
    errors = json_object(reply.body).get("errors")
    return "; ".join(error for error in errors if isinstance(error, str)) if isinstance(errors, list) else ""


def to_try(number: int) -> str:
    """How the number of a try is remembered."""
    return f"/{number}" if number else ""


def _read_done(reply, contents, number, name):
    """Whether what was fiscalised is this document, says `delivery/verification.py`."""
    said = json_object(reply.body)
    if said.get("id") != name:
        return Answer(Outcome.UNKNOWN, reply.status, "an answer about another document" if said else describe_page(reply))
    try:
        return replace(_read_fiscal_data(said, contents), http_status=reply.status, ofd_id=to_try(number))
    except (KeyError, ValueError, TypeError, ArithmeticError, AttributeError):
        return Answer(Outcome.ACCEPTED, reply.status, "no fiscal data", ofd_id=to_try(number))


def _read_fiscal_data(said, contents):
    moment = datetime.fromisoformat(said["processedAt"])
    drive, sign = said["fsNumber"], str(said["fp"])
    numbers = [said[name] for name in ("documentNumber", "shiftNumber", "documentIndex")]
    if not re.fullmatch("[0-9]{16}", drive) or not re.fullmatch("[0-9]{1,10}", sign):
        raise ValueError(drive)
    if any(type(number) is not int or not 0 < number < 2**31 for number in numbers):
        raise ValueError(numbers)
    named = {"fiscalDriveNumber": drive, "fiscalDocumentNumber": numbers[0], "fiscalSign": sign}
    data = FiscalData(drive, *numbers, sign, qr_text({**contents.document, **named}, moment))
    content = said.get("content") or {}
    total = int(Decimal(str(content["totalSum"])) * 100) if "totalSum" in content else None
    return Answer(Outcome.ACCEPTED, fiscal_data=data, total=total, operation_type=content.get("type"))
