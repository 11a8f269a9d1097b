"""A register on the counter through the ATOL driver's web server: its tasks byte for byte, every state, and one receipt per key.

The other side is the emulated register as a process, and a peer on raw sockets for what no register says.
"""

import json
import time
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

import pytest
from harness.processes import free_port
from opterp_kkt.core.ffd import to_text
from opterp_kkt.core.hlc import Timestamp
from opterp_kkt.transports import PROTOCOLS, Contents, Document, Endpoint, EnvelopeError, Outcome, translate
from opterp_kkt.transports.atol_task import to_roubles
from opterp_kkt.transports.atol_web import get_uuid
from unit.test_drivers import BODY
from unit.transport_peer import (
    DEADLINES,
    DRIPS,
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
    hangs,
    meeting,
    outlasting,
    resets,
    says,
    sends,
    transport_to,
)

P, ABSENT, UNABLE = Outcome.PROCESSING, Outcome.ABSENT, Outcome.UNABLE
DRIVE = "8710000100000001"
TASK = (
    '{"type":"sell","operator":{"name":"Иванова А. А."},"taxationType":"osn","items":[{"type":"position",'
    '"name":"Оправа «Нева»","price":849.9,"quantity":1.5,"amount":1274.85,"measurementUnit":"piece",'
    '"paymentMethod":"fullPayment","paymentObject":"commodity","tax":{"type":"vat22","sum":229.89}}],'
    '"payments":[{"type":"cash","sum":1274.85}],"total":1274.85}'
)


def contents_of(document=BODY, document_type="receipt", key=KEY):
    return Contents(key, document_type, DRIVE, "0000000000000001", None, Timestamp(1764000000123, 7, "0123456789ab"), document)


def make(document=BODY, document_type="receipt", key=KEY):
    return Document(key, PROTOCOLS["atol_web"].encode(contents_of(document, document_type, key)), epoch=7)


SALE = make()
QUEUED = b'{"isBlocked": false}'


@pytest.fixture
def register(emulator):
    emulator.reset()
    return emulator


@contextmanager
def counter(register, token=TOKEN):
    with transport_to(register.url, token=token, protocol="atol_web") as transport:
        yield transport


# What a document becomes.


def test_a_task_byte_for_byte():
    assert json.loads(SALE.payload)["task"] == TASK
    with meeting(says(201, QUEUED), protocol="atol_web") as (transport, peer):
        assert transport.send(SALE).outcome is P
    line, headers, body = peer.requests[0]
    assert line == "POST /api/v2/requests HTTP/1.1"
    assert headers["authorization"] == f"Basic {b64encode(f'kkt:{TOKEN}'.encode()).decode()}"
    assert body.decode() == f'{{"uuid":"{get_uuid(KEY, 0)}","request":[{TASK}]}}'


def test_uuids_follow_from_the_key_alone():
    """By this rule for ever: what was sent once is found by it."""
    assert get_uuid("db.key", 0) == "b3c13e39-9bba-5fb6-b31b-a9891418dfa3"
    assert get_uuid("db.key", 1) == "4979ed40-04b7-5829-bd3d-8f8f1bfcdfdb"
    assert len({get_uuid(key, number) for key in ("a", "b") for number in range(9)}) == 18


@pytest.mark.parametrize("kopecks", [1, 10, 99, 100, 84990, 127485, 10**7 + 1, 99_999_999_99, 2**48 - 1])
def test_kopecks_are_exact(kopecks):
    text = to_text(to_roubles(kopecks))
    whole, _, rest = text.partition(".")
    assert int(whole) * 100 + int(rest.ljust(2, "0") or 0) == kopecks and len(rest) <= 2 and "e" not in text


def test_each_kind_of_document():
    kinds = {
        ("receipt", 2): "sellReturn",
        ("receipt", 3): "buy",
        ("correction", 1): "sellCorrection",
        ("correction", 2): "sellReturnCorrection",
    }
    correction = {"correctionType": 0, "correctionBase": {"correctionDocumentDate": 1795480200}}
    for (document_type, operation), name in kinds.items():
        task = json.loads(json.loads(make({**BODY, **correction, "operationType": operation}, document_type).payload)["task"])
        assert task["type"] == name
        assert (task.get("correctionType"), task.get("correctionBaseDate")) == (
            ("self", "2026.11.24") if document_type == "correction" else (None, None)
        )
    for document_type, name in (("shift_open", "openShift"), ("shift_close", "closeShift")):
        report = make({"code": 2, "operator": "Иванова А. А."}, document_type)
        assert json.loads(report.payload)["task"] == f'{{"type":"{name}","operator":{{"name":"Иванова А. А."}}}}'


