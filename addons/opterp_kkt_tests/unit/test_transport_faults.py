"""Every way in which an exchange can fail, within the time that it has: certainly not sent, or nobody knows."""

import socket
import ssl
import threading
import time

import pytest
from harness.processes import free_port
from opterp_kkt.transports import Document, Outcome, wire
from unit.transport_peer import (
    ACK,
    DEADLINES,
    DOCUMENT,
    DRIPS,
    HTML,
    KEY,
    PATIENCE,
    A,
    Peer,
    U,
    assert_unavailable,
    black_hole,
    closes,
    hangs,
    meeting,
    resets,
    response,
    says,
    send_to,
    sends,
    then,
    transport_to,
)
from urllib3.connection import HTTPConnection

# Not sent for certain.


def test_connection_refused():
    with transport_to(f"http://127.0.0.1:{free_port()}") as transport:
        assert_unavailable(transport, "refused")


def test_connect_timeout():
    with black_hole() as (host, port), transport_to(f"http://{host}:{port}", DEADLINES[0]) as transport:
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
    with transport_to("http://ofd.invalid", DEADLINES[0]) as transport:
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
    for seconds in DEADLINES:
        allowed.clear()
        with black_hole() as dead, meeting(says(200, ACK), timeout=10 * seconds) as (transport, peer):
            find(monkeypatch, dead, ("127.0.0.1", peer.port))
            answer = transport.send(DOCUMENT)
        if peer.requests:
            break
    assert answer.outcome is A and allowed[0] <= 5 * seconds, "half of the time for the dead address, half for the other"


def test_an_address_family_that_the_machine_lacks_is_passed_over(monkeypatch):
    with meeting(says(200, ACK)) as (transport, peer):
        find(monkeypatch, ("::1", 1), ("127.0.0.1", peer.port), family=250)
        assert transport.send(DOCUMENT).outcome is A


def test_tls_with_a_plain_server():
    with Peer(reading=lambda connection: connection.sendall(HTML)) as peer:
        with transport_to(f"https://localhost:{peer.port}") as transport:
            assert_unavailable(transport, "SSL")


def test_tls_handshake_that_hangs():
    with Peer(reading=hangs) as peer, transport_to(f"https://localhost:{peer.port}", DEADLINES[0]) as transport:
        assert_unavailable(transport, "timed out")


def test_a_socket_without_time_is_handed_over_to_tls():
    """Or two would own its descriptor, and the later one close what has its number by then."""
    context = ssl.create_default_context()
    context.sslsocket_class = wire._TLSSocket
    with Peer(reading=hangs) as peer:
        connection = wire.connect("localhost", peer.port, PATIENCE)
        connection.settimeout(1e-9)
        with pytest.raises(TimeoutError):
            context.wrap_socket(connection, server_hostname="localhost")
        assert connection.fileno() == -1


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


@pytest.mark.parametrize("act", DRIPS)
@pytest.mark.parametrize("kept", [False, True], ids=["new connection", "kept connection"])
def test_the_deadline_is_a_total(act, kept):
    acts = [says(200, ACK), act] if kept else [act]
    for seconds in DEADLINES:
        with meeting(*acts, timeout=seconds) as (transport, peer):
            if kept:
                transport.send(DOCUMENT)
                time.sleep(seconds)  # an idle connection's timeout is no request's
            answer = transport.send(DOCUMENT)
        if len(peer.requests) == len(acts):
            break
    assert (answer.outcome, answer.message) == (U, "timed out"), "or the peer came to its end"


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
def test_the_deadline_holds_while_sending(trusted, encrypted):
    parts, given_up = [], threading.Event()

    def reads_slowly(connection):
        while not given_up.wait(0.05) and (part := connection.recv(16384)):
            parts.append(len(part))

    for seconds in DEADLINES:
        given_up.clear()
        with Peer(reading=reads_slowly, tls=trusted if encrypted else None) as peer, transport_to(peer.url, seconds) as transport:
            answer = transport.send(Document(KEY, "x" * 30_000_000, 1))
            given_up.set()
        if parts:
            break
    assert answer.outcome is U and answer.message.endswith("timed out")
    assert sum(parts) < 15_000_000, "it gave up in the middle of sending"


def test_the_time_is_over_when_the_request_is_out(monkeypatch):
    def sends_for_long(self, *args, **options):
        HTTPConnection.request(self, *args, **options)
        time.sleep(seconds)

    monkeypatch.setattr(wire._HTTPConnection, "request", sends_for_long)
    for seconds in DEADLINES:
        with meeting(hangs, timeout=seconds) as (transport, peer):
            answer = transport.send(DOCUMENT)
        if peer.requests:
            break
    assert (answer.outcome, answer.message) == (U, "timed out")


@pytest.mark.parametrize("encrypted", [False, True], ids=["then the answer hangs", "then the handshake hangs"])
def test_the_time_that_connecting_took_is_gone(monkeypatch, allowed, encrypted):
    for seconds in DEADLINES:
        allowed.clear()
        with black_hole() as dead, Peer(hangs, reading=hangs if encrypted else None) as peer:
            find(monkeypatch, dead, ("127.0.0.1", peer.port))
            with transport_to(f"{'https' if encrypted else 'http'}://localhost:{peer.port}", 2 * seconds) as transport:
                answer = transport.send(DOCUMENT)
        if peer.requests or encrypted and len(allowed) > 1:
            break
    assert answer.outcome is (Outcome.UNAVAILABLE if encrypted else U)
    dead_address, *others = allowed
    assert others and dead_address + max(others) <= 2 * seconds, "the dead address had its share, the other has what is left"


def test_an_endless_answer_is_cut():
    def floods(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b" " * 65536)

    answer = send_to(floods)
    assert (answer.outcome, answer.http_status) == (U, 200), "read up to the limit, not up to the deadline"


def test_each_request_has_the_whole_time_again(allowed):
    late = 0.4  # s
    with meeting(then(lambda _: time.sleep(late), says(200, ACK))) as (transport, peer):
        for _ in range(3):
            allowed.clear()
            answer = transport.send(DOCUMENT)
            ours = answer.duration - late  # the most that can have gone before a socket was told
            assert answer.outcome is A and max(allowed) >= PATIENCE - ours, "less is left after the request before"
        assert peer.connections == 1
