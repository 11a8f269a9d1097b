"""Registers in a data centre through OrangeData: its requests byte for byte and signed, every answer, and one receipt per key.

The other side is the emulated service as a process, and a peer on raw sockets for what no service says.
"""

import json
import ssl
from base64 import b64decode
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from ofd_emulator.cloud import get_drive
from ofd_emulator.orange import is_signed
from opterp_kkt.core.hlc import Timestamp
from opterp_kkt.transports import PROTOCOLS, Contents, Document, Endpoint, EnvelopeError, Outcome, open_transport, translate
from opterp_kkt.transports.atol_web import get_uuid
from opterp_kkt.transports.orangedata import as_pem
from unit.test_drivers import BODY
from unit.transport_peer import (
    HTML,
    KEY,
    TOKEN,
    A,
    M,
    Peer,
    R,
    T,
    U,
    fiscalised,
    key_of,
    meeting,
    pem_of,
    public_numbers,
    says,
    transport_to,
)

P, ABSENT, UNABLE = Outcome.PROCESSING, Outcome.ABSENT, Outcome.UNABLE
DRIVE = get_drive("shop 1")
SOLD = {**BODY, "buyerPhoneOrAddress": "+79991234567", "sellerAddress": "shop@example.com"}
CONTENT = (
    '{"ffdVersion":4,"type":1,"positions":[{"quantity":1.5,"price":849.9,"tax":11,"taxSum":229.89,"text":"Оправа «Нева»",'
    '"paymentMethodType":4,"paymentSubjectType":1,"quantityMeasurementUnit":0}],"checkClose":{"payments":[{"type":1,'
    '"amount":1274.85}],"taxationSystem":0},"customerContact":"+79991234567","totalSum":1274.85,'
    '"settlementAddress":"Москва, Тверская 1","settlementPlace":"Салон","cashier":"Иванова А. А.",'
    '"senderEmail":"shop@example.com"}'
)


def contents_of(document=SOLD, document_type="receipt", key=KEY):
    return Contents(key, document_type, DRIVE, "0000000000000001", None, Timestamp(1764000000123, 7, "0123456789ab"), document)


def make(document=SOLD, document_type="receipt", key=KEY):
    return Document(key, PROTOCOLS["orangedata"].encode(contents_of(document, document_type, key)), epoch=7)


SALE = make()


@pytest.fixture
def orange(emulator):
    emulator.reset()
    emulator.orange(**public_numbers(TOKEN))
    return emulator


@contextmanager
def shop(orange, token=TOKEN, timeout=60):
    with transport_to(f"{orange.url}/api/v2", timeout, token=token, protocol="orangedata") as transport:
        yield transport


def after(answer, document=SALE):
    """The document as it is sent or asked for next: with what delivery has put on record."""
    return replace(document, ofd_id=answer.ofd_id or document.ofd_id)


# What a document becomes.


def test_a_request_byte_for_byte_and_its_signature():
    assert json.loads(SALE.payload)["content"] == CONTENT
    with meeting(says(201), protocol="orangedata") as (transport, peer):
        assert transport.send(SALE).outcome is P
    [(line, headers, body)] = peer.requests
    account = '"inn":"7700123459","group":"shop 1","key":"7700123459"'
    assert line == "POST /documents/ HTTP/1.1"
    assert body.decode() == f'{{"id":"{get_uuid(KEY, 0)}",{account},"content":{CONTENT}}}'
    key_of(TOKEN).public_key().verify(b64decode(headers["x-signature"]), body, PKCS1v15(), SHA256())


def test_the_emulator_verifies_signatures_by_itself():
    numbers = key_of(TOKEN).public_key().public_numbers()
    with meeting(says(201), protocol="orangedata") as (transport, peer):
        transport.send(SALE)
    [(_line, headers, body)] = peer.requests
    assert is_signed(body, headers["x-signature"], numbers.n, numbers.e)
    assert not is_signed(body + b" ", headers["x-signature"], numbers.n, numbers.e)
    for wrong in ("", "!", "AAAA"):
        assert not is_signed(body, wrong, numbers.n, numbers.e)


