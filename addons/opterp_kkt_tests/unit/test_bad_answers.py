"""Whatever an OFD's server says, over a real connection: one outcome of the table, in bounded time and memory, and the
next document's own answer afterwards. `SLOW=1` tries twenty times as many answers.
"""

import json
import os
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opterp_kkt.transports import MESSAGE_LENGTH, Answer, Document, Outcome
from opterp_kkt.transports.wire import BODY_LIMIT
from unit.transport_peer import ACK, ACKNOWLEDGEMENT, DEADLINES, DOCUMENT, KEY, TOKEN, meeting, says, sends

EXAMPLES = 3000 if os.environ.get("SLOW") else 150
SECOND = Document("the-next-one", "{}", epoch=7)
SECOND_ACK = json.dumps(ACKNOWLEDGEMENT | {"idempotency_key": SECOND.idempotency_key}).encode()
MEGABYTE = 1 << 20

A, R, M, T, U = Outcome.ACCEPTED, Outcome.REFUSED, Outcome.MISCONFIGURED, Outcome.THROTTLED, Outcome.UNKNOWN
P, ABSENT = Outcome.PROCESSING, Outcome.ABSENT


# What an OFD may say.

nasty = st.sampled_from([
    None, True, -1, 0, 2**31, 2**63, 10**4000, -0.0, 1e308, float("nan"), float("-inf"), "", KEY, TOKEN, "nul \x00",
    "half a pair \ud800", "\u202eback\u2028wards", "<script>alert(1)</script>", "%s %(x)s {0}", "x" * 60_000,
])  # fmt: skip
words = st.sampled_from(["status", "accepted", "idempotency_key", "error", "code", "message", "server_time", "ofd_id"])
scalars = nasty | words | st.text() | st.integers() | st.floats()
values = st.recursive(scalars, lambda some: st.lists(some) | st.dictionaries(words | st.text(), some), max_leaves=9)
acknowledging = st.fixed_dictionaries(
    {"status": st.sampled_from(["accepted", "queued", "processing"]), "idempotency_key": st.just(KEY)},
    optional={"server_time": values, "ofd_id": values},
)
refusing = st.fixed_dictionaries({"error": st.dictionaries(st.sampled_from(["code", "message"]), values)})
nested = st.builds(
    lambda part, depth: part * depth, st.sampled_from(["[", '{"a":', '{"error":', '["', "<"]), st.integers(1, 9000)
)
texts = (values | acknowledging | refusing).map(json.dumps)
bodies = st.binary() | texts.map(str.encode) | nested.map(str.encode) | texts.map(lambda text: text.encode("utf-16"))
statuses = st.sampled_from([200, 201, 204, 301, 400, 401, 404, 409, 413, 422, 429, 500, 503]) | st.integers(200, 999)
latin = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60)
headers = st.dictionaries(
    st.sampled_from(["Content_Type", "Retry_After", "Date", "Location", "Server", "Set_Cookie", "Warning"]),
    latin
    | st.sampled_from(
        [
            "application/json",
            "text/html; charset=utf-16",
            "5",
            "-1",
            "1e9",
            "9" * 400,
            "nan",
            "٣",
            "Wed, 21 Oct 2026 07:28:00 GMT",
            "Wed, 21 Oct 99999 07:28:00 GMT",
            "Fri, 31 Dec 0001 23:59:59 -2359",
        ]
    ),
)


def assert_proper(answer):
    """What the delivery relies on: it stores all of it, and shows the words to people."""
    assert isinstance(answer, Answer) and isinstance(answer.outcome, Outcome)
    assert answer.message.isprintable() and len(answer.message) <= MESSAGE_LENGTH and TOKEN not in answer.message
    assert answer.http_status is None or 100 <= answer.http_status <= 999
    assert answer.server_time is None or type(answer.server_time) is int and 0 < answer.server_time < 2**48
    assert answer.ofd_id.isprintable() and len(answer.ofd_id) <= 200
    assert answer.outcome is P or (answer.retry_after is None) == (answer.outcome is not T)
    assert answer.retry_after is None or 1 <= answer.retry_after <= 900
    assert answer.conflict <= (answer.outcome is R and answer.http_status == 409)