def test_what_the_driver_has_no_name_for_is_said():
    unknown = {**BODY, "items": [{**BODY["items"][0], "productType": 99}]}
    with pytest.raises(EnvelopeError, match="99"):
        translate(PROTOCOLS["http"].encode(contents_of(unknown)), "http", "atol_web")


# What the register does.


def test_it_is_fiscalised_and_told(register):
    with counter(register) as transport:
        assert transport.lookup(SALE).outcome is ABSENT
        assert transport.send(SALE).outcome is P
        answer = transport.lookup(SALE)
    assert (answer.outcome, answer.total) == (A, 127485)
    data = answer.fiscal_data
    assert data[:4] == (DRIVE, 2, 1, 1), "after the report on the shift that it has opened by itself"
    assert data.qr.endswith(f"&s=1274.85&fn={DRIVE}&i=2&fp={data.fiscal_sign}&n=1")
    assert answer.server_time > 1_700_000_000_000


def test_a_report_has_no_qr_code(register):
    with counter(register) as transport:
        report = make({"code": 2, "operator": "Иванова А. А."}, "shift_open")
        assert transport.send(report).outcome is P
        assert transport.lookup(report).fiscal_data._replace(fiscal_sign=None) == (DRIVE, 1, 1, None, None, None)


@pytest.mark.parametrize("mode", ["drop", "slow", "drip"])
def test_a_lost_answer_leads_to_no_second_receipt(register, mode):
    register.mode(mode, count=1, **({} if mode == "drop" else {"seconds": 30}))
    for seconds in DEADLINES:
        with transport_to(register.url, seconds, protocol="atol_web") as transport:
            lost = transport.send(SALE)
        if lost.outcome is not Outcome.UNAVAILABLE:  # or it was not sent
            break
    assert lost.outcome is U
    with counter(register) as transport:
        again = transport.send(SALE) if mode != "slow" else transport.lookup(SALE)
        assert again.outcome is (A if mode != "slow" else ABSENT)
    assert fiscalised(register) == ([("sell", 127485)] if mode != "slow" else [])


def test_a_busy_register_is_asked_again(register):
    register.device(busy_for=3600)
    with counter(register) as transport:
        assert [transport.send(SALE).outcome, transport.lookup(SALE).outcome, transport.send(SALE).outcome] == [P, P, P]
        register.device(busy_for=0)
        assert transport.lookup(SALE).outcome is A
    assert len(fiscalised(register)) == 1


@pytest.mark.parametrize(
    "trouble, mended",
    [
        ({"paper": False}, {"paper": True}),
        ({"cover_open": True}, {"cover_open": False}),
        ({"drive_full": True}, {"drive_full": False}),
    ],
)
def test_trouble_with_the_device_passes(register, trouble, mended):
    with counter(register) as transport:
        register.device(**trouble)
        for _number in range(7):
            assert transport.send(SALE).outcome is P
            assert transport.lookup(SALE).outcome is UNABLE
        assert fiscalised(register) == []
        register.device(**mended)
        assert transport.lookup(SALE).outcome is UNABLE, "the last try is over"
        assert transport.send(SALE).outcome is P
        assert transport.lookup(SALE).outcome is A
        assert transport.send(SALE).outcome is A, "what was fiscalised is never sent again"
    assert fiscalised(register) == [("sell", 127485)]
    uuids = [record["key"] for record in register.history() if record["outcome"] == "queued" or record["accepted"]]
    assert uuids == [get_uuid(KEY, number) for number in range(8)]


