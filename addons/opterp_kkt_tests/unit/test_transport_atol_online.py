"""Registers in the cloud through ATOL Online: its requests byte for byte, every answer, and one receipt per key.

The other side is the emulated service as a process, and a peer on raw sockets for what no service says.
"""

import json
import logging
from contextlib import contextmanager
from dataclasses import replace

import pytest
from harness.processes import wait_until
from ofd_emulator.cloud import get_drive
from opterp_kkt.core.hlc import Timestamp
from opterp_kkt.transports import PROTOCOLS, Contents, Document, Endpoint, EnvelopeError, Outcome, open_transport, translate
from opterp_kkt.transports.atol_online import TOKENS, Try
from opterp_kkt.transports.atol_web import get_uuid
from unit.test_drivers import BODY
from unit.transport_peer import (
    DEADLINES,
    ERROR,
    HTML,
    KEY,
    TOKEN,
    A,
    M,
    Peer,
    R,
    T,
    U,
    closes,
    fiscalised,
    meeting,
    resets,
    says,
    transport_to,
)

P, ABSENT, UNABLE, UNAVAILABLE = Outcome.PROCESSING, Outcome.ABSENT, Outcome.UNABLE, Outcome.UNAVAILABLE
GROUP = "shop 1"
DRIVE = get_drive(GROUP)
UUID = "2ea26f17-0884-4f08-b120-306fc096a58f"
SOLD = {**BODY, "buyerPhoneOrAddress": "+79991234567", "sellerAddress": "shop@example.com"}
REQUEST = (
    '{"timestamp":"24.11.2025 20:00:00","receipt":{"client":{"phone":"+79991234567"},"company":{"email":"shop@example.com",'
    '"sno":"osn","inn":"7700123459","payment_address":"Салон","location":"Москва, Тверская 1"},"items":[{"name":"Оправа «Нева»",'
    '"price":849.9,"quantity":1.5,"measure":0,"sum":1274.85,"payment_method":"full_payment","payment_object":1,'
    '"vat":{"type":"vat22","sum":229.89}}],"payments":[{"type":0,"sum":1274.85}],"total":1274.85,"internet":false,'
    '"timezone":3,"cashier":"Иванова А. А."}}'
)


def contents_of(document=SOLD, document_type="receipt", key=KEY):
    stamp = Timestamp(1764000000123, 7, "0123456789ab")
    return Contents(key, document_type, DRIVE, "0000000000000001", None, stamp, document, utc_offset=4)


def make(document=SOLD, document_type="receipt", key=KEY):
    return Document(key, PROTOCOLS["atol_online"].encode(contents_of(document, document_type, key)), epoch=7)


SALE = make()


@pytest.fixture
def cloud(emulator):
    emulator.reset()
    emulator.cloud(expire=True)
    return emulator


@contextmanager
def shop(cloud, token=TOKEN, timeout=60):
    with transport_to(f"{cloud.url}/possystem/v5", timeout, token=token, protocol="atol_online") as transport:
        yield transport


def after(answer, document=SALE):
    """The document as it is sent or asked for next: with what delivery has put on record."""
    return replace(document, ofd_id=answer.ofd_id or document.ofd_id)


def posts(cloud):
    """The external_ids that were sent under a token that was taken."""
    return [record["key"] for record in cloud.history() if record["method"] == "POST" and record["status"] != 401]


# What a document becomes.


def test_a_request_byte_for_byte():
    assert json.loads(SALE.payload)["request"] == REQUEST
    with meeting(says(200, b'{"token": "t0k"}'), says(200, queued()), protocol="atol_online") as (transport, peer):
        assert transport.send(SALE).outcome is P
    asked, sent = peer.requests
    assert (asked[0], json.loads(asked[2])) == ("POST /getToken HTTP/1.1", {"login": "kkt", "pass": TOKEN})
    assert (sent[0], sent[1]["token"]) == ("POST /shop%201/sell HTTP/1.1", "t0k")
    assert sent[1]["content-type"] == "application/json; charset=utf-8"
    assert sent[2].decode() == f'{{"external_id":"{get_uuid(KEY, 0)}",{REQUEST[1:]}'


