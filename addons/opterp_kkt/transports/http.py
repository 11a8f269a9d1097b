"""The HTTP contract of an OFD: POST a document under its idempotency key, GET it back by that key.

From the bottom up: sockets whose timeout is a total, an adapter that makes `requests` use them, the transport
itself, and the functions that read one outcome out of whatever came back.
"""

import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from email.utils import parsedate_to_datetime
from threading import Thread
from time import monotonic
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError

from . import LONGEST_PAUSE, MESSAGE_LENGTH, Answer, Document, Endpoint, Outcome

BODY_LIMIT = 64 * 1024  # bytes of an answer; an acknowledgement has some 150
SHORTEST_PAUSE = 1.0  # s: "Retry-After: 0" must not become a hot loop
UNSAID_PAUSE = 60.0  # s, for a 429 without Retry-After
ABSENT_KEY = "connection-test"  # no document's key: those are two uuids

REFUSALS = {400, 409, 413, 422}
TRANSIENT = {408, 425}  # the 4xx that blame neither the document nor the settings
TAGS = re.compile(r"<(script|style)\b[^<]*</\1>|<[^<>]*>", re.IGNORECASE)  # linear on any input


class _TotalTimeout:
    """A socket's timeout that runs on over all calls since `settimeout`, instead of anew with each.

    urllib3 sets it when a request begins and narrows it when the answer is due. An ordinary timeout would be
    renewed by every byte of a server that drips, in headers as in the body.
    """

    _ends = None  # on the monotonic clock, s

    def settimeout(self, seconds):
        self._ends = None if seconds is None else monotonic() + seconds
        super().settimeout(seconds)

    def gettimeout(self):
        if self._ends is None:
            return None
        left = self._ends - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def recv_into(self, *args):
        super().settimeout(self.gettimeout())
        return super().recv_into(*args)


class _Socket(_TotalTimeout, socket.socket):
    pass


class _TLSSocket(_TotalTimeout, ssl.SSLSocket):
    pass


def _resolve(host: str, port: int, seconds: float) -> list:
    """getaddrinfo in at most `seconds`. It has no timeout, and a dead name server holds it for half a minute,
    so it is asked in a thread that is left behind when it takes too long."""
    future = Future()

    def ask():
        try:
            future.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:
            future.set_exception(error)

    Thread(target=ask, daemon=True, name="opterp_kkt resolver").start()
    try:
        return future.result(seconds)
    except TimeoutError:
        raise TimeoutError(f"no name server answers about {host}") from None


def _connect(host: str, port: int, seconds: float, options) -> socket.socket:
    """A connected socket, what is left of `seconds` as its timeout. The addresses share the time, so that a
    dead IPv6 route leaves some for IPv4."""
    ends = monotonic() + seconds
    addresses = _resolve(host, port, seconds)
    for tried, address in enumerate(addresses):
        left = len(addresses) - tried
        try:
            sock = _open(address, max(ends - monotonic(), 0.001) / left, options)
            sock.settimeout(max(ends - monotonic(), 0.001))
            return sock
        except OSError:
            if left == 1:
                raise


def _open(found: tuple, seconds: float, options) -> _Socket:
    """A socket connected to one of getaddrinfo's addresses."""
    family, kind, protocol, _, address = found
    sock = _Socket(family, kind, protocol)
    try:
        for option in options or ():
            sock.setsockopt(*option)
        sock.settimeout(seconds)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


class _Connecting:
    """Every failure before anything could be sent is a NewConnectionError, name resolution and TLS handshake
    included. No later failure is one, neither on a new connection nor on a kept one."""

    def _new_conn(self):
        return _connect(self._dns_host, self.port, self.timeout, self.socket_options)

    def connect(self):
        try:
            super().connect()
        except (OSError, HTTPError, ValueError) as error:
            raise NewConnectionError(self, str(error)) from error


class _HTTPConnection(_Connecting, HTTPConnection):
    pass


class _HTTPSConnection(_Connecting, HTTPSConnection):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # The system's certificates count besides those of `requests`: administrators add authorities there.
        self.ssl_context = ssl.create_default_context()
        self.ssl_context.sslsocket_class = _TLSSocket


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


def _adapter() -> HTTPAdapter:
    """`requests`' adapter over these sockets: one kept connection; no retries, redirects or proxies."""
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
    adapter.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
    return adapter


