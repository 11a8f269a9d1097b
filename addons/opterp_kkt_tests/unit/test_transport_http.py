"""The HTTP transport against raw sockets: every way an exchange can end, and the one outcome of each."""

import gzip
import json
import logging
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import requests.adapters
from hypothesis import given, settings
from hypothesis import strategies as st
from opterp_kkt.transports import Answer, Document, Endpoint, Outcome, open_transport

KEY = "7d1c6d0e-7ad9-11ef-9d6c-0242ac120002:5b8cf1be-7ad9-11ef-a1d3-0242ac120002"
DOCUMENT = Document(KEY, '{"idempotency_key": "…", "document": {"totalSum": 100}}', epoch=7)
TOKEN = "s3cr3t-T0ken"
SOON = 0.4  # s: the request deadline of the tests that let it pass
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


# The other side: an act is what happens to one request; a true result closes the connection.


def response(status, body=b"", **headers):
    fields = {"Content-Length": len(body)} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
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
                with (
                    self.tls.wrap_socket(connection, server_side=True)
                    if self.tls
                    else connection as connection
                ):
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


@contextmanager
def transport_to(url, timeout=PATIENCE, token=TOKEN):
    transport = open_transport("http", Endpoint(str(url), {"token": token}, timeout))
    try:
        yield transport
    finally:
        transport.close()