def test_each_kind_of_document(orange):
    base = {"correctionType": 0, "correctionBase": {"correctionDocumentDate": 1795480200}}
    with shop(orange) as transport:
        for number, document_type in enumerate(("receipt", "correction")):
            for operation in range(1, 5):
                more = base if document_type == "correction" else {}
                document = make({**SOLD, **more, "operationType": operation}, document_type, f"db:{number}{operation}")
                assert transport.send(document).outcome is P
                answer = transport.lookup(document)
                assert (answer.outcome, answer.operation_type) == (A, operation)
    assert fiscalised(orange) == [("documents", 127485)] * 4 + [("correction12", 127485)] * 4


def test_a_correction_has_its_cause():
    cause = {"correctionType": 1, "correctionBase": {"correctionDocumentDate": 1795480200, "correctionDocumentNumber": "17-1"}}
    kept = json.loads(make({**SOLD, **cause}, "correction").payload)
    stated = json.loads(kept["content"])
    assert kept["resource"] == "correction12"
    assert (stated["correctionType"], stated["causeDocumentDate"], stated["causeDocumentNumber"]) == (
        1,
        "2026-11-24T00:00:00",
        "17-1",
    )


@pytest.mark.parametrize(
    "name, value, stated",
    [
        ("appliedTaxationType", 4, lambda content: content["checkClose"]["taxationSystem"] == 2),
        ("buyerPhoneOrAddress", "", lambda content: content["customerContact"] == "none"),
        ("operatorInn", "500100732259", lambda content: content["cashierINN"] == "500100732259"),
        ("propertiesData", "7", lambda content: content["additionalAttribute"] == "7"),
        (
            "properties",
            {"propertyName": "n", "propertyValue": "v"},
            lambda content: content["additionalUserAttribute"] == {"name": "n", "value": "v"},
        ),
        ("ecashTotalSum", 100, lambda content: {"type": 2, "amount": 1} in content["checkClose"]["payments"]),
        ("prepaidSum", 150, lambda content: {"type": 14, "amount": 1.5} in content["checkClose"]["payments"]),
    ],
)
def test_each_field(name, value, stated):
    assert stated(json.loads(json.loads(make({**SOLD, name: value}).payload)["content"]))


def test_a_document_is_kept_whole():
    assert PROTOCOLS["orangedata"].decode(SALE.payload) == contents_of()


def test_it_takes_no_reports():
    with pytest.raises(EnvelopeError, match="no reports"):
        translate(PROTOCOLS["http"].encode(contents_of({"code": 2}, "shift_open")), "http", "orangedata")


# What the service does.


def test_it_waits_and_is_fiscalised(orange):
    orange.cloud(queue_for=3600)
    with shop(orange) as transport:
        assert [transport.send(SALE).outcome, transport.lookup(SALE).outcome, transport.send(SALE).outcome] == [P, P, P]
        orange.cloud(queue_for=0)
        answer = transport.lookup(SALE)
    assert (answer.outcome, answer.total) == (A, 127485)
    data = answer.fiscal_data
    assert data[:4] == (DRIVE, 2, 1, 1)
    assert data.qr.endswith(f"&s=1274.85&fn={DRIVE}&i=2&fp={data.fiscal_sign}&n=1")
    assert fiscalised(orange) == [("documents", 127485)]


def test_what_expired_is_sent_under_another_id_once_that_is_on_record(orange):
    orange.cloud(fails={"type": "timeout", "code": 1, "text": "too long"})
    with shop(orange) as transport:
        assert transport.send(SALE).outcome is P
        expired = transport.lookup(SALE)
        assert (expired.outcome, expired.ofd_id, expired.message) == (UNABLE, "/1", "too long")
        orange.cloud(fails=None)
        assert transport.send(SALE).outcome is UNABLE, "not on record yet: the same id"
        second = after(expired)
        assert transport.lookup(second).outcome is ABSENT
        assert (transport.send(second).outcome, transport.lookup(second).outcome) == (P, A)
    sent = [record["key"] for record in orange.history() if record["outcome"] in ("queued", "accepted")]
    assert sent == [get_uuid(KEY, 0), get_uuid(KEY, 1)]


@pytest.mark.parametrize(
    "act, outcome",
    [
        (says(400, b'{"errors": ["positions"]}'), R),
        (says(400, '{"errors": ["Неверная подпись"]}'.encode()), M),
        (says(400, b"{}"), M),
        (says(401), M),
        (says(503, Retry_After=7), T),
        (says(500), U),
        (says(200), U),
    ],
)  # fmt: skip
def test_answers_to_a_document(act, outcome):
    with meeting(act, protocol="orangedata") as (transport, _peer):
        assert transport.send(SALE).outcome is outcome


