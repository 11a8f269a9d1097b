"""The kept connection, TLS, and the emulator from end to end."""

import json
import os
import time

import pytest
from harness.stack import Emulator
from opterp_kkt.transports import Document, Outcome
from unit.transport_peer import (
    ACK,
    DOCUMENT,
    DRIPS,
    ERROR,
    HTML,
    TOKEN,
    A,
    M,
    Peer,
    R,
    T,
    U,
    assert_unavailable,
    closes,
    meeting,
    outlasting,
    says,
    send_to,
    then,
    transport_to,
)

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
    for transport, _ in outlasting(act, tls=trusted):
        answer = transport.send(DOCUMENT)
    assert answer.outcome is U and answer.message.endswith("timed out"), "or the peer came to its end"


def test_tls_that_breaks_after_sending_is_unknown(trusted):
    def not_tls(connection):
        os.write(connection.fileno(), HTML)
        return True

    assert send_to(not_tls, tls=trusted).outcome is U


# The emulator, end to end.


def document(number, **more):
    key = f"db:{number}"
    return Document(key, json.dumps({
        "idempotency_key": key, "fd_number": number, "document_type": "receipt",
        "register": {"fiscal_drive_number": "9999078900001234", "registration_number": "0000000001012345"},
        "hlc": {"local_time": 1_700_000_000_000, "logical_counter": 0, "node": ""}, "document": more,
    }), epoch=1)  # fmt: skip


def test_the_emulator_end_to_end():
    with (
        Emulator(token=TOKEN) as ofd,
        transport_to(ofd.url) as transport,
        transport_to(ofd.url, token="wrong") as stranger,
    ):
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
            ofd.mode(**orders)
            assert transport.send(document(2)).outcome is outcome, orders
            assert transport.lookup(document(2)).outcome is Outcome.ABSENT, orders
        ofd.mode("drop", count=1)
        assert transport.send(document(2)).outcome is U
        assert transport.lookup(document(2)).outcome is A, "accepted, though the answer was lost"
        ofd.refuse("bad", code="no", message="Нет")
        refused = transport.send(document(3, name="bad"))
        assert (refused.outcome, refused.message) == (R, "no: Нет")
        ofd.kill()
        assert transport.send(document(4)).outcome is Outcome.UNAVAILABLE