@contextmanager
def meeting(*acts, timeout=PATIENCE, tls=None):
    """A transport and the peer that it talks to."""
    with Peer(*acts, tls=tls) as peer, transport_to(peer.url, timeout) as transport:
        yield transport, peer


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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def seconds_from(when):
    """An HTTP date."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=when), usegmt=True)


# Answers: a row per status of the table, and what is read out of it.

A, R, M, T, U = Outcome.ACCEPTED, Outcome.REFUSED, Outcome.MISCONFIGURED, Outcome.THROTTLED, Outcome.UNKNOWN
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(ACK), ACK)
UNTIL_CLOSED = b"HTTP/1.0 200 OK\r\n\r\n" + ACK


@pytest.mark.parametrize(
    "act, outcome",
    [
        pytest.param(says(200, ACK), A, id="200"),
        pytest.param(says(201, ACK, Location="/v1/documents/1"), A, id="201"),
        pytest.param(says(202, ACK), A, id="202"),
        pytest.param(says(202, ACK.replace(b"accepted", b"queued")), Outcome.PROCESSING, id="202 queued"),
        pytest.param(says(200, ACK.replace(b"accepted", b"processing")), Outcome.PROCESSING, id="200 processing"),
        pytest.param(says(409, ERROR.replace(b"bad_inn", b"in_progress")), Outcome.PROCESSING, id="409 in progress"),
        pytest.param(says(202, ACK.replace(b"accepted", b"queued").replace(b"7d1c6d0e", b"0000")), U, id="202 for another key"),
        pytest.param(says(202, HTML), U, id="202 page"),
        pytest.param(sends(CHUNKED), A, id="200 in chunks"),
        pytest.param(sends(UNTIL_CLOSED), A, id="200 until closed"),
        pytest.param(says(200, ACK + b" " * (65536 - len(ACK))), A, id="200 of 64 KiB"),
        pytest.param(says(200, ACK + b" " * (65537 - len(ACK))), U, id="200 of more than 64 KiB"),
        pytest.param(says(200, ACK.replace(b"accepted", b"spooled")), U, id="200 not accepted"),
        pytest.param(says(200, ACK.replace(b"7d1c6d0e", b"00000000")), U, id="200 for another key"),
        pytest.param(says(200, b'{"status": "accepted"}'), U, id="200 without a key"),
        pytest.param(says(200, HTML), U, id="200 captive portal"),
        pytest.param(says(200, b"[" * 60000), U, id="200 nested"),
        pytest.param(says(200, b'{"server_time": ' + b"9" * 5000 + b"}"), U, id="200 huge number"),
        pytest.param(says(204), U, id="204"),
        pytest.param(says(200, gzip.compress(ACK), Content_Encoding="gzip"), U, id="200 compressed, unasked"),
        pytest.param(sends(response(200, ACK)[:-9]), U, id="200 cut short"),
        pytest.param(sends(response(200, ACK, Content_Length=len(ACK) + 9)), U, id="200 too short"),
        pytest.param(sends(response(422, ERROR)[:-9]), U, id="422 cut short"),
        pytest.param(sends(CHUNKED[:-9]), U, id="200 in chunks cut short"),
        pytest.param(says(102), U, id="1xx"),
        *(pytest.param(says(status, ERROR), R, id=str(status)) for status in (400, 409, 413, 422)),
        *(pytest.param(says(status, HTML), M, id=f"{status} page") for status in (400, 409, 413, 422)),
        *(pytest.param(says(status), M, id=f"{status} empty") for status in (400, 409, 413, 422)),
        *(
            pytest.param(says(status, ERROR), M, id=str(status))
            for status in (401, 403, 404, 402, 405, 410, 415, 451)
        ),
        *(
            pytest.param(says(status, ACK, Location="/"), M, id=str(status))
            for status in (301, 302, 304, 307, 308)
        ),
        *(
            pytest.param(says(status, ERROR), U, id=str(status))
            for status in (408, 425, 500, 502, 503, 504, 599, 999)
        ),
        pytest.param(says(500, ACK), U, id="500 that acknowledges"),
        pytest.param(says(500, ERROR, Retry_After=5), U, id="500 with Retry-After"),
        pytest.param(says(503, ERROR, Retry_After="soon"), U, id="503 with an unreadable Retry-After"),
        pytest.param(says(503, ERROR, Retry_After=5), T, id="503 with Retry-After"),
        pytest.param(says(503, ERROR, Retry_After=0), T, id="503 with Retry-After 0"),
        pytest.param(says(429, ERROR), T, id="429"),
        pytest.param(sends(b"SSH-2.0-OpenSSH_9.6\r\n"), U, id="not HTTP"),
        pytest.param(
            sends(b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n" + ACK), U, id="too many headers"
        ),
        pytest.param(sends(b"HTTP/1.1 200 OK\r\nX: " + b"1" * 70000 + b"\r\n\r\n"), U, id="endless header"),
        pytest.param(sends(response(200, ACK, Content_Length="5, 6")), U, id="two lengths"),
    ],
)
def test_an_answer_to_a_document(act, outcome):
    assert send_to(act).outcome is outcome


def test_an_acknowledgement_is_read():
    answer = send_to(says(200, ACK))
    assert answer == Answer(A, 200, "", 1_700_000_000_000, "ofd-1", duration=answer.duration)
    assert answer.duration > 0


@pytest.mark.parametrize("nonsense", ["1700000000000", 1.7e12, True, -1, 0, 2**48, 10**400, None, [], {}])
def test_a_nonsense_server_time_is_none(nonsense):
    body = json.dumps(ACKNOWLEDGEMENT | {"server_time": nonsense, "ofd_id": nonsense and "x\x00"}).encode()
    answer = send_to(says(200, body))
    assert (answer.outcome, answer.server_time, answer.ofd_id) == (A, None, "")


def test_only_409_is_a_conflict():
    assert send_to(says(409, ERROR)).conflict
    assert not send_to(says(422, ERROR)).conflict


@pytest.mark.parametrize(
    "body, words",
    [
        (ERROR, "bad_inn: Неверный ИНН"),
        (b'{"error": {"code": "x", "message": "  two\\n lines "}}', "x: two lines"),
        (b'{"error": {"code": "x", "message": "a<br>b\\u0000\\ud800\\u202ec"}}', "x: a b c"),
        (b'{"error": {"code": "x", "message": []}}', "x"),
        (f'{{"error": {{"code": "x", "message": "no right for {TOKEN}"}}}}'.encode(), "x: no right for ***"),
        (f'{{"error": {{"code": "x", "message": "{"y" * 3000}"}}}}'.encode(), "x: " + "y" * 1997),
    ],
)
def test_the_ofds_words(body, words):
    answer = send_to(says(422, body))
    assert (answer.outcome, answer.http_status, answer.message) == (R, 422, words)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"code": 17}}',
        b'{"error": {"message": "no code"}}',
        b'{"error": {"code": null, "message": []}}',
        b'{"error": "text"}',
        HTML,
        "Ошибка".encode("cp1251"),
        b"x" * 70000,
        f"no right for {TOKEN}".encode(),
    ],
)
@pytest.mark.parametrize("status", [400, 403, 409, 422, 500, 503])
def test_what_is_not_the_ofds_is_told_by_status_and_type_alone(status, body):
    """A proxy's page, or an internal service's, which not everybody may read."""
    answer = send_to(says(status, body, Content_Type="Text/HTML; charset=utf-8"))
    assert (answer.outcome, answer.message) == (M if status < 500 else U, f"HTTP {status}, text/html")


def test_an_empty_answer_is_told_by_its_status():
    assert send_to(says(422)).message == "HTTP 422"


@pytest.mark.parametrize("brackets", ["<", "<style>", "<a", "</"])
def test_a_page_of_brackets_is_cleaned_too(brackets):
    """What that costs: `make bench`."""
    words = {"code": "long", "message": (brackets * 60_000)[:60_000]}
    answer = send_to(says(422, json.dumps({"error": words}).encode()))
    assert answer.outcome is R and len(answer.message) <= 2000


@pytest.mark.parametrize(
    "status, headers, pause",
    [
        (429, {}, 60),
        (429, {"Retry_After": "whenever"}, 60),
        (429, {"Retry_After": "7"}, 7),
        (429, {"Retry_After": "0"}, 1),
        (503, {"Retry_After": "901"}, 900),
        (503, {"Retry_After": "9" * 5000}, 900),
        (503, {"Retry_After": seconds_from(-50)}, 1),
        (503, {"Retry_After": seconds_from(5000)}, 900),
        (503, {"Retry_After": seconds_from(30 + 7200), "Date": seconds_from(7200)}, 30),  # their clock is off
    ],
)
def test_retry_after(status, headers, pause):
    answer = send_to(says(status, ERROR, **headers))
    assert answer.outcome is T
    assert answer.retry_after == pytest.approx(pause, abs=1)


def test_retry_after_as_a_date_by_our_clock():
    until = int(time.time()) + 600
    began = time.time()
    pause = send_to(says(503, Retry_After=format_datetime(datetime.fromtimestamp(until, UTC), usegmt=True))).retry_after
    assert until - time.time() <= pause <= until - began


def test_redirects_are_not_followed():
    with meeting(says(307, Location="http://localhost:1/elsewhere")) as (transport, peer):
        answer = transport.send(DOCUMENT)
        assert (answer.outcome, len(peer.requests)) == (M, 1)
        assert answer.message == "HTTP 307", "where to is nobody's business: it may be an address within the house"


# What is asked.


def test_what_a_document_looks_like_on_the_wire():
    with meeting(says(200, ACK)) as (transport, peer):
        transport.send(DOCUMENT)
        transport.send(Document("other", "{}", epoch=8))
    line, headers, body = peer.requests[0]
    assert line == "POST /v1/documents HTTP/1.1"
    assert headers == {
        "host": f"localhost:{peer.port}",
        "content-type": "application/json; charset=utf-8",
        "content-length": str(len(body)),
        "idempotency-key": KEY,
        "x-delivery-epoch": "7",
        "authorization": f"Bearer {TOKEN}",
        "user-agent": "opterp-kkt",
        "accept": "application/json",
        "accept-encoding": "identity",
    }
    assert body == DOCUMENT.payload.encode()
    _, headers, body = peer.requests[1]
    assert (headers["idempotency-key"], headers["x-delivery-epoch"], body) == ("other", "8", b"{}")


def test_what_a_lookup_looks_like_on_the_wire():
    with Peer(says(404, ERROR)) as peer, transport_to(peer.url + "/ofd/", token="") as transport:
        transport.lookup(replace(DOCUMENT, idempotency_key="a/b c:я"))
    line, headers, body = peer.requests[0]
    assert line == "GET /ofd/v1/documents/a%2Fb%20c%3A%D1%8F HTTP/1.1"
    assert "authorization" not in headers and body == b""


def test_proxies_of_the_environment_are_ignored(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert urllib.request.getproxies()["http"]
    assert send_to(says(200, ACK)).outcome is A


# Lookups.


@pytest.mark.parametrize(
    "act, outcome",
    [
        pytest.param(says(200, ACK), A, id="200"),
        pytest.param(says(200, ACK.replace(b"7d1c6d0e", b"00000000")), U, id="200 for another key"),
        pytest.param(says(200, HTML), U, id="200 captive portal"),
        pytest.param(says(404, ERROR), Outcome.ABSENT, id="404"),
        pytest.param(says(404, HTML), M, id="404 page"),
        pytest.param(says(202, ACK.replace(b"accepted", b"queued")), Outcome.PROCESSING, id="202 queued"),
        pytest.param(says(400, ERROR), M, id="400"),
        pytest.param(says(409, ERROR), M, id="409"),
        pytest.param(says(401, ERROR), M, id="401"),
        pytest.param(says(302, Location="/"), M, id="302"),
        pytest.param(says(429, ERROR), T, id="429"),
        pytest.param(says(500, ERROR), U, id="500"),
        pytest.param(closes, U, id="closed"),
        pytest.param(resets, U, id="reset"),
    ],
)
def test_an_answer_to_a_lookup(act, outcome):
    answer = look_up(act)
    assert answer.outcome is outcome and not answer.conflict


def test_a_lookup_hit_is_the_same_answer():
    answer = look_up(says(200, ACK))
    assert (answer.server_time, answer.ofd_id) == (1_700_000_000_000, "ofd-1")


@pytest.mark.parametrize(
    "act, outcome, words",
    [
        (says(404, ERROR), Outcome.ABSENT, ""),
        (says(404, HTML), M, "what answers there is no OFD"),
        (
            says(200, json.dumps({"status": "accepted", "idempotency_key": "connection-test"}).encode()),
            M,
            "what answers there is no OFD",
        ),
        (says(401, ERROR), M, "bad_inn: Неверный ИНН"),
        (says(429, ERROR), T, "bad_inn"),
        (says(500, ERROR), U, "bad_inn"),
    ],
)
def test_the_connection_test(act, outcome, words):
    with meeting(act) as (transport, _):
        answer = transport.check()
    assert answer.outcome is outcome and words in answer.message and bool(words) == bool(answer.message)


def test_the_connection_test_says_that_nobody_is_there():
    with transport_to(f"http://localhost:{free_port()}") as transport:
        assert transport.check().message.startswith("[Errno ")


# Not sent for certain.


def assert_unavailable(transport, words):
    answer = transport.send(DOCUMENT)
    assert answer.outcome is Outcome.UNAVAILABLE
    assert re.search(words, answer.message), answer.message
    assert transport.lookup(DOCUMENT).outcome is Outcome.UNAVAILABLE
    return answer


def test_connection_refused():
    with transport_to(f"http://127.0.0.1:{free_port()}") as transport:
        assert_unavailable(transport, "refused")


def test_connect_timeout():
    with black_hole() as (host, port), transport_to(f"http://{host}:{port}", SOON) as transport:
        assert_unavailable(transport, "^timed out$")  # by our deadline: the kernel would say so minutes later, in other words


def test_unknown_name(monkeypatch):
    def fails(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    with transport_to("http://ofd.invalid") as transport:
        assert_unavailable(transport, "Name or service not known")


def test_dead_name_server(monkeypatch):
    end = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: end.wait(PATIENCE))
    with transport_to("http://ofd.invalid", SOON) as transport:
        assert_unavailable(transport, "no name server answers about ofd.invalid")  # it still does not
    end.set()


def find(monkeypatch, *addresses, family=socket.AF_INET):
    """The name resolves to these; only the first is of another family."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
    found[0] = (family, *found[0][1:])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)


