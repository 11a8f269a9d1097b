"""What is asked, with which settings, and where the token is not."""

import json
import logging
import socket
import threading
import urllib.request
from dataclasses import replace

import pytest
from harness.processes import free_port, wait_until
from opterp_kkt.transports import Document, Endpoint, Outcome, open_transport
from unit.test_transport_ofd_tcp import SALE as SIGNED
from unit.transport_peer import (
    ACK,
    DOCUMENT,
    ERROR,
    KEY,
    PATIENCE,
    TOKEN,
    A,
    M,
    Peer,
    U,
    closes,
    meeting,
    says,
    send_to,
    transport_to,
)

# What is asked.


@pytest.mark.parametrize("protocol", ["http", "ofd_tcp"])
def test_meanwhile_is_when_the_other_side_has_all_and_has_not_answered(protocol):
    done, met = threading.Event(), []

    def answers_when_that_is_done(connection):
        met.append("asked")
        assert done.wait(PATIENCE)
        return says(200, ACK)(connection) if protocol == "http" else True

    def meanwhile():
        wait_until(lambda: met, PATIENCE, "the whole request")
        met.append("meanwhile")
        done.set()

    with meeting(answers_when_that_is_done, protocol=protocol) as (transport, _peer):
        outcome = transport.send(SIGNED if protocol == "ofd_tcp" else DOCUMENT, meanwhile).outcome
    assert met == ["asked", "meanwhile"] and outcome is (A if protocol == "http" else U)


@pytest.mark.parametrize("protocol", ["http", "ofd_tcp"])
def test_there_is_no_meanwhile_when_nothing_is_sent(protocol):
    met = []
    with transport_to(f"http://127.0.0.1:{free_port()}", protocol=protocol) as transport:
        transport.send(SIGNED if protocol == "ofd_tcp" else DOCUMENT, lambda: met.append("meanwhile"))
    assert not met


def test_no_question_has_a_meanwhile_of_an_earlier_document():
    met = []
    with meeting(says(200, ACK)) as (transport, _peer):
        transport.send(DOCUMENT, lambda: met.append("meanwhile"))
        transport.lookup(DOCUMENT)
        transport.send(DOCUMENT)
    assert met == ["meanwhile"]


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
