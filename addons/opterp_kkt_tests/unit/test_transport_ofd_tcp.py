"""The OFD's own protocol: what goes over the wire byte for byte, every answer, and words for what is no answer.

The other side is the emulated OFD, which reads it by an implementation of its own, and a peer on raw sockets.
"""

import json
import struct
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import datetime

import pytest
from ofd_emulator import drive
from opterp_kkt.core import tlv
from opterp_kkt.core.hlc import Timestamp
from opterp_kkt.drivers import Emulator, Numbers
from opterp_kkt.transports import PROTOCOLS, Contents, Document, Endpoint, EnvelopeError, Outcome, open_transport, translate
from unit.test_drivers import BODY as GENERAL
from unit.transport_peer import KEY, A, M, R, U, closes, meeting, sends

BODY = {**GENERAL, "items": [{**GENERAL["items"][0], "name": 'Оправа "Нева"'}]}  # in letters that CP866 has
DRIVE, FD_NUMBER = "9999000000000001", 12
ABSENT, UNAVAILABLE = Outcome.ABSENT, Outcome.UNAVAILABLE


def contents_of(body=BODY, key=KEY, fd_number=FD_NUMBER):
    document, _ = Emulator().sign(body, Numbers(DRIVE, fd_number, 3, 7, datetime(2026, 11, 24, 20, 0)))
    return Contents(
        key, "receipt", DRIVE, "0000000000000001", fd_number, Timestamp(1764000000123, 7, "0123456789ab"), document, utc_offset=3
    )


def make(body=BODY, key=KEY, fd_number=FD_NUMBER):
    return Document(key, PROTOCOLS["ofd_tcp"].encode(contents_of(body, key, fd_number)), epoch=7)


SALE = make()
MESSAGE = b64decode(json.loads(SALE.payload)["message"])
PACKET = drive.parse_message(MESSAGE)


def says(code=drive.OK, **other):
    """An acknowledgement, of this document unless told."""
    return sends(drive.acknowledge(PACKET._replace(**other), code, b"s" * 16, 1764000000000))


def send_to(act):
    with meeting(act, protocol="ofd_tcp") as (transport, _):
        return transport.send(SALE)


# What goes out


def test_the_session_byte_by_byte():
    with meeting(says(), protocol="ofd_tcp") as (transport, peer):
        transport.send(SALE)
    [session] = peer.requests
    assert session[:30].hex() == (
        "2a08410a81a20120" + b"9999000000000001".hex() + struct.pack("<H", len(MESSAGE)).hex() + "1600" + session[28:30].hex()
    )
    assert session[30:] == MESSAGE
    assert drive.parse_session(session) == (DRIVE, MESSAGE), "its CRC is right"


def test_another_implementation_reads_the_document():
    document = contents_of().document
    assert (PACKET.drive, PACKET.number, PACKET.form) == (DRIVE, FD_NUMBER, 3)
    assert PACKET.amount(1040) == FD_NUMBER
    assert PACKET.amount(1020) == document["totalSum"]
    assert PACKET.amount(1012) == document["dateTime"]
    assert PACKET.tags[1048].decode("cp866") == document["user"]
    assert PACKET.tags[1077] == b"TS" + struct.pack(">I", document["fiscalSign"]), "and says that it is a test"
    items = [dict(drive.split(PACKET.tags[1059]))]
    assert [item[1030].decode("cp866") for item in items] == [item["name"] for item in document["items"]]


def test_the_payload_holds_all_that_it_was_made_of():
    assert PROTOCOLS["ofd_tcp"].decode(SALE.payload) == contents_of()
    back = translate(translate(SALE.payload, "ofd_tcp", "http"), "http", "ofd_tcp")
    assert json.loads(back)["message"] == json.loads(SALE.payload)["message"], "over HTTP and back, it is the same message"


def test_only_what_is_numbered_and_signed():
    with pytest.raises(EnvelopeError):
        PROTOCOLS["ofd_tcp"].encode(replace(contents_of(), fd_number=None))


# What comes back