@pytest.fixture
def allowed(monkeypatch):
    """The seconds that the sockets of this thread were told, one after the other: what is left, as the transport counts."""
    told, tell, ours = [], socket.socket.settimeout, threading.current_thread()

    def settimeout(self, seconds):
        if seconds and threading.current_thread() is ours:
            told.append(seconds)
        tell(self, seconds)

    monkeypatch.setattr(socket.socket, "settimeout", settimeout, raising=False)
    return told


def test_a_dead_address_leaves_time_for_the_next(monkeypatch, allowed):
    with black_hole() as dead, meeting(says(200, ACK), timeout=4.0) as (transport, peer):
        find(monkeypatch, dead, ("127.0.0.1", peer.port))
        answer = transport.send(DOCUMENT)
    assert answer.outcome is A and allowed[0] <= 2.0, "half of the time for the dead address, half for the other"


def test_an_address_family_that_the_machine_lacks_is_passed_over(monkeypatch):
    with meeting(says(200, ACK)) as (transport, peer):
        find(monkeypatch, ("::1", 1), ("127.0.0.1", peer.port), family=250)
        assert transport.send(DOCUMENT).outcome is A


def test_tls_with_a_plain_server():
    with Peer(reading=lambda connection: connection.sendall(HTML)) as peer:
        with transport_to(f"https://localhost:{peer.port}") as transport:
            assert_unavailable(transport, "SSL")


