"""The HTTP contract of an OFD: POST a document under its idempotency key, GET it back by that key.

The transport itself, and the functions that read one outcome out of whatever came back. Below it are `wire.py`'s sockets.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from time import monotonic
from urllib.parse import quote, urlsplit

import requests
from urllib3 import Timeout
from urllib3.exceptions import NewConnectionError

from ..core.ffd import to_text
from ..core.hlc import Timestamp
from .base import LONGEST_PAUSE, MESSAGE_LENGTH, Answer, Contents, Credential, Document, Endpoint, Outcome
from .wire import BODY_LIMIT, Reply, open_adapter, whole_body

SHORTEST_PAUSE = 1.0  # s: "Retry-After: 0" must not become a hot loop
UNSAID_PAUSE = 60.0  # s, for a 429 without Retry-After
ABSENT_KEY = "connection-test"  # no document's key: those are two uuids

REFUSALS = {400, 409, 413, 422}  # with the contract's error object; without, a proxy's page says so
IN_PROGRESS = "in_progress"  # error code of a 409: another request with this key is still being worked on
UNDER_WAY = ("queued", "processing")  # status of an acknowledgement that is yet to come, mostly with a 202
TRANSIENT = {408, 425}  # the 4xx that blame neither the document nor the settings
TAGS = re.compile(r"<(script|style)\b[^<]*</\1>|<[^<>]*>", re.IGNORECASE)  # linear on any input


class HttpTransport:
    """One OFD endpoint over HTTP: a request out, one outcome back.

        send, lookup, check     wrong settings are said before anything goes out
          └─ _attempt           one Answer, whatever happens
               ├─ _exchange     one request and its whole answer within `endpoint.timeout`, or an exception:
               │                NewConnectionError = certainly not sent, anything else = nobody knows
               └─ read_…        status, Retry-After and the acknowledgement decide

    The connection is kept between calls, and dropped after every unknown outcome, so that a late answer is
    never taken for that to the next request. One thread at a time, not across a fork. The token goes into the
    Authorization header and nowhere else.
    """

    label = "HTTP (JSON)"
    credentials = (Credential("token", "Token", in_header=True),)

    def __init__(self, endpoint: Endpoint):
        self._token = endpoint.credentials.get("token", "")
        self._url = endpoint.url.rstrip("/") + "/v1/documents"
        self._adapter = open_adapter()
        fault = _fault(endpoint)
        self._misconfigured = Answer(Outcome.MISCONFIGURED, message=fault) if fault else None
        if not fault:
            self._timeout = Timeout(total=endpoint.timeout)
            self._post = self._request("POST", self._url)

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

    def send(self, document: Document) -> Answer:
        """POST one document; see `Transport.send`."""
        if self._misconfigured:
            return self._misconfigured
        return self._attempt(self._posting(document), document.idempotency_key, read_answer)

    def lookup(self, document: Document) -> Answer:
        """GET the acknowledgement of a document's key; see `Transport.lookup`."""
        return self._look_up(document.idempotency_key, read_lookup)

    def check(self) -> Answer:
        """Look up a key that can't exist; see `Transport.check`."""
        return self._look_up(ABSENT_KEY, read_check)

    def close(self) -> None:
        """Close the kept connection; the next call opens another."""
        self._adapter.close()

    def _request(self, method: str, url: str) -> requests.PreparedRequest:
        headers = {"User-Agent": "opterp-kkt", "Accept": "application/json"}  # http.client adds: encoding identity
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = requests.PreparedRequest()
        request.prepare(method=method, url=url, headers=headers)
        return request

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
        if self._misconfigured:
            return self._misconfigured
        return self._attempt(self._request("GET", f"{self._url}/{quote(key, safe='')}"), key, read)

    def _attempt(self, request: requests.PreparedRequest, key: str, read) -> Answer:
        begun = monotonic()
        try:
            reply = self._exchange(request)
        except Exception as error:  # a peer's bytes can break an HTTP stack in more ways than it documents
            answer = read_failure(error)
        else:
            answer = read(reply, key)
        if answer.outcome is Outcome.UNKNOWN:
            self.close()
        return replace(answer, message=self._printable(answer.message), duration=monotonic() - begun)

    def _exchange(self, request: requests.PreparedRequest) -> Reply:
        response = self._adapter.send(request, stream=True, timeout=self._timeout)
        try:
            return Reply(response.status_code, response.headers, whole_body(response.raw))
        finally:
            response.raw.close()  # and the connection, unless the body was read to its end

    def _printable(self, text: str) -> str:
        """Others' words as one line, safe to store and show: no token, tags, controls, NUL or surrogates."""
        if self._token:
            text = text.replace(self._token, "***")
        text = "".join(char if char.isprintable() else " " for char in TAGS.sub(" ", text))
        return " ".join(text.split())[:MESSAGE_LENGTH]


