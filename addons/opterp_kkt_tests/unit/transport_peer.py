"""The other side of the HTTP transport, a server on raw sockets: it meets requests with acts. And what it may say."""

import json
import re
import socket
import struct
import threading
import time
from contextlib import contextmanager
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ofd_emulator.drive import SESSION
from opterp_kkt.transports import Document, Endpoint, Outcome, open_transport
from opterp_kkt.transports.atol_online import TOKENS

KEY = "7d1c6d0e-7ad9-11ef-9d6c-0242ac120002:5b8cf1be-7ad9-11ef-a1d3-0242ac120002"
DOCUMENT = Document(KEY, '{"idempotency_key": "…", "document": {"totalSum": 100}}', epoch=7)
TOKEN = "s3cr3t-T0ken"
# s: the request deadline of the tests that let it pass. On a busy machine it may pass before what a test is about has begun:
# then the test is made once more, with twice the time.
DEADLINES = 0.4, 0.8, 1.6, 3.2
PATIENCE = 60.0  # s: the deadline of all others; it only ends what hangs

ACKNOWLEDGEMENT = {
    "status": "accepted",
    "idempotency_key": KEY,
    "ofd_id": "ofd-1",
    "server_time": 1_700_000_000_000,
}
ACK = json.dumps(ACKNOWLEDGEMENT).encode()
ERROR = json.dumps({"error": {"code": "bad_inn", "message": "Неверный ИНН"}}).encode()
HTML = b"<html><style>p {}</style><body><h1>502\x00</h1>\nBad <b>gateway</b></body></html>"


# An act is what happens to one request; a true result closes the connection.


def response(status, body=b"", **headers):
    fields = {"Content-Length": len(body)} | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def says(status, body=b"", **headers):
    return lambda connection: connection.sendall(response(status, body, **headers))


def sends(*parts, pause=0.0):
    """These bytes, part by part, and the connection ends."""

    def act(connection):
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        return True

    return act


def drips(data, pause=0.02):
    return sends(*(data[at : at + 1] for at in range(len(data))), pause=pause)


def hangs(connection):
    while connection.recv(65536):
        pass


def closes(connection):
    return True


