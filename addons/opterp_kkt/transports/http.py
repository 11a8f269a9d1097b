"""The HTTP contract of an OFD: POST a document under its idempotency key, GET it back by that key.

The transport itself, and the functions that read one outcome out of whatever came back. Below it are `wire.py`'s sockets.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from urllib.parse import quote

import requests

from ..core.ffd import to_text
from ..core.hlc import Timestamp
from .base import Answer, Contents, Credential, Document, Endpoint, Outcome, at_ease
from .exchange import HEADERS, WEB, Exchange, describe_page, find_fault, json_object, retry_after
from .wire import Reply

UNSAID_PAUSE = 60.0  # s, for a 429 without Retry-After
ABSENT_KEY = "connection-test"  # no document's key: those are two uuids

REFUSALS = {400, 409, 413, 422}  # with the contract's error object; without, a proxy's page says so
IN_PROGRESS = "in_progress"  # error code of a 409: another request with this key is still being worked on
UNDER_WAY = ("queued", "processing")  # status of an acknowledgement that is yet to come, mostly with a 202
TRANSIENT = {408, 425}  # the 4xx that blame neither the document nor the settings


class HttpTransport:
    """One OFD endpoint over HTTP: a request out, one outcome back.

        send, lookup, check     `exchange.py` makes the attempt, and says wrong settings before anything goes out
          └─ read_…             status, Retry-After and the acknowledgement decide

    The token goes into the Authorization header and nowhere else.
    """

    label = "HTTP (JSON)"
    schemes = WEB
    is_register = False
    keeps_shifts = False
    names_buyer = False
    commands = ()
    calls_back = False
    credentials = (Credential("token", "Token", in_header=True),)

    def __init__(self, endpoint: Endpoint):
        self._token = endpoint.credentials.get("token", "")
        self._url = endpoint.url.rstrip("/") + "/v1/documents"
        self._exchange = Exchange(endpoint, [self._token], _find_fault(endpoint))

    @staticmethod
    def encode(contents: Contents) -> str:
        """The body of the POST; see `Transport.encode`."""
        return to_text(
            {
                "idempotency_key": contents.idempotency_key,
                "register": {
                    "fiscal_drive_number": contents.fiscal_drive_number,
                    "registration_number": contents.registration_number,
                },
                "fd_number": contents.fd_number,
                "document_type": contents.document_type,
                "hlc": contents.hlc._asdict(),
                "document": contents.document,
            }
        )

    @staticmethod
    def decode(payload: str) -> Contents:
        """See `Transport.decode`."""
        envelope = json.loads(payload)
        register, stamp = envelope.pop("register"), envelope.pop("hlc")
        return Contents(**envelope, **register, hlc=Timestamp(**stamp))

    def send(self, document: Document, meanwhile: Callable[[], None] = at_ease) -> Answer:
        """POST one document; see `Transport.send`."""
        read = partial(read_answer, key=document.idempotency_key)
        return self._exchange.attempt(lambda: self._posting(document), read, meanwhile=meanwhile)

    def lookup(self, document: Document) -> Answer:
        """GET the acknowledgement of a document's key; see `Transport.lookup`."""
        return self._look_up(document.idempotency_key, read_lookup)

    def check(self) -> Answer:
        """Look up a key that can't exist; see `Transport.check`."""
        return self._look_up(ABSENT_KEY, read_check)

    def close(self) -> None:
        """Close the kept connection; the next call opens another."""
        self._exchange.close()

    def _request(self, method: str, url: str) -> requests.PreparedRequest:
        headers = HEADERS | ({"Authorization": f"Bearer {self._token}"} if self._token else {})
        request = requests.PreparedRequest()
        request.prepare(method=method, url=url, headers=headers)
        return request

    @cached_property
    def _post(self) -> requests.PreparedRequest:
        return self._request("POST", self._url)

    def _posting(self, document: Document) -> requests.PreparedRequest:
        """The one POST request, filled in anew: to prepare one per document costs as much as to send it."""
        self._post.body = document.payload.encode()
        self._post.headers.update(
            {
                "Content-Type": "application/json; charset=utf-8",
                "Content-Length": str(len(self._post.body)),
                "Idempotency-Key": document.idempotency_key,
                "X-Delivery-Epoch": str(document.epoch),
            }
        )
        return self._post

    def _look_up(self, key: str, read: Callable[[Reply, str], Answer]) -> Answer:
        return self._exchange.attempt(lambda: self._request("GET", f"{self._url}/{quote(key, safe='')}"), partial(read, key=key))