def test_external_ids_follow_from_the_key_alone():
    """By this rule for ever: what was sent once is known by it."""
    with meeting(says(200, b'{"token": "t0k"}'), says(200, queued()), protocol="atol_online") as (transport, peer):
        for latest in ("", "/1", "/2"):
            transport.send(replace(make(key="db.key"), ofd_id=latest))
    sent = [json.loads(body)["external_id"] for line, _, body in peer.requests if "sell" in line]
    assert sent == [
        "b3c13e39-9bba-5fb6-b31b-a9891418dfa3",
        "4979ed40-04b7-5829-bd3d-8f8f1bfcdfdb",
        get_uuid("db.key", 2),
    ]


@pytest.mark.parametrize("latest", [Try(), Try(0, UUID), Try(3), Try(3, UUID)])
def test_the_latest_try_is_kept_as_text(latest):
    assert Try.from_text(str(latest)) == latest


def test_each_kind_of_document():
    base = {"correctionDocumentDate": 1795480200}
    own = {"correctionType": 0, "correctionBase": base}
    ordered = {"correctionType": 1, "correctionBase": {**base, "correctionDocumentNumber": "17-1"}}
    for document_type, operation, more, name, cause in (
        ("receipt", 1, {}, "sell", None),
        ("receipt", 2, {}, "sell_refund", None),
        ("receipt", 3, {}, "buy", None),
        ("receipt", 4, {}, "buy_refund", None),
        ("correction", 1, own, "sell_correction", {"type": "self", "base_date": "24.11.2026"}),
        ("correction", 2, own, "sell_refund_correction", {"type": "self", "base_date": "24.11.2026"}),
        ("correction", 3, ordered, "buy_correction", {"type": "instruction", "base_date": "24.11.2026", "base_number": "17-1"}),
        ("correction", 4, own, "buy_refund_correction", {"type": "self", "base_date": "24.11.2026"}),
    ):
        kept = json.loads(make({**SOLD, **more, "operationType": operation}, document_type).payload)
        stated = json.loads(kept["request"])["receipt" if cause is None else "correction"]
        assert (kept["operation"], stated.get("correction_info")) == (name, cause)


@pytest.mark.parametrize(
    "name, value, stated",
    [
        ("appliedTaxationType", 4, lambda receipt: receipt["company"]["sno"] == "usn_income_outcome"),
        ("buyerPhoneOrAddress", "a@b.ru", lambda receipt: receipt["client"] == {"email": "a@b.ru"}),
        ("internetPayment", 1, lambda receipt: receipt["internet"] is True),
        ("operatorInn", "500100732259", lambda receipt: receipt["cashier_inn"] == "500100732259"),
        ("propertiesData", "7", lambda receipt: receipt["additional_check_props"] == "7"),
        (
            "properties",
            {"propertyName": "n", "propertyValue": "v"},
            lambda receipt: receipt["additional_user_props"] == {"name": "n", "value": "v"},
        ),
        ("ecashTotalSum", 100, lambda receipt: {"type": 1, "sum": 1} in receipt["payments"]),
        ("prepaidSum", 150, lambda receipt: {"type": 2, "sum": 1.5} in receipt["payments"]),
    ],
)
def test_each_field(name, value, stated):
    assert stated(json.loads(json.loads(make({**SOLD, name: value}).payload)["request"])["receipt"])


@pytest.mark.parametrize("offset, zone", [(2, 1), (3, 2), (12, 11), (0, None), (None, None)])
def test_time_zones(offset, zone):
    kept = json.loads(PROTOCOLS["atol_online"].encode(replace(contents_of(), utc_offset=offset)))
    assert json.loads(kept["request"])["receipt"].get("timezone") == zone


def test_a_document_is_kept_whole():
    assert PROTOCOLS["atol_online"].decode(SALE.payload) == contents_of()