def test_tls_handshake_that_hangs():
    with Peer(reading=hangs) as peer, transport_to(f"https://localhost:{peer.port}", SOON) as transport:
        assert_unavailable(transport, "timed out")


# Sent, or nobody knows.


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(closes, id="closed"),
        pytest.param(resets, id="reset"),
        pytest.param(then(sends(response(200, ACK)[:40]), resets), id="reset in the answer"),
    ],
)
@pytest.mark.parametrize("kept", [False, True], ids=["new connection", "kept connection"])
def test_a_connection_that_breaks_after_sending(act, kept):
    acts = [says(200, ACK), act] if kept else [act]
    with meeting(*acts) as (transport, peer):
        if kept:
            assert transport.send(DOCUMENT).outcome is A
        answer = transport.send(DOCUMENT)
        assert (answer.outcome, answer.http_status) == (U, None)
        assert (peer.connections, len(peer.requests)) == (1, len(acts)), "nothing is sent twice"


HEAD, DRIPPED_ACK = response(200, ACK).split(b"\r\n\r\n")
DRIPS = [
    pytest.param(hangs, id="hangs"),
    pytest.param(drips(response(200, ACK)), id="drips from the first byte"),
    pytest.param(then(lambda c: c.sendall(HEAD + b"\r\n\r\n"), drips(DRIPPED_ACK)), id="drips the body"),
    pytest.param(drips(CHUNKED), id="drips chunks"),
    pytest.param(sends(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 300, pause=0.02), id="continues for ever"),
    pytest.param(sends(b"HTTP/1.1 200 OK\r\n", *[b"X: 1\r\n"] * 99, pause=0.05), id="headers for ever"),
]


