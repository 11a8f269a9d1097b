# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The proofs' network alone: what it says it breaks is broken."""

import socket
import socketserver
import threading

import pytest
from harness import proxy
from harness.processes import wait_until
from harness.proxy import Proxy


class Echo(socketserver.BaseRequestHandler):
    """Answers each request with its own words, and remembers them."""

    def handle(self):
        while data := self.request.recv(1000):
            self.server.heard.append(data)
            self.request.sendall(data)


@pytest.fixture
def server():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        server.heard = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def network(server):
    with Proxy(server.server_address[1]) as network:
        yield network


def connect(network):
    return socket.create_connection(("127.0.0.1", network.port), timeout=60)


def ask(connection, words=b"hello"):
    connection.sendall(words)
    return connection.recv(1000)


def test_a_network_that_is_whole_passes_everything_on(network):
    with connect(network) as connection:
        assert ask(connection) == b"hello" and ask(connection, b"again") == b"again"


class LastWords(socketserver.BaseRequestHandler):
    """Answers one request at length and leaves, as a web server does."""

    def handle(self):
        self.request.recv(1000)
        self.request.sendall(b"x" * 100_000)


def test_a_server_that_leaves_has_answered():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), LastWords) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Proxy(server.server_address[1]) as network, connect(network) as connection:
            connection.sendall(b"hello")
            assert len(connection.makefile("rb").read()) == 100_000
        server.shutdown()


def test_a_cut_network_resets_what_is_there_refuses_what_comes_and_is_back_after_it(network):
    with connect(network) as connection:
        assert ask(connection) == b"hello"
        with network.broken("cut"):
            with pytest.raises(ConnectionResetError):
                connection.recv(1000)
            with pytest.raises(ConnectionRefusedError):
                connect(network)
    with connect(network) as connection:
        assert ask(connection) == b"hello"


def test_a_half_open_network_connects_and_swallows(network, server):
    with network.broken("half_open"), connect(network) as connection:
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            ask(connection)
    assert server.heard == []


def test_a_slow_network_keeps_what_is_sent_for_a_while(network, server, monkeypatch):
    monkeypatch.setattr(proxy, "PAUSE", 3600)
    with network.broken("slow"), connect(network) as connection:
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            ask(connection)
        assert server.heard == []
    monkeypatch.setattr(proxy, "PAUSE", 0.1)
    with network.broken("slow"), connect(network) as connection:
        assert ask(connection) == b"hello"


def test_what_is_still_on_the_way_is_lost_when_its_sender_leaves(network, server):
    with network.broken("slow"):
        with connect(network) as connection:
            connection.sendall(b"hello")
        with connect(network) as connection:
            assert ask(connection, b"later") == b"later"
    assert server.heard == [b"later"]


def test_a_dripping_network_passes_on_the_request_and_drips_the_answer(network, server, monkeypatch):
    monkeypatch.setattr(proxy, "DRIP", 3600)  # the second byte never comes
    with network.broken("drip"), connect(network) as connection:
        assert ask(connection) == b"h"
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1000)
    assert server.heard == [b"hello"]


def test_a_network_that_resets_lets_the_request_out_first(network, server):
    with network.broken("reset"), connect(network) as connection, pytest.raises(ConnectionResetError):
        ask(connection)
    wait_until(lambda: server.heard, 10, "the request at the server")
    assert server.heard == [b"hello"]


def test_a_network_that_drops_answers_closes_where_they_should_come(network, server):
    with network.broken("drop_answers"), connect(network) as connection:
        assert ask(connection) == b""
    wait_until(lambda: server.heard, 10, "the request at the server")
    assert server.heard == [b"hello"]