@pytest.mark.parametrize(
    "document, document_type, words",
    [
        ({**SOLD, "items": [{**SOLD["items"][0], "nds": 99}]}, "receipt", "99"),
        ({**SOLD, "buyerPhoneOrAddress": ""}, "receipt", "neither the buyer nor the shop"),
        ({**SOLD, "sellerAddress": ""}, "receipt", "the shop's e-mail address"),
        ({"code": 2, "operator": "Иванова А. А."}, "shift_open", "no reports"),
    ],
)
def test_what_the_service_can_not_be_told_is_said(document, document_type, words):
    with pytest.raises(EnvelopeError, match=words):
        translate(PROTOCOLS["http"].encode(contents_of(document, document_type)), "http", "atol_online")


# It calls when it has done.

CALLED = "https://shop.example/kkt/callback/s3cr3t"


@contextmanager
def called_at(url, address):
    TOKENS.clear()
    credentials = {"login": "kkt", "password": TOKEN, "group_code": GROUP, "callback_url": address}
    transport = open_transport("atol_online", Endpoint(f"{url}/possystem/v5", credentials, 60))
    yield transport
    transport.close()


def test_where_it_calls_is_told_with_each_document_and_kept_with_none():
    with Peer(says(200, b'{"token": "t0k"}'), says(200, queued())) as peer, called_at(peer.url, CALLED) as transport:
        transport.send(SALE)
    service = f'"service":{{"callback_url":"{CALLED}"}}'
    assert peer.requests[1][2].decode() == f'{{"external_id":"{get_uuid(KEY, 0)}",{service},{REQUEST[1:]}'
    assert "callback" not in SALE.payload


def test_then_it_is_asked_more_rarely():
    waits = json.dumps({"uuid": UUID, "status": "wait"}).encode()
    for address, pause in (("", 3.0), (CALLED, 15.0)):
        acts = says(200, b'{"token": "t0k"}'), says(200, queued()), says(200, waits)
        with Peer(*acts) as peer, called_at(peer.url, address) as transport:
            sent = transport.send(SALE)
            assert (sent.retry_after, transport.lookup(after(sent)).retry_after) == (3.0, pause)


@pytest.mark.parametrize("words", [CALLED, "no way to s3cr3t here"])
def test_where_it_calls_is_repeated_nowhere(words):
    refusal = json.dumps({"error": {"code": 32, "text": words}}).encode()
    with Peer(says(200, b'{"token": "t0k"}'), says(400, refusal)) as peer, called_at(peer.url, CALLED) as transport:
        answer = transport.send(SALE)
    assert answer.outcome is R and "***" in answer.message and "s3cr3t" not in answer.message


def test_the_service_calls_once_when_it_has_done(cloud):
    with Peer(says(204, b"")) as peer, called_at(cloud.url, f"{peer.url}/kkt/callback/x") as transport:
        sent = after(transport.send(SALE))
        wait_until(lambda: peer.requests, 60, "the call")
        [(line, _headers, body)] = peer.requests
        assert line == "POST /kkt/callback/x HTTP/1.1"
        told = json.loads(body)
        assert (told["uuid"], told["status"], told["external_id"]) == (sent.ofd_id, "done", get_uuid(KEY, 0))
        assert transport.lookup(sent).outcome is A


# What the service does.


def test_it_waits_and_is_fiscalised(cloud):
    cloud.cloud(queue_for=3600)
    with shop(cloud) as transport:
        queued_sale = after(transport.send(SALE))
        assert [transport.lookup(queued_sale).outcome for _ in range(3)] == [P, P, P]
        cloud.cloud(queue_for=0)
        answer = transport.lookup(queued_sale)
    assert (answer.outcome, answer.total, answer.ofd_id) == (A, 127485, queued_sale.ofd_id)
    data = answer.fiscal_data
    assert data[:4] == (DRIVE, 2, 1, 1), "after the report on the shift that it has opened by itself"
    assert data.qr.endswith(f"&s=1274.85&fn={DRIVE}&i=2&fp={data.fiscal_sign}&n=1")
    assert fiscalised(cloud) == [("sell", 127485)]


