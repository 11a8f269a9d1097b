"""What a whole answer means: one outcome per status of the table, and what is read out of it. Then: anything at all."""

import gzip
import json
import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from harness.processes import free_port
from hypothesis import given, settings
from hypothesis import strategies as st
from opterp_kkt.transports import Answer, Outcome
from unit.transport_peer import (
    ACK,
    ACKNOWLEDGEMENT,
    CHUNKED,
    DOCUMENT,
    ERROR,
    HTML,
    KEY,
    TOKEN,
    UNTIL_CLOSED,
    A,
    M,
    R,
    T,
    U,
    closes,
    look_up,
    meeting,
    resets,
    response,
    says,
    send_to,
    sends,
    transport_to,
)


def seconds_from(when):
    """An HTTP date."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=when), usegmt=True)


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
        *(pytest.param(says(status, ERROR), M, id=str(status)) for status in (401, 403, 404, 402, 405, 410, 415, 451)),
        *(pytest.param(says(status, ACK, Location="/"), M, id=str(status)) for status in (301, 302, 304, 307, 308)),
        *(pytest.param(says(status, ERROR), U, id=str(status)) for status in (408, 425, 500, 502, 503, 504, 599, 999)),
        pytest.param(says(500, ACK), U, id="500 that acknowledges"),
        pytest.param(says(500, ERROR, Retry_After=5), U, id="500 with Retry-After"),
        pytest.param(says(503, ERROR, Retry_After="soon"), U, id="503 with an unreadable Retry-After"),
        pytest.param(says(503, ERROR, Retry_After=5), T, id="503 with Retry-After"),
        pytest.param(says(503, ERROR, Retry_After=0), T, id="503 with Retry-After 0"),
        pytest.param(says(429, ERROR), T, id="429"),
        pytest.param(sends(b"SSH-2.0-OpenSSH_9.6\r\n"), U, id="not HTTP"),
        pytest.param(sends(b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n" + ACK), U, id="too many headers"),
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


# Anything at all.

words = st.sampled_from(["status", "accepted", "idempotency_key", KEY, "error", "code", "message", "server_time", "ofd_id"])
scalars = words | st.text() | st.integers() | st.floats() | st.booleans() | st.none()
objects = st.recursive(scalars, lambda some: st.lists(some) | st.dictionaries(words | st.text(), some), max_leaves=12)


acknowledging = st.fixed_dictionaries({name: st.just(value) | objects for name, value in ACKNOWLEDGEMENT.items()})
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
DATES = [f"Wed, 21 Oct {rest}".encode() for rest in ("2026 07:28:00 GMT", "99999 07:28:00 GMT", "2026 99:99:99 +9999")]
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
    lambda status, fields: b"HTTP/1.1 %d X\r\n" % status + b"".join(b"%s: %s\r\n" % (n.encode(), v) for n, v in fields) + b"\r\n",
    st.sampled_from([200, 201, 404, 422, 429, 503]) | st.integers(100, 999),
    st.lists(st.tuples(names, values), max_size=4),
)


@pytest.fixture(scope="module")
def anything():
    with meeting(closes) as (transport, peer):
        yield transport, peer


@given(head=heads | st.binary(max_size=80), body=bodies)
@settings(max_examples=300)
def test_anything_at_all_gives_an_answer(anything, head, body):
    transport, peer = anything
    peer.acts = [sends(head + body)]
    for answer in (transport.send(DOCUMENT), transport.lookup(DOCUMENT), transport.check()):
        assert isinstance(answer, Answer) and isinstance(answer.outcome, Outcome)
        assert answer.message.isprintable() and len(answer.message) <= 2100
        assert answer.server_time is None or type(answer.server_time) is int and 0 < answer.server_time < 2**48
        assert (answer.retry_after is None) == (answer.outcome is not T)
        assert answer.retry_after is None or 1 <= answer.retry_after <= 900
        assert answer.conflict <= (answer.http_status == 409)
        if answer.outcome is A:
            assert re.match(rb"HTTP/1.\d 2", head)
            said = json.loads(body)
            assert (said["status"], said["idempotency_key"]) == ("accepted", KEY)