def test_a_shift_of_more_than_a_day_is_closed_before(register):
    with counter(register) as transport:
        transport.send(make(key="before"))
        register.device(shift_expired=True)
        assert transport.send(SALE).outcome is P
        assert transport.lookup(SALE).outcome is UNABLE
        assert transport.send(SALE).outcome is P
        answer = transport.lookup(SALE)
    assert (answer.outcome, answer.fiscal_data.shift_number, answer.fiscal_data.receipt_number) == (A, 2, 1)


def test_an_invalid_document_is_refused_and_its_retry_is_another_task(register):
    wrong = make({**BODY, "totalSum": 127400})
    with counter(register) as transport:
        assert transport.send(wrong).outcome is P
        answer = transport.lookup(wrong)
        assert (answer.outcome, answer.message) == (R, "227: Некорректный итог чека")
        assert transport.send(wrong).outcome is P
        assert transport.lookup(wrong).outcome is R
    assert fiscalised(register) == []


@pytest.mark.parametrize("code, outcome", [(44, UNABLE), (2, UNABLE), (66, R), (177, U), (241, U), (9999, U), (None, A)])
def test_what_an_error_means(register, code, outcome):
    register.device(error_code=code)
    with counter(register) as transport:
        transport.send(SALE)
        assert transport.lookup(SALE).outcome is outcome


def test_what_may_be_fiscalised_is_only_asked_for(register):
    register.device(blocked=True)
    with counter(register) as transport:
        transport.send(SALE)
        assert [transport.lookup(SALE).outcome, transport.send(SALE).outcome, transport.lookup(SALE).outcome] == [U, U, U]
        register.device(blocked=False)
        assert transport.lookup(SALE).outcome is A
    assert len(fiscalised(register)) == 1


def test_fiscalised_but_not_printed_is_accepted(register):
    register.device(not_printed=True)
    with counter(register) as transport:
        transport.send(SALE)
        assert transport.lookup(SALE).outcome is A


def test_what_another_document_became_is_told_as_it_is(register):
    register.device(stated={"total": 1.0, "fnNumber": "8710000100000002"})
    with counter(register) as transport:
        transport.send(SALE)
        answer = transport.lookup(SALE)
    assert (answer.outcome, answer.total, answer.fiscal_data.fiscal_drive_number) == (A, 100, "8710000100000002")


def test_its_history_survives_its_restart(register):
    with counter(register) as transport:
        transport.send(SALE)
        before = transport.lookup(SALE)
        register.kill()
        assert transport.lookup(SALE).outcome in (Outcome.UNAVAILABLE, U)
        register.start()
        assert transport.lookup(SALE).fiscal_data == before.fiscal_data
        assert transport.send(SALE).outcome is A


def test_a_wrong_password_is_misconfigured(register):
    with counter(register, token="wrong") as transport:
        assert [transport.send(SALE).outcome, transport.lookup(SALE).outcome, transport.check().outcome] == [M, M, M]


def test_it_describes_itself(register):
    with counter(register) as transport:
        answer = transport.check()
    assert answer.outcome is ABSENT
    assert answer.device.fiscal_drive_number == DRIVE and answer.device.shift_state == "closed"
    assert answer.device.registration_number == "0000000001022407"
    assert answer.device.drive_valid_until == "2027-12-31" and answer.device.inn == "7700123459"
    assert fiscalised(register) == []


# What no register says.


@pytest.mark.parametrize(
    "act, outcome",
    [
        pytest.param(says(201, QUEUED), P, id="201"),
        pytest.param(says(201, json.dumps({"uuid": get_uuid(KEY, 1)}).encode()), U, id="201 for another uuid"),
        pytest.param(says(200, HTML), U, id="captive portal"),
        pytest.param(says(400, ERROR), R, id="400"),
        *(pytest.param(says(status, HTML), M, id=f"{status} page") for status in (400, 401, 403, 404, 409, 413, 422)),
        *(pytest.param(says(status, ERROR), M, id=str(status)) for status in (301, 401, 403, 404, 405)),
        *(pytest.param(says(status, ERROR), U, id=str(status)) for status in (408, 500, 502, 503)),
        pytest.param(says(429, ERROR), T, id="429"),
        pytest.param(says(503, ERROR, Retry_After=5), T, id="503 with Retry-After"),
        pytest.param(closes, U, id="closes"),
        pytest.param(resets, U, id="resets"),
        pytest.param(sends(b"SSH-2.0-OpenSSH_9.6\r\n"), U, id="not HTTP"),
    ],
)
def test_an_answer_to_a_task(act, outcome):
    with meeting(act, protocol="atol_web") as (transport, _):
        assert transport.send(SALE).outcome is outcome


