"""One exchange over HTTP: a request out, its whole answer back in time, or words for what came in between.

What the protocols that speak HTTP stand on; below are `wire.py`'s sockets.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from time import monotonic
from urllib.parse import urlsplit

import requests
from urllib3 import Timeout
from urllib3.exceptions import NewConnectionError, ReadTimeoutError

from .base import LONGEST_PAUSE, MESSAGE_LENGTH, Answer, Endpoint, Outcome, at_ease
from .wire import BODY_LIMIT, Identity, Reply, open_adapter, whole_body

WEB = ("http://", "https://")
SHORTEST_PAUSE = 1.0  # s: "Retry-After: 0" must not become a hot loop
HEADERS = {"User-Agent": "opterp-kkt", "Accept": "application/json"}  # http.client adds: encoding identity
TAGS = re.compile(r"<(script|style)\b[^<]*</\1>|<[^<>]*>", re.IGNORECASE)  # linear on any input


class Exchange:
    """A kept connection to one endpoint, dropped after every unknown outcome, so that a late answer is never taken for that to
    the next request. One thread at a time, not across a fork.

    :param secrets: what is never repeated in an answer's words
    :param fault: what is wrong with the settings: all that is ever answered then
    :param identity: what the other side knows us by over TLS, where it asks for that
    """

    def __init__(self, endpoint: Endpoint, secrets: list[str], fault: str, identity: Identity | None = None):
        self._secrets = [secret for secret in secrets if secret]
        self._adapter = open_adapter(self._call_meanwhile, identity)
        self._meanwhile = at_ease
        self._timeout = endpoint.timeout
        self._misconfigured = Answer(Outcome.MISCONFIGURED, message=fault) if fault else None

    def attempt(
        self,
        request: Callable[[], requests.PreparedRequest],
        read: Callable[[Reply], Answer],
        seconds: float | None = None,
        meanwhile: Callable[[], None] = at_ease,
    ) -> Answer:
        """One Answer, whatever happens, safe to store and show, within so many seconds: those of the endpoint unless told.

        _exchange     the request and its whole answer, or an exception: NewConnectionError = certainly not sent,
                      anything else = nobody knows
        """
        if self._misconfigured:
            return self._misconfigured
        begun, self._meanwhile = monotonic(), meanwhile
        try:
            reply = self._exchange(request(), Timeout(total=seconds or self._timeout))
        except Exception as error:  # a peer's bytes can break an HTTP stack in more ways than it documents
            answer = read_failure(error)
        else:
            answer = read(reply)
        if answer.outcome is Outcome.UNKNOWN:
            self.close()
        return replace(answer, message=self._printable(answer.message), duration=monotonic() - begun)

    def _call_meanwhile(self) -> None:
        self._meanwhile()

    def _exchange(self, request: requests.PreparedRequest, timeout: Timeout) -> Reply:
        response = self._adapter.send(request, stream=True, timeout=timeout)
        try:
            return Reply(response.status_code, response.headers, whole_body(response.raw))
        finally:
            response.raw.close()  # and the connection, unless the body was read to its end

    def hide(self, secret: str) -> None:
        """Never repeat this either."""
        if secret and secret not in self._secrets:
            self._secrets.append(secret)

    def _printable(self, text: str) -> str:
        """Others' words as one line, safe to store and show: no token, tags, controls, NUL or surrogates."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = "".join(char if char.isprintable() else " " for char in TAGS.sub(" ", text))
        return " ".join(text.split())[:MESSAGE_LENGTH]

    def close(self) -> None:
        """Close the kept connection; the next attempt opens another."""
        self._adapter.close()


def find_fault(endpoint: Endpoint) -> str:
    """What is wrong with an endpoint's address or timeout, in words, or ""."""
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


def read_failure(error: Exception) -> Answer:
    """The outcome of an exchange without a whole answer: only without a connection is it certain that nothing
    was sent. The message is the root cause's; the layers above it only repeat that they failed."""
    unsent = isinstance(error, requests.ConnectionError) and any(
        isinstance(getattr(cause, "reason", None), NewConnectionError) for cause in error.args
    )
    while deeper := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        error = deeper
    if isinstance(error, ReadTimeoutError):  # the time was over when the request was out
        error = TimeoutError("timed out")
    told = str(error) if isinstance(error, OSError) else ""  # the system's words; those of a parser say nothing to anybody
    return Answer(
        Outcome.UNAVAILABLE if unsent else Outcome.UNKNOWN,
        message=told or f"the answer is cut off or garbled ({type(error).__name__})",
    )


def describe_page(reply: Reply) -> str:
    """A page that somebody may not be meant to read, a proxy's or an internal service's: only its status and type are told."""
    kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return f"HTTP {reply.status}, {kind}" if kind and reply.body else f"HTTP {reply.status}"


def json_object(body: bytes) -> dict:
    """The body as a JSON object; {} when it is anything else, or too big."""
    try:
        parsed = json.loads(body) if len(body) <= BODY_LIMIT else None
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, as asked for (RFC 9110, 10.2.3) and in our bounds; None when unsaid or unreadable."""
    said = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", said):
        seconds = float(said)
    elif (until := http_date(said)) is not None:
        now = http_date(headers.get("Date", "")) or time.time()  # by their clock, when told: ours may be off
        seconds = until - now
    else:
        return None
    return min(max(seconds, SHORTEST_PAUSE), LONGEST_PAUSE)


def http_date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