@pytest.mark.parametrize("operation, name", [(1, "sell"), (2, "sell_refund"), (3, "buy"), (4, "buy_refund")])
@pytest.mark.parametrize("document_type", ["receipt", "correction"])
def test_it_takes_each_kind(cloud, operation, name, document_type):
    cause = {"correctionType": 0, "correctionBase": {"correctionDocumentDate": 1795480200}}
    document = make({**SOLD, "operationType": operation, **(cause if document_type == "correction" else {})}, document_type)
    with shop(cloud) as transport:
        assert transport.lookup(after(transport.send(document), document)).outcome is A
    assert fiscalised(cloud) == [(name + ("_correction" if document_type == "correction" else ""), 127485)]


@pytest.mark.parametrize("mode", ["drop", "slow", "drip"])
def test_a_lost_answer_leads_to_no_second_receipt(cloud, mode):
    with shop(cloud) as transport:
        transport.check()  # for a token
    cloud.mode(mode, count=1, **({} if mode == "drop" else {"seconds": 30}))
    for seconds in DEADLINES:
        with shop(cloud, timeout=seconds) as transport:
            lost = transport.send(SALE)
        if lost.outcome is not Outcome.UNAVAILABLE:  # or it was not sent
            break
    assert (lost.outcome, lost.ofd_id) == (U, "")
    with shop(cloud) as transport:
        asked = transport.lookup(after(lost))
        assert (asked.outcome, asked.resend) == (U, True), "it can't be asked, only be sent again"
        again = transport.send(after(lost))
        assert again.outcome is (P if mode == "slow" else A)
        assert transport.lookup(after(again)).outcome is A
    assert fiscalised(cloud) == [("sell", 127485)]
    assert set(posts(cloud)) == {get_uuid(KEY, 0)}, "always under the same external_id"


def test_what_is_known_and_waits_is_processing(cloud):
    cloud.cloud(queue_for=3600)
    with shop(cloud) as transport:
        first, again = transport.send(SALE), transport.send(SALE)
        assert (again.outcome, again.ofd_id) == (P, first.ofd_id)


def test_what_is_known_but_can_not_be_asked_for_now_is_processing(cloud):
    with shop(cloud) as transport:
        first = transport.send(SALE)
        cloud.mode("fail_lookups", count=1)
        again = transport.send(SALE)
    assert (again.outcome, again.ofd_id) == (P, first.ofd_id), "it has the document, so it is in doubt until it tells"


def test_another_document_under_our_external_id_is_a_conflict(cloud):
    with shop(cloud) as transport:
        transport.send(SALE)
        other = make({**SOLD, "items": [{**SOLD["items"][0], "price": 10000, "quantity": 1, "sum": 10000}], "totalSum": 10000,
                      "cashTotalSum": 10000})  # fmt: skip
        answer = transport.send(other)
    assert (answer.outcome, answer.conflict, answer.fiscal_data) == (R, True, None)
    assert "1274.85 ≠ 100.00" in answer.message
    assert len(fiscalised(cloud)) == 1


def test_a_document_that_waited_too_long_gets_another_external_id(cloud):
    document = SALE
    cloud.cloud(fails={"type": "timeout", "code": 1, "text": "Превышено время ожидания чека в очереди."})
    with shop(cloud) as transport:
        for number in range(3):
            document = after(transport.send(document))
            told = transport.lookup(document)
            assert (told.outcome, told.message) == (UNABLE, "1: Превышено время ожидания чека в очереди.")
            document = after(told)
            assert Try.from_text(document.ofd_id) == Try(number + 1), "on record before it is sent"
        cloud.cloud(fails=None)
        document = after(transport.send(document))
        assert transport.lookup(document).outcome is A
    assert posts(cloud) == [get_uuid(KEY, number) for number in range(4)]
    assert fiscalised(cloud) == [("sell", 127485)]


def test_a_process_that_died_after_sending_the_next_try_is_no_danger(cloud):
    """On record is only that the first try is over, although the second one was sent."""
    cloud.cloud(fails={"type": "timeout", "code": 1, "text": "…"})
    with shop(cloud) as transport:
        over = after(transport.lookup(after(transport.send(SALE))))
        cloud.cloud(fails=None)
        transport.send(over)  # and the process dies
        asked = transport.lookup(over)
        assert (asked.outcome, asked.resend) == (U, True), "not: nothing was taken"
        assert transport.send(over).outcome is A
    assert fiscalised(cloud) == [("sell", 127485)]