READY = {
    "fiscalDocumentDateTime": "2026-11-24T00:30:00+03:00", "fiscalDocumentNumber": 9, "fiscalDocumentSign": "1494325660",
    "fiscalReceiptNumber": 1, "fnNumber": DRIVE, "shiftNumber": 12, "total": 1274.85,
}  # fmt: skip


def results(*states):
    return says(200, json.dumps({"results": list(states)}).encode())


def ready(**changed):
    return results({"status": "ready", "result": {"fiscalParams": READY | changed}})


@pytest.mark.parametrize(
    "act, outcome, numbered",
    [
        pytest.param(ready(), A, True, id="ready"),
        *(
            pytest.param(ready(**{name: None}), A, False, id=f"no {name}")
            for name in READY
            if name not in ("fiscalReceiptNumber", "total")
        ),
        pytest.param(ready(fnNumber="87"), A, False, id="half a drive"),
        pytest.param(ready(fiscalDocumentNumber=2**40), A, False, id="huge number"),
        pytest.param(ready(total="much"), A, False, id="no total"),
        pytest.param(results({"status": "ready", "result": None}), A, False, id="nothing"),
        pytest.param(results({"status": "wait"}), P, False, id="wait"),
        pytest.param(results({"status": "inProgress"}), P, False, id="in progress"),
        pytest.param(results({"status": "blocked"}), U, False, id="blocked"),
        pytest.param(results({"status": "interrupted"}), U, False, id="interrupted, nobody knows by what"),
        pytest.param(results({"status": "error", "errorCode": 44}, {"status": "interrupted"}), UNABLE, False, id="not begun"),
        pytest.param(results({"status": "error", "errorCode": 44}, {"status": "blocked"}), U, False, id="begun"),
        pytest.param(results({"status": "canceled"}), R, False, id="canceled"),
        pytest.param(results({"status": "new"}), U, False, id="unheard of"),
        pytest.param(results({"status": "error", "errorCode": "44"}), U, False, id="no code"),
        pytest.param(results({}), U, False, id="empty result"),
        pytest.param(results("ready"), U, False, id="no object"),
        pytest.param(says(200, b'{"results": []}'), U, False, id="no results"),
        pytest.param(says(200, HTML), U, False, id="page"),
        pytest.param(says(404, HTML), M, False, id="404 page"),
        pytest.param(says(404, b'{"error": {}}'), ABSENT, False, id="404"),
        pytest.param(says(500, ERROR), U, False, id="500"),
        pytest.param(says(401, ERROR), M, False, id="401"),
        pytest.param(closes, U, False, id="closes"),
    ],
)
def test_an_answer_to_a_question(act, outcome, numbered):
    absent = says(404, b'{"error": {}}')
    with meeting(act, absent, protocol="atol_web") as (transport, _):
        answer = transport.lookup(SALE)
    assert (answer.outcome, answer.fiscal_data is not None) == (outcome, numbered)


@pytest.mark.parametrize("act", DRIPS)
def test_all_questions_together_have_one_deadline(act):
    for name in ("send", "lookup"):
        for transport, peer in outlasting(act, protocol="atol_web"):
            answer, asked = getattr(transport, name)(SALE), peer.requests
        assert (answer.outcome, len(asked)) == (U, 1)


def test_many_tries_share_the_deadline():
    """Each answer takes more than half of it."""

    def late(act):
        return lambda connection: time.sleep(0.6 * seconds) or act(connection)

    known, over = late(says(409, ERROR)), late(results({"status": "error", "errorCode": 44}))
    for seconds in DEADLINES:
        with meeting(known, over, known, timeout=seconds, protocol="atol_web") as (transport, peer):
            answer = transport.send(SALE)
        if peer.requests:
            break
    assert answer.outcome is U and len(peer.requests) <= 2