@pytest.mark.parametrize("act", DRIPS)
@pytest.mark.parametrize("kept", [False, True], ids=["new connection", "kept connection"])
def test_the_deadline_is_a_total(act, kept):
    with meeting(*([says(200, ACK)] if kept else []), act, timeout=SOON) as (transport, _):
        if kept:
            transport.send(DOCUMENT)
            time.sleep(SOON)  # an idle connection's timeout is no request's
        answer = transport.send(DOCUMENT)
    assert (answer.outcome, answer.message) == (U, "timed out"), "or the peer came to its end"


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_the_deadline_holds_while_sending(trusted, encrypted):
    parts, given_up = [], threading.Event()

    def reads_slowly(connection):
        while not given_up.wait(0.05) and (part := connection.recv(16384)):
            parts.append(len(part))

    with Peer(reading=reads_slowly, tls=trusted if encrypted else None) as peer:
        with transport_to(peer.url, SOON) as transport:
            answer = transport.send(Document(KEY, "x" * 30_000_000, 1))
            given_up.set()
    assert answer.outcome is U and answer.message.endswith("timed out")
    assert sum(parts) < 15_000_000, "it gave up in the middle of sending"


@pytest.mark.parametrize(
    "encrypted", [False, True], ids=["then the answer hangs", "then the handshake hangs"]
)
def test_the_time_that_connecting_took_is_gone(monkeypatch, allowed, encrypted):
    with black_hole() as dead, Peer(hangs, reading=hangs if encrypted else None) as peer:
        find(monkeypatch, dead, ("127.0.0.1", peer.port))
        with transport_to(f"{'https' if encrypted else 'http'}://localhost:{peer.port}", 1.0) as transport:
            answer = transport.send(DOCUMENT)
    assert answer.outcome is (Outcome.UNAVAILABLE if encrypted else U)
    dead_address, *others = allowed
    assert others and dead_address + max(others) <= 1.0, "the dead address had its share, the other has what is left"


def test_an_endless_answer_is_cut():
    def floods(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b" " * 65536)

    answer = send_to(floods)
    assert (answer.outcome, answer.http_status) == (U, 200), "read up to the limit, not up to the deadline"