def test_what_is_not_valid_is_refused_and_may_be_sent_again(cloud):
    cloud.refuse("Оправа")
    with shop(cloud) as transport:
        refused = transport.send(SALE)
        assert refused.outcome is R and refused.message.startswith("32: Ошибка валидации входного чека.")
        cloud.refuse("")
        assert transport.send(after(refused)).outcome is P
    assert posts(cloud) == [get_uuid(KEY, 0)] * 2, "it was not registered"


@pytest.mark.parametrize(
    "error, outcome",
    [
        (("timeout", 1), UNABLE),
        (("agent", 3), UNABLE),
        (("agent", 4), UNABLE),
        (("driver", -3822), UNABLE),
        (("driver", -3915), UNABLE),
        (("agent", 1), R),
        (("agent", 2), R),
        (("driver", -3897), R),
        (("driver", -4021), R),
        (("driver", -9999), R),
        (("system", 1), R),
        (("unknown", 0), R),
    ],
)
def test_what_a_failure_means(cloud, error, outcome):
    cloud.cloud(fails={"type": error[0], "code": error[1], "text": "Слова"})
    with shop(cloud) as transport:
        told = transport.lookup(after(transport.send(SALE)))
    assert (told.outcome, told.message) == (outcome, f"{error[1]}: Слова")


def test_a_refused_document_is_sent_again_as_another_one(cloud):
    wrong = make({**SOLD, "cashTotalSum": 127400})
    with shop(cloud) as transport:
        refused = transport.lookup(after(transport.send(wrong), wrong))
        assert (refused.outcome, refused.message) == (R, "-3897: Чек оплачен не полностью")
        assert transport.send(after(refused, wrong)).outcome is P
    assert posts(cloud) == [get_uuid(KEY, 0), get_uuid(KEY, 1)]
    assert fiscalised(cloud) == []


def test_a_document_that_was_given_up_elsewhere_is_sent_here_under_its_number(cloud):
    with shop(cloud) as transport:
        assert transport.lookup(replace(SALE, ofd_id=UUID)).outcome is U
        assert transport.send(replace(SALE, ofd_id=f"{UUID}/2")).outcome is P
    assert posts(cloud) == [get_uuid(KEY, 2)]


def test_an_expired_token_is_no_failure_of_the_document(cloud):
    with shop(cloud) as transport:
        document = after(transport.send(SALE))
        cloud.cloud(expire=True)
        assert transport.lookup(document).outcome is A
        cloud.cloud(expire=True)
        assert transport.send(make(key="other")).outcome is P
    assert [record["status"] for record in cloud.history() if record["method"] == "TOKEN"] == [200] * 3
    assert fiscalised(cloud) == [("sell", 127485)] * 2


def test_one_token_serves_the_process(cloud):
    for _ in range(3):
        with shop(cloud) as transport:
            transport.lookup(after(transport.send(SALE)))
    assert len([record for record in cloud.history() if record["method"] == "TOKEN"]) == 1


def test_a_wrong_password_is_misconfigured(cloud):
    with shop(cloud, token="wrong") as transport:
        for answer in (transport.send(SALE), transport.lookup(replace(SALE, ofd_id=UUID)), transport.check()):
            assert (answer.outcome, answer.message) == (M, "12: Неверный логин или пароль")
    assert posts(cloud) == []


def test_a_group_of_others_is_misconfigured(cloud):
    cloud.cloud(groups=["other"])
    with shop(cloud) as transport:
        for answer in (transport.send(SALE), transport.lookup(replace(SALE, ofd_id=UUID)), transport.check()):
            assert answer.outcome is M and answer.message.startswith("20: ")


def test_it_answers_a_test(cloud):
    with shop(cloud) as transport:
        assert transport.check().outcome is ABSENT
    assert posts(cloud) == []


def test_its_history_survives_its_restart(cloud):
    with shop(cloud) as transport:
        document = after(transport.send(SALE))
        before = transport.lookup(document)
        cloud.kill()
        assert transport.lookup(document).outcome in (UNAVAILABLE, U)
        cloud.start()
        assert transport.lookup(document).fiscal_data == before.fiscal_data, "under another token"
        assert transport.send(SALE).outcome is A