def acknowledged(body):
    """The status that this says of KEY, None without: read on its own, not by the transport's code. No longer than it may be."""
    with suppress(ValueError, RecursionError):
        said = json.loads(body)
        if isinstance(said, dict) and said.get("idempotency_key") == KEY and len(body) <= BODY_LIMIT:
            return said.get("status")
    return None


def is_object(body):
    """Whether this is a JSON object with something in it."""
    with suppress(ValueError, RecursionError):
        said = json.loads(body)
        return isinstance(said, dict) and bool(said) and len(body) <= BODY_LIMIT
    return False


def error_code(body):
    """The code of the contract's error object, "" without one."""
    with suppress(ValueError, RecursionError, TypeError, KeyError):
        code = json.loads(body)["error"]["code"]
        return code if isinstance(code, str) and len(body) <= BODY_LIMIT else ""
    return ""


def possible(status, fields, body):
    """The outcomes that the design's table allows for an answer that came whole."""
    if 200 <= status < 300:
        verdict = status != 204 and acknowledged(body)
        return {A} if verdict == "accepted" else {P} if verdict in ("queued", "processing") else {U}
    if status in (400, 409, 413, 422) and (code := error_code(body)):
        return {P} if status == 409 and code == "in_progress" else {R}
    if status == 429:
        return {T}
    if status == 503 and "Retry_After" in fields:
        return {T, U}  # whether it can be read
    return {U} if status >= 500 or status in (408, 425) else {M}


@pytest.fixture(scope="module")
def line():
    with meeting(says(500)) as (transport, peer):
        yield transport, peer


@given(status=statuses, fields=headers, body=bodies)
@example(409, {}, b"\xff" * 70_000)
@example(200, {"Content_Type": "text/html"}, ACK)
@example(200, {}, ACK + b" " * BODY_LIMIT)
@settings(max_examples=EXAMPLES)
def test_a_whole_answer_is_read_by_the_table(line, status, fields, body):
    transport, peer = line
    answer_with = says(status, body, **{name: value.encode().decode("latin-1") for name, value in fields.items()})
    peer.acts = [answer_with] * 3 + [says(200, SECOND_ACK)]
    expected = possible(status, fields, b"" if status in (204, 304) else body)
    sent, found, checked = transport.send(DOCUMENT), transport.lookup(DOCUMENT), transport.check()
    for answer in (sent, found, checked):
        assert_proper(answer)
    assert sent.outcome in expected
    missing = {ABSENT} if is_object(body) else {M}  # a proxy's page says nothing
    assert found.outcome in (missing if status == 404 else {M} if expected == {R} else expected)
    assert checked.outcome in {ABSENT, M} | ({U, P} if expected & {A, P} else expected - {R})  # what is said of another key
    assert transport.send(SECOND).outcome is A, "the next document has its own answer"


framed = st.sampled_from([
    b"Content-Length: %d", b"Content-Length: 00%d", b"Content-Length: +%d", b"Content-Length: -%d", b"Content-Length: %d9999999",
    b"Content-Length: 0x%d", b"Content-Length: %d\r\nContent-Length: 7", b"Content-Length:", b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked\r\nContent-Length: %d", b"Content-Encoding: gzip\r\nContent-Length: %d", b"X: %d", b": %d",
    b"\x00\xff: %d", b"Content-Length: %d\r\n folded",
])  # fmt: skip
starts = st.sampled_from([
    b"HTTP/1.1 200 OK", b"HTTP/1.0 200", b"HTTP/1.1 422 \xff\x00", b"HTTP/1.1 409 X", b"HTTP/1.1 100 Continue",
    b"HTTP/9.9 200 OK", b"HTTP/1.1 99999 X", b"HTTP/1.1 -1 X", b"HTTP/1.1 2OO OK", b"ICY 200 OK", b"", b"\x16\x03\x01\x02",
    b"HTTP/1.1 101 Switching",
])  # fmt: skip
chunked = st.builds(
    lambda size, body: size + b"\r\n" + body + b"\r\n0\r\n\r\n",
    st.sampled_from([b"5", b"-5", b"+5", b"0x5", b"FFFFFFFFFFFFFFFF", b"5;" + b"x" * 70_000, b"", b"\x00", b"g"]),
    bodies,
)