def resets(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return True


def then(act, after):
    """One act, then another without waiting for the next request."""
    return lambda connection: act(connection) or after(connection)


def read_request(connection):
    """(request line, headers in lower case, body) of the next request; None at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (part := connection.recv(65536)):
            return None
        data += part
    head, body = data.split(b"\r\n\r\n", 1)
    line, *fields = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
    while len(body) < int(headers.get("content-length", 0)):
        if not (part := connection.recv(65536)):
            return None
        body += part
    return line, headers, body


def read_session(connection):
    """The next session of a drive; None at the end."""
    data = b""
    while len(data) < SESSION.size or len(data) < SESSION.size + SESSION.unpack(data[: SESSION.size])[3]:
        if not (part := connection.recv(65536)):
            return None
        data += part
    return data


class Peer:
    """A server of one connection at a time. It meets requests with `acts`, the last of them over and over.

    `reading` replaces how a request is read; when it gives nothing, the connection is closed.
    """

    def __init__(self, *acts, tls=None, reading=None):
        self.acts, self.tls, self._read = list(acts), tls, reading or read_request
        self.requests, self.connections, self.closed = [], 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}"
        self.thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.thread.is_alive():
            self.listener.shutdown(socket.SHUT_RDWR)
            self.thread.join(PATIENCE)
            self.listener.close()
        assert not self.thread.is_alive()

    def _serve(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            try:
                with self.tls.wrap_socket(connection, server_side=True) if self.tls else connection as connection:
                    self._converse(connection)
            except OSError:  # the client went away, as it does in half of these tests
                connection.close()
            self.closed += 1

    def wait_until_closed(self):
        """Wait for the end of every connection so far, when an act has ended it."""
        deadline = time.monotonic() + PATIENCE
        while self.closed < self.connections:
            assert time.monotonic() < deadline, "still connected"
            time.sleep(0.001)

    def _converse(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while request := self._read(connection):
            self.requests.append(request)
            act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
            if act(connection):
                return


CREDENTIALS = {
    "http": {"token": TOKEN},
    "ofd_tcp": {},
    "atol_web": {"login": "kkt", "password": TOKEN},
    "atol_online": {"login": "kkt", "password": TOKEN, "group_code": "shop 1"},
    "orangedata": {"organisation": "7700123459", "group_code": "shop 1", "signing_key": TOKEN},
}


@cache
def key_of(password):
    """A signing key; the same one for the same word."""
    return generate_private_key(65537, 2048)


def pem_of(password):
    return key_of(password).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_numbers(password):
    """As the emulator is given them."""
    numbers = key_of(password).public_key().public_numbers()
    return {"modulus": str(numbers.n), "exponent": str(numbers.e)}


def fiscalised(emulator):
    """What its registers have fiscalised, in order: type and kopecks."""
    return [(record["document_type"], record["total_sum"]) for record in emulator.history() if record["accepted"]]


@contextmanager
def transport_to(url, timeout=PATIENCE, token=TOKEN, protocol="http"):
    credentials = {name: value and (token if value == TOKEN else value) for name, value in CREDENTIALS[protocol].items()}
    if protocol == "orangedata":
        credentials["signing_key"] = pem_of(credentials["signing_key"])
    url = str(url).replace("http://", "tcp://") if protocol == "ofd_tcp" else str(url)
    transport = open_transport(protocol, Endpoint(url, credentials, timeout))
    try:
        yield transport
    finally:
        transport.close()


@contextmanager
def meeting(*acts, timeout=PATIENCE, tls=None, protocol="http"):
    """A transport and the peer that it talks to, whom it has never met, though a peer before had the same port."""
    TOKENS.clear()
    reading = read_session if protocol == "ofd_tcp" else read_request
    with Peer(*acts, tls=tls, reading=reading) as peer, transport_to(peer.url, timeout, protocol=protocol) as transport:
        yield transport, peer


def outlasting(*acts, **options):
    """Meetings whose last act goes on past the deadline, until the peer has come to it: one, but on a busy machine."""
    for seconds in DEADLINES:
        with meeting(*acts, timeout=seconds, **options) as (transport, peer):
            yield transport, peer
        if len(peer.requests) >= len(acts):
            return


def send_to(*acts, **options):
    with meeting(*acts, **options) as (transport, _):
        return transport.send(DOCUMENT)


def look_up(*acts, **options):
    with meeting(*acts, **options) as (transport, _):
        return transport.lookup(DOCUMENT)


@contextmanager
def black_hole():
    """An address where connections are neither accepted nor refused: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            waiting.append(filler)
        yield listener.getsockname()
        for filler in waiting:
            filler.close()


A, R, M, T, U = Outcome.ACCEPTED, Outcome.REFUSED, Outcome.MISCONFIGURED, Outcome.THROTTLED, Outcome.UNKNOWN
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(ACK), ACK)
UNTIL_CLOSED = b"HTTP/1.0 200 OK\r\n\r\n" + ACK


HEAD, DRIPPED_ACK = response(200, ACK).split(b"\r\n\r\n")
DRIPS = [
    pytest.param(hangs, id="hangs"),
    pytest.param(drips(response(200, ACK)), id="drips from the first byte"),
    pytest.param(then(lambda c: c.sendall(HEAD + b"\r\n\r\n"), drips(DRIPPED_ACK)), id="drips the body"),
    pytest.param(drips(CHUNKED), id="drips chunks"),
    pytest.param(sends(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 300, pause=0.02), id="continues for ever"),
    pytest.param(sends(b"HTTP/1.1 200 OK\r\n", *[b"X: 1\r\n"] * 99, pause=0.05), id="headers for ever"),
]


def assert_unavailable(transport, words):
    answer = transport.send(DOCUMENT)
    assert answer.outcome is Outcome.UNAVAILABLE
    assert re.search(words, answer.message), answer.message
    assert transport.lookup(DOCUMENT).outcome is Outcome.UNAVAILABLE
    return answer