# What no service says.


def queued(**changed):
    return json.dumps({"uuid": UUID, "status": "wait", "error": None, "timestamp": "01.01.2026 10:00:00"} | changed).encode()


def error(code, kind="system", **more):
    return json.dumps({"error": {"error_id": "e", "code": code, "text": "Слова", "type": kind}, "status": None, **more}).encode()


TOKEN_GIVEN = says(200, b'{"token": "t0k", "error": null}')


@pytest.mark.parametrize(
    "act, outcome",
    [
        pytest.param(says(200, queued()), P, id="queued"),
        pytest.param(says(200, queued(uuid=None)), U, id="queued, without a uuid"),
        pytest.param(says(200, queued(uuid="../x")), U, id="queued, with something else"),
        pytest.param(says(200, HTML), U, id="captive portal"),
        pytest.param(says(200, b"{}"), U, id="nothing"),
        pytest.param(says(400, error(33)), U, id="known, without a uuid"),
        *(pytest.param(says(400, error(code)), R, id=f"400, error {code}") for code in (13, 31, 32, 40)),
        *(pytest.param(says(200, error(code)), R, id=f"200, error {code}") for code in (13, 31, 32, 40)),
        *(pytest.param(says(400, error(code)), U, id=f"400, error {code}") for code in (0, 1, 50)),
        pytest.param(says(500, error(50)), U, id="500, error 50"),
        pytest.param(says(500, error(32)), U, id="500, error 32"),
        *(
            pytest.param(says(status, error(code)), M, id=f"{status}, error {code}")
            for status, code in ((401, 10), (401, 11), (401, 20), (401, 21), (403, 14), (415, 41), (400, 12))
        ),  # fmt: skip
        pytest.param(says(400, error(777)), M, id="400, error nobody knows"),
        pytest.param(says(500, error(777)), U, id="500, error nobody knows"),
        *(pytest.param(says(status, HTML), M, id=f"{status} page") for status in (400, 401, 403, 404, 409, 413, 422)),
        *(pytest.param(says(status, ERROR), M, id=f"{status} by others") for status in (301, 400, 403, 404, 405, 422)),
        *(pytest.param(says(status, ERROR), U, id=str(status)) for status in (408, 500, 502, 503)),
        pytest.param(says(429, error(32)), T, id="429"),
        pytest.param(says(503, ERROR, Retry_After=5), T, id="503 with Retry-After"),
        pytest.param(closes, U, id="closes"),
        pytest.param(resets, U, id="resets"),
    ],
)
def test_an_answer_to_a_document(act, outcome):
    with meeting(TOKEN_GIVEN, act, protocol="atol_online") as (transport, _):
        assert transport.send(SALE).outcome is outcome


DONE = {
    "fiscal_receipt_number": 6, "shift_number": 23, "receipt_datetime": "12.04.2026 20:16:00", "total": 1274.85,
    "fn_number": DRIVE, "ecr_registration_number": "0000111118041361", "fiscal_document_number": 133,
    "fiscal_document_attribute": 3449555941, "fns_site": "www.nalog.gov.ru",
}  # fmt: skip


def report(status="done", **changed):
    facts = {"uuid": UUID, "status": status, "error": None, "payload": DONE | changed.pop("payload", {})}
    return says(200, json.dumps(facts | changed).encode())