def test_each_request_has_the_whole_time_again(allowed):
    with meeting(then(lambda _: time.sleep(SOON), says(200, ACK))) as (transport, peer):
        for _ in range(3):
            allowed.clear()
            answer = transport.send(DOCUMENT)
            ours = answer.duration - SOON  # the most that can have gone before a socket was told
            assert answer.outcome is A and max(allowed) >= PATIENCE - ours, "less is left after the request before"
        assert peer.connections == 1


# The kept connection.


def test_one_connection_is_kept():
    with meeting(says(200, ACK), says(422, ERROR), says(429), says(404, ERROR), says(200, ACK)) as (
        transport,
        peer,
    ):
        assert [transport.send(DOCUMENT).outcome for _ in range(5)] == [A, R, T, M, A]
        assert (peer.connections, len(peer.requests)) == (1, 5)


def test_an_idle_connection_that_was_closed_is_opened_again():
    with meeting(then(says(200, ACK), closes), says(200, ACK)) as (transport, peer):
        assert transport.send(DOCUMENT).outcome is A
        peer.wait_until_closed()
        assert transport.send(DOCUMENT).outcome is A
        assert peer.connections == 2


def test_an_idle_connection_that_was_closed_with_nobody_there_any_more():
    with Peer(then(says(200, ACK), closes)) as peer, transport_to(peer.url) as transport:
        assert transport.send(DOCUMENT).outcome is A
        peer.stop()
        assert transport.send(DOCUMENT).outcome is Outcome.UNAVAILABLE


@pytest.mark.parametrize("act", [says(102), says(500, ERROR), says(200, HTML)], ids=["1xx", "5xx", "garbage"])
def test_a_connection_is_not_trusted_after_an_unknown_outcome(act):
    with meeting(act, says(200, ACK)) as (transport, peer):
        assert transport.send(DOCUMENT).outcome is U
        assert transport.send(DOCUMENT).outcome is A
        assert peer.connections == 2


def test_a_closed_transport_opens_again():
    with meeting(says(200, ACK)) as (transport, peer):
        transport.send(DOCUMENT)
        transport.close()
        assert transport.send(DOCUMENT).outcome is A
        assert peer.connections == 2


# TLS.


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate for localhost, signed by itself: (path of the certificate, the server's TLS context)."""
    path = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command += " -addext subjectAltName=DNS:localhost"
    subprocess.run(
        [*command.split(), "-keyout", path / "key", "-out", path / "crt"], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path / "crt", path / "key")
    return str(path / "crt"), context


@pytest.fixture
def trusted(authority, monkeypatch):
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", authority[0])
    return authority[1]


def test_tls_is_verified(authority):
    with meeting(says(200, ACK), tls=authority[1]) as (transport, peer):
        assert_unavailable(transport, "certificate verify failed")
        assert not peer.requests


def test_tls_verifies_the_host(trusted):
    with (
        Peer(says(200, ACK), tls=trusted) as peer,
        transport_to(f"https://127.0.0.1:{peer.port}") as transport,
    ):
        assert_unavailable(transport, "certificate verify failed")


def test_tls_with_a_trusted_certificate(trusted):
    with meeting(says(200, ACK), tls=trusted) as (transport, peer):
        assert [transport.send(DOCUMENT).outcome for _ in range(3)] == [A, A, A]
        assert peer.connections == 1


@pytest.mark.parametrize("act", DRIPS)
def test_the_deadline_is_a_total_with_tls(trusted, act):
    answer = send_to(act, timeout=SOON, tls=trusted)
    assert answer.outcome is U and answer.message.endswith("timed out"), "or the peer came to its end"


def test_tls_that_breaks_after_sending_is_unknown(trusted):
    def not_tls(connection):
        os.write(connection.fileno(), HTML)
        return True

    assert send_to(not_tls, tls=trusted).outcome is U


# Settings.


@pytest.mark.parametrize(
    "endpoint, words",
    [
        (Endpoint("http://localhost:1", {"token": "два"}), "The token"),
        (Endpoint("http://localhost:1", {"token": "to\nken"}), "The token"),
        (Endpoint("http://localhost:1", {"token": "to\r\nX-Evil: 1"}), "The token"),
        (Endpoint("http://localhost:1", {"token": "token "}), "The token"),
        (Endpoint("http://localhost:1", timeout=0), "The timeout"),
        (Endpoint("http://localhost:1", timeout=float("nan")), "The timeout"),
        (Endpoint("http://localhost:1", timeout=float("inf")), "The timeout"),
        *(
            (Endpoint(url), "The address")
            for url in (
                "",
                "localhost",
                "//localhost",
                "ftp://localhost",
                "http://",
                "http:///x",
                "http://a:b",
                "http://a:99999",
                "http://[::1",
                "http://a..b",
                "http://*.a",
                "http://" + "a" * 70,
                "http://a b",
                "http://a\n",
                " http://a",
                "http://a/\x00",
                "http://user:hunter2@a",
                "http://user@a",
                "http://a?x=1",
                "http://a#x",
                "http://\udcff",
            )
        ),
    ],
)
def test_wrong_settings_are_said_and_nothing_is_sent(endpoint, words, monkeypatch):
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: asked.append(args) or [])
    transport = open_transport("http", endpoint)
    for answer in (transport.send(DOCUMENT), transport.lookup(DOCUMENT), transport.check()):
        assert answer.outcome is M and words in answer.message
        assert "hunter2" not in answer.message and "Evil" not in answer.message
    assert not asked