DONE = {
    "id": get_uuid(KEY, 0), "fsNumber": DRIVE, "documentNumber": 7, "shiftNumber": 2, "documentIndex": 3,
    "processedAt": "2026-11-29T12:00:00", "fp": "1234567890", "content": {"type": 1, "totalSum": 1274.85},
}  # fmt: skip


@pytest.mark.parametrize(
    "status, said, outcome, has_numbers",
    [
        (200, DONE, A, True),
        (200, {**DONE, "content": None}, A, True),
        (200, {**DONE, "id": "x"}, U, False),
        (200, {name: DONE[name] for name in DONE if name != "id"}, U, False),
        (200, {**DONE, "documentNumber": "7"}, A, False),
        (200, {**DONE, "fp": "0x1"}, A, False),
        (202, None, P, False),
        (404, None, ABSENT, False),
        (404, {"errors": []}, ABSENT, False),
        (422, {"errors": ["marking"]}, R, False),
        (524, None, UNABLE, False),
    ],
)
def test_answers_to_a_question(status, said, outcome, has_numbers):
    body = b"" if said is None else json.dumps(said).encode()
    with meeting(says(status, body), protocol="orangedata") as (transport, peer):
        answer = transport.lookup(SALE)
    assert (answer.outcome, answer.fiscal_data is not None) == (outcome, has_numbers)
    assert peer.requests[0][0] == f"GET /documents/7700123459/status/{get_uuid(KEY, 0)} HTTP/1.1"


@pytest.mark.parametrize("status", [404, 422, 524])
def test_a_page_is_no_word_of_the_service(status):
    """A proxy says 524, too, when it waits in vain: another id would be a second receipt."""
    with meeting(says(status, HTML), protocol="orangedata") as (transport, _peer):
        assert transport.lookup(SALE).outcome in (M, U)


# What lets us in.


@pytest.mark.parametrize(
    "credentials, words",
    [
        ({"organisation": "7700123459"}, "signing key is missing"),
        ({"organisation": "7700123459", "signing_key": "-----BEGIN X-----a-----END X-----"}, "signing key is missing"),
        ({"signing_key": TOKEN}, "INN at the service is missing"),
        ({"organisation": "7700123459", "signing_key": TOKEN, "certificate": "x"}, "client certificate or its key"),
    ],
)
def test_what_is_missing_is_said(credentials, words):
    given = {name: pem_of(value) if value == TOKEN else value for name, value in credentials.items()}
    transport = open_transport("orangedata", Endpoint("http://127.0.0.1:9/api/v2", given))
    assert all(words in answer.message and answer.outcome is M for answer in (transport.send(SALE), transport.check()))


def test_keys_are_taken_without_their_line_breaks():
    pem = pem_of(TOKEN)
    assert as_pem(pem) == as_pem(pem.replace("\n", "")) == as_pem(pem.replace("\n", " ")) == pem


def test_it_is_known_by_its_certificate(authority, trusted):
    """Who shows none is sent away, whatever else is right."""
    own = Path(authority[0]).parent
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    asking.load_cert_chain(own / "crt", own / "key")
    asking.load_verify_locations(own / "crt")
    asking.verify_mode = ssl.CERT_REQUIRED
    certificate, key = ((own / name).read_text().replace("\n", " ") for name in ("crt", "key"))
    outcomes = []
    for given in ({"certificate": certificate, "certificate_key": key}, {}):
        credentials = {"organisation": "7700123459", "signing_key": pem_of(TOKEN), **given}
        with Peer(says(201), tls=asking) as peer:
            transport = open_transport("orangedata", Endpoint(peer.url, credentials, 60))
            answer = transport.send(SALE)
            transport.close()
        assert key.split()[5] not in repr(answer)
        outcomes.append((answer.outcome, len(peer.requests)))
    assert outcomes[0] == (P, 1)
    assert outcomes[1][0] is not P and outcomes[1][1] == 0


def test_the_emulated_service_takes_no_other_key(orange):
    with shop(orange, token="wr0ng") as transport:
        answer = transport.send(SALE)
    assert (answer.outcome, answer.message) == (M, "Подпись не прошла проверку")
    assert fiscalised(orange) == []