def _find_fault(endpoint: Endpoint) -> str:
    token = endpoint.credentials.get("token")
    if token and not re.fullmatch("[!-~]+", token):
        return "The token may contain only visible ASCII characters, no spaces or line breaks."
    return find_fault(endpoint)


def read_answer(reply: Reply, key: str) -> Answer:
    """The outcome of a POST.

    Statuses that the contract doesn't name: 402, 405, 410, 415 and every other 4xx say that the address, the
    account or the contract is wrong, whatever document is sent: misconfigured. 408 and 425 blame nobody:
    unknown, like 5xx, and like 1xx, which nobody asked for.
    """
    status, pause, said = reply.status, retry_after(reply.headers), _said(reply)
    if 200 <= status < 300:
        return _read_acknowledgement(reply, key)
    if status in REFUSALS and (code := _error(reply).get("code")):
        if status == 409 and code == IN_PROGRESS:
            return Answer(Outcome.PROCESSING, status, said, retry_after=pause)
        return Answer(Outcome.REFUSED, status, said, conflict=status == 409)
    if status == 429 or (status == 503 and pause):
        return Answer(Outcome.THROTTLED, status, said, retry_after=pause or UNSAID_PAUSE)
    if 300 <= status < 500 and status not in TRANSIENT:
        return Answer(Outcome.MISCONFIGURED, status, said)
    return Answer(Outcome.UNKNOWN, status, said)


def read_lookup(reply: Reply, key: str) -> Answer:
    """The outcome of a lookup.

    Only the OFD knows that it does not have a document, and says so in JSON: another 404 is a proxy's page, and says nothing.
    A refusal of the question is no verdict on the document. Both are misconfigured.
    """
    answer = read_answer(reply, key)
    if reply.status == 404 and json_object(reply.body):
        return replace(answer, outcome=Outcome.ABSENT)
    if answer.outcome is Outcome.REFUSED:
        return replace(answer, outcome=Outcome.MISCONFIGURED, conflict=False)
    return answer


def read_check(reply: Reply, key: str) -> Answer:
    """A lookup of a key that can't exist."""
    answer = read_lookup(reply, key)
    if answer.outcome is Outcome.ABSENT:
        return replace(answer, message="")
    if answer.outcome is Outcome.ACCEPTED or reply.status == 404:
        return replace(answer, outcome=Outcome.MISCONFIGURED, message=f"what answers there is no OFD ({answer.message})")
    return answer


def _read_acknowledgement(reply: Reply, key: str) -> Answer:
    said = json_object(reply.body)
    if said.get("status") in UNDER_WAY and said.get("idempotency_key") == key:
        return Answer(Outcome.PROCESSING, reply.status, retry_after=retry_after(reply.headers))
    if said.get("status") != "accepted" or said.get("idempotency_key") != key:
        return Answer(Outcome.UNKNOWN, reply.status, f"no acknowledgement of this document: {_said(reply)}")
    server_time, ofd_id = said.get("server_time"), said.get("ofd_id")
    return Answer(
        Outcome.ACCEPTED,
        reply.status,
        server_time=server_time if type(server_time) is int and 0 < server_time < 2**48 else None,
        ofd_id=ofd_id if isinstance(ofd_id, str) and len(ofd_id) <= 200 and ofd_id.isprintable() else "",
    )


def _said(reply: Reply) -> str:
    """The OFD's words, "code: message", where it keeps to the contract. Anything else is a page that somebody may not be meant to
    read, a proxy's or an internal service's: only its status and type are told."""
    error = _error(reply)
    words = [error.get("code"), error.get("message")]
    if error:
        return ": ".join(str(word) for word in words if word and isinstance(word, str | int))
    return describe_page(reply)


def _error(reply: Reply) -> dict:
    """The contract's error object; {} without."""
    error = json_object(reply.body).get("error")
    return error if isinstance(error, dict) and error.get("code") and isinstance(error["code"], str) else {}