def test_a_national_domain_name():
    with transport_to("http://офд.invalid:1") as transport:
        assert transport.send(DOCUMENT).outcome is Outcome.UNAVAILABLE


def test_an_unknown_protocol():
    with pytest.raises(KeyError):
        open_transport("pigeon", Endpoint("http://localhost"))


def test_the_token_is_nowhere(caplog):
    caplog.set_level(logging.DEBUG)
    echo = json.dumps({"error": {"code": TOKEN, "message": TOKEN * 1000}}).encode()
    acts = [says(status, echo) for status in (200, 401, 422, 429, 500)] + [
        says(302, Location=f"/?t={TOKEN}"),
        closes,
    ]
    with meeting(*acts) as (transport, peer):
        answers = [transport.send(DOCUMENT) for _ in acts] + [transport.lookup(DOCUMENT), transport.check()]
        assert len({answer.outcome for answer in answers}) == 4 and caplog.records
        said = [repr(answers), caplog.text, repr(transport), repr(Endpoint(peer.url, {"token": TOKEN}))]
    assert TOKEN not in "".join(said)
    assert TOKEN in peer.requests[-1][1]["authorization"]


# Anything at all.

words = st.sampled_from(
    ["status", "accepted", "idempotency_key", KEY, "error", "code", "message", "server_time", "ofd_id"]
)
scalars = words | st.text() | st.integers() | st.floats() | st.booleans() | st.none()
objects = st.recursive(
    scalars, lambda some: st.lists(some) | st.dictionaries(words | st.text(), some), max_leaves=12
)


acknowledging = st.fixed_dictionaries(
    {name: st.just(value) | objects for name, value in ACKNOWLEDGEMENT.items()}
)
documents = (objects | acknowledging).map(lambda value: json.dumps(value).encode())
bodies = (
    st.binary()
    | documents
    | documents.map(lambda text: text.replace(b"1", b"1" * 4400))
    | st.builds(lambda d: b"[" * d, st.integers(0, 70000))
)
names = st.sampled_from(
    [
        "Retry-After",
        "Date",
        "Content-Length",
        "Transfer-Encoding",
        "Content-Type",
        "Content-Encoding",
        "Location",
        "Set-Cookie",
        "Connection",
    ]
)
DATES = [
    f"Wed, 21 Oct {rest}".encode()
    for rest in ("2026 07:28:00 GMT", "99999 07:28:00 GMT", "2026 99:99:99 +9999")
]
values = st.binary(max_size=40).map(lambda raw: re.sub(rb"[\r\n]", b"", raw)) | st.sampled_from(
    [
        b"chunked",
        b"gzip",
        b"close",
        b"7",
        b"-7",
        b"1e9",
        b"9" * 5000,
        b"application/json; charset=zlib",
        *DATES,
    ]
)
heads = st.builds(
    lambda status, fields: (
        b"HTTP/1.1 %d X\r\n" % status + b"".join(b"%s: %s\r\n" % (n.encode(), v) for n, v in fields) + b"\r\n"
    ),
    st.sampled_from([200, 201, 404, 422, 429, 503]) | st.integers(100, 999),
    st.lists(st.tuples(names, values), max_size=4),
)