def test_nobody_there():
    with transport_to(f"http://127.0.0.1:{free_port()}", protocol="atol_web") as transport:
        outcomes = [transport.send(SALE), transport.lookup(SALE), transport.check()]
        assert {answer.outcome for answer in outcomes} == {Outcome.UNAVAILABLE}


def test_no_password_in_any_words():
    with meeting(says(500, json.dumps({"error": {"code": 1, "description": f"for {TOKEN}"}}).encode()), protocol="atol_web") as (
        transport,
        peer,
    ):
        said = repr([transport.send(SALE), transport.lookup(SALE), transport.check(), transport])
    assert TOKEN not in said and "***" in said


def test_a_login_with_a_colon_is_misconfigured():
    with Peer(hangs) as peer, transport_to(peer.url, protocol="atol_web") as transport:
        wrong = type(transport)(Endpoint(peer.url, {"login": "a:b", "password": "c"}))
        assert (wrong.send(SALE).outcome, peer.requests) == (M, [])


def test_uuids_are_uuids():
    assert UUID(get_uuid(KEY, 3)).version == 5


# What is no document.

COMMANDS = [
    ("report_x", {"cashier": "Иванова А. А."}, {"type": "reportX", "operator": {"name": "Иванова А. А."}}),
    ("copy", {"fd_number": 2}, {"type": "printFnDocument", "fiscalDocumentNumber": 2}),
    ("cash_in", {"kopecks": 10050}, {"type": "cashIn", "cashSum": 100.5}),
    ("cash_out", {"kopecks": 10000}, {"type": "cashOut", "cashSum": 100}),
]
UUID_OF_OURS = "11111111-1111-4111-8111-111111111111"


def done_by(register):
    """What came of each task that is no document."""
    return [(record["document_type"], record["results"][-1]["status"]) for record in register.history() if record["results"]]


@pytest.mark.parametrize("name, facts, task", COMMANDS, ids=[name for name, *_others in COMMANDS])
def test_each_command_is_done_once(register, name, facts, task):
    with counter(register) as transport:
        assert transport.send(SALE).outcome is P  # FD 2 to copy
        answers = [transport.command(UUID_OF_OURS, name, **facts) for _time in range(2)]
    assert [answer.outcome for answer in answers] == [A, A]
    assert done_by(register)[1:] == [(task["type"], "ready")]
    assert len(fiscalised(register)) == 1
    with meeting(says(201, QUEUED), says(200, b'{"results": [{"status": "ready"}]}'), protocol="atol_web") as (transport, peer):
        assert transport.command(UUID_OF_OURS, name, **facts).outcome is A
    assert json.loads(peer.requests[0][2]) == {"uuid": UUID_OF_OURS, "request": [task]}


def test_what_a_command_ends_with(register):
    with counter(register) as transport:
        register.device(paper=False)
        assert transport.command(UUID_OF_OURS, "report_x").outcome is UNABLE
        register.device(paper=True, error_code=148)
        assert transport.command(str(UUID(int=2)), "cash_in", kopecks=100).outcome is R, "it ended, and was not done"
        register.device(error_code=None)
        assert transport.command(str(UUID(int=3)), "copy", fd_number=77).outcome is R
        register.device(busy_for=3600)
        with transport_to(register.url, 1, protocol="atol_web") as hasty:
            assert hasty.command(str(UUID(int=4)), "report_x").outcome is P
    for act, outcome in ((says(401, ERROR), M), (says(200, HTML), U), (closes, U), (says(429, ERROR), T)):
        with meeting(act, protocol="atol_web") as (transport, _peer):
            assert transport.command(UUID_OF_OURS, "report_x").outcome is outcome


def test_a_receipt_without_paper(register):
    quiet = replace(contents_of(), on_paper=False)
    payload = PROTOCOLS["atol_web"].encode(quiet)
    assert json.loads(json.loads(payload)["task"])["electronically"] is True
    assert PROTOCOLS["atol_web"].decode(payload) == quiet
    assert "electronically" not in SALE.payload and PROTOCOLS["atol_web"].decode(SALE.payload).on_paper
    with counter(register) as transport:
        transport.send(Document(KEY, payload, epoch=7))
        transport.send(make(key="k2"))
    assert [record["results"][-1]["result"]["isOnPaper"] for record in register.history() if record["results"]] == [False, True]