def _fault(endpoint: Endpoint) -> str:
    """What is wrong with the settings, in words, or ""."""
    token = endpoint.credentials.get("token")
    if token and not re.fullmatch("[!-~]+", token):
        return "The token may contain only visible ASCII characters, no spaces or line breaks."
    if not 0 < endpoint.timeout < 86400:
        return "The timeout must be between zero and a day."
    try:
        url = urlsplit(endpoint.url)
        requests.PreparedRequest().prepare(method="GET", url=endpoint.url)
        (url.hostname or "").encode("idna")
    except ValueError:
        return "The address is not a valid URL."
    printable = endpoint.url.isprintable() and " " not in endpoint.url
    if url.scheme not in ("http", "https") or not url.hostname or not printable:
        return "The address must look like https://ofd.example/path, without spaces."
    if url.username is not None or url.query or url.fragment:
        return "The address may contain no user name, password, query or fragment; secrets go into the token."
    return ""


def read_answer(reply: Reply, key: str) -> Answer:
    """The outcome of a POST.

    Statuses that the contract doesn't name: 402, 405, 410, 415 and every other 4xx say that the address, the
    account or the contract is wrong, whatever document is sent: misconfigured. 408 and 425 blame nobody:
    unknown, like 5xx, and like 1xx, which nobody asked for.
    """
    status, pause, said = reply.status, _retry_after(reply.headers), _said(reply)
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
    if reply.status == 404 and _json_object(reply.body):
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


def read_failure(error: Exception) -> Answer:
    """The outcome of an exchange without a whole answer: only without a connection is it certain that nothing
    was sent. The message is the root cause's; the layers above it only repeat that they failed."""
    unsent = isinstance(error, requests.ConnectionError) and any(
        isinstance(getattr(cause, "reason", None), NewConnectionError) for cause in error.args
    )
    while deeper := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        error = deeper
    told = str(error) if isinstance(error, OSError) else ""  # the system's words; those of a parser say nothing to anybody
    return Answer(
        Outcome.UNAVAILABLE if unsent else Outcome.UNKNOWN,
        message=told or f"the answer is cut off or garbled ({type(error).__name__})",
    )


def _read_acknowledgement(reply: Reply, key: str) -> Answer:
    said = _json_object(reply.body)
    if said.get("status") in UNDER_WAY and said.get("idempotency_key") == key:
        return Answer(Outcome.PROCESSING, reply.status, retry_after=_retry_after(reply.headers))
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
    kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return f"HTTP {reply.status}, {kind}" if kind and reply.body else f"HTTP {reply.status}"


def _error(reply: Reply) -> dict:
    """The contract's error object; {} without."""
    error = _json_object(reply.body).get("error")
    return error if isinstance(error, dict) and error.get("code") and isinstance(error["code"], str) else {}


def _json_object(body: bytes) -> dict:
    """The body as a JSON object; {} when it is anything else, or too big."""
    try:
        parsed = json.loads(body) if len(body) <= BODY_LIMIT else None
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, as asked for (RFC 9110, 10.2.3) and in our bounds; None when unsaid or unreadable."""
    said = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", said):
        seconds = float(said)
    elif (until := _http_date(said)) is not None:
        now = _http_date(headers.get("Date", "")) or time.time()  # by their clock, when told: ours may be off
        seconds = until - now
    else:
        return None
    return min(max(seconds, SHORTEST_PAUSE), LONGEST_PAUSE)


def _http_date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