@pytest.fixture(scope="module")
def anything():
    with meeting(closes) as (transport, peer):
        yield transport, peer


@given(head=heads | st.binary(max_size=80), body=bodies)
@settings(max_examples=300, deadline=None)
def test_anything_at_all_gives_an_answer(anything, head, body):
    transport, peer = anything
    peer.acts = [sends(head + body)]
    for answer in (transport.send(DOCUMENT), transport.lookup(DOCUMENT), transport.check()):
        assert isinstance(answer, Answer) and isinstance(answer.outcome, Outcome)
        assert answer.message.isprintable() and len(answer.message) <= 2100
        assert (
            answer.server_time is None or type(answer.server_time) is int and 0 < answer.server_time < 2**48
        )
        assert (answer.retry_after is None) == (answer.outcome is not T)
        assert answer.retry_after is None or 1 <= answer.retry_after <= 900
        assert answer.conflict <= (answer.http_status == 409)
        if answer.outcome is A:
            assert re.match(rb"HTTP/1.\d 2", head)
            said = json.loads(body)
            assert (said["status"], said["idempotency_key"]) == ("accepted", KEY)


# The emulator, end to end.


@pytest.fixture
def emulator():
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-m", "ofd_emulator", "--port", "0", "--token", TOKEN]
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(root)}, text=True, stdout=subprocess.PIPE
    )
    try:
        yield process, process.stdout.readline().split()[-1]
    finally:
        process.kill()
        process.communicate()


def document(number, **more):
    key = f"db:{number}"
    return Document(key, json.dumps({
        "idempotency_key": key, "fd_number": number, "document_type": "receipt",
        "register": {"fiscal_drive_number": "9999078900001234", "registration_number": "0000000001012345"},
        "hlc": {"local_time": 1_700_000_000_000, "logical_counter": 0, "node": ""}, "document": more,
    }), epoch=1)  # fmt: skip


def test_the_emulator_end_to_end(emulator):
    process, url = emulator

    def order(path, **fields):
        urllib.request.urlopen(f"{url}/_control/{path}", json.dumps(fields).encode()).close()

    with transport_to(url) as transport, transport_to(url, token="wrong") as stranger:
        assert transport.check().outcome is Outcome.ABSENT
        assert stranger.check().outcome is M and stranger.send(document(1)).outcome is M
        began = int(time.time() * 1000)
        accepted = transport.send(document(1))
        assert accepted.outcome is A and accepted.ofd_id and began <= accepted.server_time <= time.time() * 1000
        for again in (transport.send(document(1)), transport.lookup(document(1))):
            assert (again.outcome, again.ofd_id, again.server_time) == (
                A,
                accepted.ofd_id,
                accepted.server_time,
            )
        assert transport.lookup(document(2)).outcome is Outcome.ABSENT
        conflict = transport.send(document(1, totalSum=1))
        assert (conflict.outcome, conflict.conflict) == (R, True)
        for outcome, orders in [
            (U, {"mode": "fail", "status": 500, "count": 1}),
            (T, {"mode": "fail", "status": 503, "retry_after": 3, "count": 1}),
            (T, {"mode": "throttle", "retry_after": 2, "count": 1}),
            (U, {"mode": "garbage", "count": 1}),
            (U, {"mode": "other_key", "count": 1}),
            (U, {"mode": "reset", "count": 1}),
        ]:
            order("mode", **orders)
            assert transport.send(document(2)).outcome is outcome, orders
            assert transport.lookup(document(2)).outcome is Outcome.ABSENT, orders
        order("mode", mode="drop", count=1)
        assert transport.send(document(2)).outcome is U
        assert transport.lookup(document(2)).outcome is A, "accepted, though the answer was lost"
        order("refuse", match="bad", code="no", message="Нет")
        refused = transport.send(document(3, name="bad"))
        assert (refused.outcome, refused.message) == (R, "no: Нет")
        process.kill()
        process.wait()
        assert transport.send(document(4)).outcome is Outcome.UNAVAILABLE