@pytest.mark.parametrize(
    "act, outcome, numbered",
    [
        pytest.param(report(), A, True, id="done"),
        pytest.param(report(payload={"fiscal_document_number": "133", "total": "1274.85"}), A, True, id="done, in strings"),
        *(
            pytest.param(report(payload={name: None}), A, False, id=f"no {name}")
            for name in DONE
            if name not in ("fns_site", "ecr_registration_number")
        ),  # fmt: skip
        pytest.param(report(payload={"fn_number": "87"}), A, False, id="half a drive"),
        pytest.param(report(payload={"fiscal_document_number": 2**40}), A, False, id="huge number"),
        pytest.param(report(payload={"total": "NaN"}), A, False, id="no total"),
        pytest.param(report("wait", payload={}), P, False, id="wait"),
        pytest.param(says(200, error(34, status="wait")), P, False, id="not known yet"),
        pytest.param(says(400, error(34)), P, False, id="not known yet, 400"),
        pytest.param(says(400, error(30)), U, False, id="no such uuid"),
        pytest.param(says(400, error(32)), M, False, id="no word on the document"),
        pytest.param(report("fail"), U, False, id="fail, without an error"),
        pytest.param(says(500, error(1, "timeout", status="fail")), U, False, id="fail, with 500"),
        pytest.param(report("new"), U, False, id="unheard of"),
        pytest.param(report(uuid=UUID[::-1]), U, False, id="another document"),
        pytest.param(report(external_id="other"), U, False, id="another external_id"),
        pytest.param(report(external_id=get_uuid(KEY, 0)), A, True, id="our external_id"),
        pytest.param(says(200, HTML), U, False, id="page"),
        pytest.param(says(404, HTML), M, False, id="404 page"),
        pytest.param(says(500, ERROR), U, False, id="500"),
        pytest.param(says(401, error(20)), M, False, id="401"),
        pytest.param(closes, U, False, id="closes"),
    ],
)
def test_an_answer_to_a_question(act, outcome, numbered):
    with meeting(TOKEN_GIVEN, act, TOKEN_GIVEN, act, protocol="atol_online") as (transport, peer):
        answer = transport.lookup(replace(SALE, ofd_id=UUID))
    assert (answer.outcome, answer.fiscal_data is not None, answer.resend) == (outcome, numbered, False)
    assert peer.requests[1][0] == f"GET /shop%201/report/{UUID} HTTP/1.1"


@pytest.mark.parametrize(
    "act, outcome",
    [
        pytest.param(says(200, b"{}"), UNAVAILABLE, id="no token"),
        pytest.param(says(200, b'{"token": "a\\nb"}'), UNAVAILABLE, id="no token, but two lines"),
        pytest.param(says(200, HTML), UNAVAILABLE, id="page"),
        pytest.param(says(401, error(12)), M, id="wrong password"),
        pytest.param(says(400, error(13)), M, id="nothing typed in"),
        pytest.param(says(404, HTML), M, id="wrong address"),
        pytest.param(says(429), T, id="throttled"),
        pytest.param(says(500, error(50)), UNAVAILABLE, id="500"),
        pytest.param(closes, UNAVAILABLE, id="closes"),
    ],
)
def test_without_a_token_nothing_is_sent(act, outcome):
    with meeting(act, protocol="atol_online") as (transport, peer):
        assert transport.send(SALE).outcome is outcome
        assert {line for line, _, _ in peer.requests} == {"POST /getToken HTTP/1.1"}


def test_a_token_that_is_never_taken_is_asked_for_once_more():
    with meeting(
        TOKEN_GIVEN, says(200, queued()), says(401, error(11)), TOKEN_GIVEN, says(401, error(11)), protocol="atol_online"
    ) as (
        transport,
        peer,
    ):
        assert transport.send(SALE).outcome is P
        assert transport.send(SALE).outcome is M
    assert [line.split()[1] for line, _, _ in peer.requests] == ["/getToken", "/shop%201/sell"] * 1 + [
        "/shop%201/sell", "/getToken", "/shop%201/sell"]  # fmt: skip


def test_no_secret_in_any_words(caplog):
    caplog.set_level(logging.DEBUG)
    told = json.dumps({"error": {"code": 50, "text": f"for {TOKEN} and t0k"}}).encode()
    with meeting(TOKEN_GIVEN, says(500, told), protocol="atol_online") as (transport, _):
        said = repr([transport.send(SALE), transport.lookup(replace(SALE, ofd_id=UUID)), transport.check(), transport])
    assert TOKEN not in said + caplog.text and "t0k" not in said + caplog.text and "***" in said


def test_a_missing_group_is_misconfigured():
    with meeting(closes, protocol="atol_online") as (transport, peer):
        wrong = type(transport)(Endpoint(peer.url, {"login": "a", "password": "b"}))
        assert (wrong.send(SALE).outcome, wrong.check().message, peer.requests) == (M, "The group code is missing.", [])
