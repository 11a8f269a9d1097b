"""The wire: sockets whose timeout is a total, and an adapter that makes `requests` use them."""

import os
import socket
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from threading import Thread
from time import monotonic
from typing import NamedTuple

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError

BODY_LIMIT = 64 * 1024  # bytes of an answer; an acknowledgement has some 150


class _TotalTimeout:
    """A socket's timeout that runs on over all calls since `settimeout`, instead of anew with each.

    urllib3 sets it when a request begins and narrows it when the answer is due. An ordinary timeout would be
    renewed by every byte of a server that drips, in headers as in the body.
    """

    _ends = None  # on the monotonic clock, s

    def settimeout(self, seconds):  # pylint: disable=missing-return
        self._ends = None if seconds is None else monotonic() + seconds
        super().settimeout(seconds)

    def gettimeout(self):
        # No error, ever: `ssl` asks while it takes the socket over, and would leave its descriptor with two owners, to be
        # closed by both, the second time perhaps as another's.
        return None if self._ends is None else max(self._ends - monotonic(), 0.001)

    def recv_into(self, *args):
        if self._ends is not None and monotonic() >= self._ends:
            raise TimeoutError("timed out")
        super().settimeout(self.gettimeout())  # pylint: disable=super-method-mismatch
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


def connect(host: str, port: int, seconds: float, options=()) -> socket.socket:
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
    included. No later failure is one, neither on a new connection nor on a kept one.

    :param when_sent: called when a request is out, before its answer is read
    """

    def __init__(self, *args, when_sent: Callable[[], None], **kwargs):
        super().__init__(*args, **kwargs)
        self._when_sent = when_sent

    def getresponse(self):
        self._when_sent()
        return super().getresponse()

    def _new_conn(self):
        return connect(self._dns_host, self.port, self.timeout, self.socket_options)

    def connect(self):  # pylint: disable=missing-return
        try:
            super().connect()
        except (OSError, HTTPError, ValueError) as error:
            raise NewConnectionError(self, str(error)) from error


class _HTTPConnection(_Connecting, HTTPConnection):
    pass


class Identity(NamedTuple):
    """What a peer knows us by: a client certificate and its key, as PEM texts."""

    certificate: str
    key: str

    def load_into(self, context: ssl.SSLContext) -> None:
        """OpenSSL reads them from a file, which exists in memory alone, and for this moment."""
        descriptor = os.memfd_create("identity")
        try:
            os.write(descriptor, f"{self.certificate}\n{self.key}".encode())
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)


class _HTTPSConnection(_Connecting, HTTPSConnection):
    def __init__(self, *args, identity: Identity | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        # The system's certificates count besides those of `requests`: administrators add authorities there.
        self.ssl_context = ssl.create_default_context()
        self.ssl_context.sslsocket_class = _TLSSocket
        if identity:
            identity.load_into(self.ssl_context)


def _open_pools(when_sent, identity):
    """Pools by scheme, whose connections tell when a request is out and show who we are."""

    class _HTTPPool(HTTPConnectionPool):
        ConnectionCls = partial(_HTTPConnection, when_sent=when_sent)

    class _HTTPSPool(HTTPSConnectionPool):
        ConnectionCls = partial(_HTTPSConnection, when_sent=when_sent, identity=identity)

    return {"http": _HTTPPool, "https": _HTTPSPool}


def open_adapter(when_sent: Callable[[], None], identity: Identity | None = None) -> HTTPAdapter:
    """`requests`' adapter over these sockets: one kept connection; no retries, redirects or proxies."""
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
    adapter.poolmanager.pool_classes_by_scheme = _open_pools(when_sent, identity)
    return adapter


class Reply(NamedTuple):
    """What came back over the wire, whole; only a body above BODY_LIMIT is cut, one byte behind it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def whole_body(raw) -> bytes:
    """The body as it was sent, never decompressed; urllib3 raises when the connection ends before it does."""
    body = b""
    while len(body) <= BODY_LIMIT and (part := raw.read(BODY_LIMIT + 1 - len(body), decode_content=False)):
        body += part
    return body