class Reply(NamedTuple):
    """What came back over the wire, whole; only a body above BODY_LIMIT is cut, one byte behind it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


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

    def __init__(self, endpoint: Endpoint):
        self._token = endpoint.token
        self._url = endpoint.url.rstrip("/") + "/v1/documents"
        self._adapter = _adapter()
        fault = _fault(endpoint)
        self._misconfigured = Answer(Outcome.MISCONFIGURED, message=fault) if fault else None
        if not fault:
            self._timeout = Timeout(total=endpoint.timeout)
            self._post = self._request("POST", self._url)

    def send(self, document: Document) -> Answer:
        """POST one document; see `Transport.send`."""
        if self._misconfigured:
            return self._misconfigured
        return self._attempt(self._posting(document), document.idempotency_key, read_answer)

    def lookup(self, idempotency_key: str) -> Answer:
        """GET the acknowledgement of a key; see `Transport.lookup`."""
        return self._look_up(idempotency_key, read_lookup)

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
        self._post.headers.update({
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(self._post.body)),
            "Idempotency-Key": document.idempotency_key,
            "X-Delivery-Epoch": str(document.epoch),
        })
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
            return Reply(response.status_code, response.headers, _whole_body(response.raw))
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
    if endpoint.token and not re.fullmatch("[!-~]+", endpoint.token):
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


def _whole_body(raw) -> bytes:
    """The body as it was sent, never decompressed; urllib3 raises when the connection ends before it does."""
    body = b""
    while len(body) <= BODY_LIMIT and (part := raw.read(BODY_LIMIT + 1 - len(body), decode_content=False)):
        body += part
    return body


def read_answer(reply: Reply, key: str) -> Answer:
    """The outcome of a POST (DESIGN, "Outcome of one attempt").

    Statuses that the table doesn't name: 402, 405, 410, 415 and every other 4xx say that the address, the
    account or the contract is wrong, whatever document is sent: misconfigured. 408 and 425 blame nobody:
    unknown, like 5xx, and like 1xx, which nobody asked for.
    """
    status, pause = reply.status, _retry_after(reply.headers)
    if 200 <= status < 300:
        return _read_acknowledgement(reply, key)
    if status in REFUSALS:
        return Answer(Outcome.REFUSED, status, _said(reply), conflict=status == 409)
    if status == 429 or (status == 503 and pause):
        return Answer(Outcome.THROTTLED, status, _said(reply), retry_after=pause or UNSAID_PAUSE)
    if 300 <= status < 500 and status not in TRANSIENT:
        return Answer(Outcome.MISCONFIGURED, status, _said(reply))
    return Answer(Outcome.UNKNOWN, status, _said(reply))


def read_lookup(reply: Reply, key: str) -> Answer:
    """The outcome of a lookup.

    Any 404 is ABSENT, even a proxy's page: what follows is a POST of the same key and bytes, harmless where
    the key is known, and answered 404 (misconfigured) itself where the address is wrong. A refusal of the
    question is no verdict on the document: misconfigured.
    """
    answer = read_answer(reply, key)
    if reply.status == 404:
        return replace(answer, outcome=Outcome.ABSENT)
    if answer.outcome is Outcome.REFUSED:
        return replace(answer, outcome=Outcome.MISCONFIGURED, conflict=False)
    return answer


def read_check(reply: Reply, key: str) -> Answer:
    """A lookup of a key that can't exist. Stricter, as every web server has a 404: the OFD's is JSON."""
    answer = read_lookup(reply, key)
    if answer.outcome is Outcome.ABSENT and _json_object(reply.body):
        return replace(answer, message="")
    if answer.outcome in (Outcome.ABSENT, Outcome.ACCEPTED):
        return replace(answer, outcome=Outcome.MISCONFIGURED, message="what answers there is no OFD")
    return answer


def read_failure(error: Exception) -> Answer:
    """The outcome of an exchange without a whole answer: only without a connection is it certain that nothing
    was sent. The message is the root cause's; the layers above it only repeat that they failed."""
    unsent = isinstance(error, requests.ConnectionError) and any(
        isinstance(getattr(cause, "reason", None), NewConnectionError) for cause in error.args
    )
    while deeper := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        error = deeper
    words = str(error) or type(error).__name__
    return Answer(Outcome.UNAVAILABLE if unsent else Outcome.UNKNOWN, message=words)


def _read_acknowledgement(reply: Reply, key: str) -> Answer:
    said = _json_object(reply.body)
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
    """The operator's words: "code: message" where it keeps to the contract, else the body or the status."""
    error = _json_object(reply.body).get("error")
    if isinstance(error, dict):
        words = [error.get("code"), error.get("message")]
        if said := ": ".join(str(word) for word in words if word and isinstance(word, str | int)):
            return said
    if 300 <= reply.status < 400 and "Location" in reply.headers:
        return f"HTTP {reply.status}, redirected to {reply.headers['Location']}"
    return reply.body.decode(errors="replace").strip() or f"HTTP {reply.status}"


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