@pytest.mark.parametrize("code, outcome", [(drive.OK, A), (drive.UNREADABLE, R), (drive.FAULTY, R), (1, U), (255, U)])
def test_the_answer_code_decides(code, outcome):
    answer = send_to(says(code))
    assert answer.outcome is outcome
    assert outcome is A or answer.message.startswith(f"{code}: ")


def test_an_acknowledgement_has_time_and_sign():
    answer = send_to(says())
    assert (answer.server_time, answer.ofd_id) == (1764000000000, (b"s" * 16).hex())


@pytest.mark.parametrize("other", [{"number": 13}, {"drive": "9999000000000002"}])
def test_an_acknowledgement_of_another_document(other):
    assert send_to(says(**other)).outcome is U


GOOD = drive.acknowledge(PACKET, drive.OK)
BROKEN = [
    pytest.param(drive.pack(DRIVE), id="no message"),
    pytest.param(drive.pack(DRIVE, MESSAGE), id="the document itself"),
    pytest.param(GOOD[:-1], id="cut off"),
    pytest.param(GOOD[:20], id="cut off in its header"),
    pytest.param(GOOD[:60] + bytes([GOOD[60] ^ 1]) + GOOD[61:], id="a byte is wrong"),
    pytest.param(b"X" + GOOD[1:], id="another signature"),
    pytest.param(drive.pack(DRIVE, GOOD[30:-1]), id="a message that is cut off"),
    pytest.param(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", id="HTTP"),
    pytest.param(b"", id="nothing"),
]


@pytest.mark.parametrize("data", BROKEN)
def test_what_is_no_acknowledgement(data):
    assert send_to(sends(data)).outcome is U


def test_no_question_is_asked():
    with meeting(closes, protocol="ofd_tcp") as (transport, peer):
        answer = transport.lookup(SALE)
    assert (answer.outcome, answer.resend, peer.requests) == (U, True, [])


# Where it is


@pytest.mark.parametrize(
    "url",
    ["http://ofd.example:7777", "tcp://ofd.example", "tcp://:7777", "tcp://ofd.example:7777/path", "tcp://ofd.example:port",
     "tcp://me:secret@ofd.example:7777", "tcp://ofd.example:7777 "],
)  # fmt: skip
def test_a_wrong_address_is_told_before_anything_is_sent(url):
    answer = open_transport("ofd_tcp", Endpoint(url)).send(SALE)
    assert answer.outcome is M
    assert "tcp://ofd.example:7777" in answer.message


@pytest.fixture
def ofd(emulator):
    emulator.reset()
    return open_transport("ofd_tcp", Endpoint(emulator.url.replace("http", "tcp"), timeout=60))


def test_the_connection_is_tried(ofd):
    assert ofd.check().outcome is ABSENT
    with meeting(sends(b"SSH-2.0-OpenSSH_9.6\r\n"), protocol="ofd_tcp") as (transport, _):
        answer = transport.check()
    assert (answer.outcome, "no OFD" in answer.message) == (U, True)


# The emulated OFD


def test_it_takes_each_number_once(ofd, emulator):
    assert [ofd.send(SALE).outcome for _ in range(2)] == [A, A]
    assert ofd.send(make({**BODY, "operator": "Петрова"})).outcome is R, "the same number with other bytes"
    assert ofd.send(make(fd_number=13)).outcome is A
    kept = [
        (record["outcome"], record["fd_number"], record["document_type"], record["total_sum"]) for record in emulator.history()
    ]
    total = contents_of().document["totalSum"]
    expected = [("accepted", 12), ("duplicate", 12), ("conflict", 12), ("accepted", 13)]
    assert kept == [(*each, "receipt", total) for each in expected]


def test_its_logic_control(ofd, emulator):
    document = {**contents_of().document, "cashTotalSum": 1}
    message = b64encode(tlv.pack_message(document)).decode()
    assert ofd.send(replace(SALE, payload=json.dumps({**json.loads(SALE.payload), "message": message}))).outcome is R
    emulator.refuse(DRIVE)
    assert ofd.send(SALE).outcome is R
    emulator.refuse("")
    assert ofd.send(SALE).outcome is A