@given(start=starts, frame=framed, body=bodies | chunked, keep=st.floats(0, 1), parts=st.integers(1, 3))
@settings(max_examples=EXAMPLES)
def test_a_broken_answer_is_never_a_verdict_that_was_not_given(line, start, frame, body, keep, parts):
    transport, peer = line
    frame = frame.replace(b"%d", b"%d" % len(body))
    data = start + b"\r\n" + frame + b"\r\n\r\n" + body
    data = data[: max(1, round(len(data) * keep))]  # cut anywhere
    step = len(data) // parts + 1
    peer.acts = [sends(*(data[at : at + step] for at in range(0, len(data), step)))] * 2 + [says(200, SECOND_ACK)]
    for request in (lambda: transport.send(DOCUMENT), lambda: transport.lookup(DOCUMENT)):
        answer = request()
        peer.wait_until_closed()  # or the next request may go into a connection that is just ending
        assert_proper(answer)
        assert answer.outcome is not A or b" 200" in start and (acknowledged(body) or KEY.encode() in body)
        assert answer.outcome is not R or start.startswith((b"HTTP/1.1 422", b"HTTP/1.1 409"))
    assert transport.send(SECOND).outcome is A, "the next document has its own answer"


@given(
    status=statuses,
    more=st.sampled_from([b"\r\n", b"x", ACK])
    | st.builds(
        lambda status, body: b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body, statuses, bodies
    ),
)
@settings(max_examples=EXAMPLES)
def test_what_is_said_unasked_is_no_answer_to_the_next_document(line, status, more):
    transport, peer = line

    def says_more(connection):
        whole = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(ACK)) + ACK
        connection.sendall(whole + more)

    peer.acts = [says_more, says(200, SECOND_ACK)]
    assert_proper(transport.send(DOCUMENT))
    assert transport.send(SECOND).outcome is A


# What never ends.


def repeats(part, head=b"HTTP/1.1 200 OK\r\n"):
    """This head, then this part for ever, as fast as it is read."""

    def act(connection):
        connection.sendall(head)
        while True:
            connection.sendall(part)

    return act


def big(length, status=200):
    """A body of this length, which is sent whole when somebody reads it."""

    def act(connection):
        connection.sendall(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, length))
        for _ in range(length // MEGABYTE):
            connection.sendall(b" " * MEGABYTE)

    return act


@pytest.mark.parametrize("act, megabytes", [
    pytest.param(big(12 * MEGABYTE), 1, id="12 MB"),
    pytest.param(big(12 * MEGABYTE, 422), 1, id="12 MB of a refusal"),
    pytest.param(big(10**15), 1, id="a petabyte"),
    pytest.param(repeats(b" " * 65536, b"HTTP/1.1 200 OK\r\n\r\n"), 1, id="a body without an end"),
    pytest.param(repeats(b"10000\r\n" + b" " * 65536 + b"\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), 1,
                 id="chunks without an end"),
    pytest.param(repeats(b"x" * 65536, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;"), 1, id="a chunk's line"),
    pytest.param(repeats(b"X: %s\r\n" % (b"y" * 1000), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"), 1,
                 id="trailers without an end"),
    pytest.param(repeats(b"X: %s\r\n" % (b"y" * 60_000)), 30, id="headers without an end"),
    pytest.param(repeats(b"y" * 65536, b"HTTP/1.1 200 "), 1, id="a status line"),
    pytest.param(repeats(b"HTTP/1.1 100 Continue\r\n\r\n", b""), 1, id="continue, continue"),
    pytest.param(repeats(b"HTTP/1.1 103 Early Hints\r\n%s\r\n" % (b"Link: </a>\r\n" * 50), b""), 1, id="hints"),
])  # fmt: skip
def test_an_answer_without_an_end_costs_little(act, megabytes):
    for seconds in DEADLINES:
        with meeting(act, timeout=seconds) as (transport, peer):
            tracemalloc.start()
            try:
                answers = [transport.send(DOCUMENT), transport.lookup(DOCUMENT)]  # both come: the peer goes on until we leave
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        if len(peer.requests) == 2:
            break
    for answer in answers:
        assert_proper(answer)
        assert answer.outcome in (U, R, M) and (answer.outcome is U or answer.http_status == 422)
    assert peak < (megabytes + 2) * MEGABYTE, f"{peak / MEGABYTE:.1f} MB"
