"""One set of faults that every protocol meets in its own dialect: what may come between us and whoever answers, and that each
document is taken once, whatever comes. A new protocol gets all of it by its line in DIALECTS.

`deliver` asks and sends as `delivery/worker.py` does, by its own functions and tables.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import pytest
from harness.processes import free_port
from opterp_kkt.delivery.outcomes import EFFECTS, SETTLED
from opterp_kkt.transports import PROTOCOLS, Document, Outcome
from unit import (
    test_transport_atol,
    test_transport_atol_online,
    test_transport_connections,
    test_transport_ofd_tcp,
    test_transport_orangedata,
)
from unit.transport_peer import (
    DEADLINES,
    DRIPS,
    ERROR,
    HTML,
    TOKEN,
    TOKENS,
    A,
    M,
    R,
    T,
    U,
    black_hole,
    closes,
    meeting,
    outlasting,
    public_numbers,
    resets,
    response,
    says,
    sends,
    then,
    transport_to,
)

P, ABSENT, UNABLE, UNAVAILABLE = Outcome.PROCESSING, Outcome.ABSENT, Outcome.UNABLE, Outcome.UNAVAILABLE
UUID = test_transport_atol_online.UUID
MOST_TRIES = 30
POISON_TRIES = 3


class Dialect(NamedTuple):
    """How a protocol says what all of them say."""

    make: Callable[..., Document]  # by its key, and with another sum of money
    path: str = ""  # behind the emulator's address
    greeting: tuple = ()  # acts of a peer before its first answer to a document
    taken: bytes = b""  # the body of an answer that says that it has the document
    queued: int = 200  # its status
    lasting: bool = False  # what was taken is not accepted yet
    over_http: bool = True  # or whatever HTTP says is garbage
    asks: bool = True  # or there is no question but to send the same again
    mark: str = "100"  # what stands in a document of that sum


def make_http(key="db:1", other=False):
    return replace(test_transport_connections.document(1, totalSum=100 + other), idempotency_key=key, payload=(
        test_transport_connections.document(1, totalSum=100 + other).payload.replace('"db:1"', f'"{key}"')))  # fmt: skip


def make_task(module, body):
    item = body["items"][0]
    cheap = {**body, "items": [{**item, "price": 10000, "quantity": 1, "sum": 10000}], "totalSum": 10000, "cashTotalSum": 10000}
    return lambda key="db:1", other=False: module.make(cheap if other else body, key=key)


def make_message(key="db:1", other=False):
    """The OFD knows a document by its number."""
    body = {**test_transport_ofd_tcp.BODY, "operator": "Петрова"} if other else test_transport_ofd_tcp.BODY
    return test_transport_ofd_tcp.make(body, key, int(key.rpartition(":")[2]) + 1)


DIALECTS = {
    "http": Dialect(make_http, taken=b'{"status": "accepted", "idempotency_key": "db:1"}'),
    "atol_web": Dialect(make_task(test_transport_atol, test_transport_atol.BODY), taken=test_transport_atol.QUEUED, lasting=True),
    "atol_online": Dialect(
        make_task(test_transport_atol_online, test_transport_atol_online.SOLD),
        path="/possystem/v5",
        greeting=(test_transport_atol_online.TOKEN_GIVEN,),
        taken=test_transport_atol_online.queued(),
        lasting=True,
    ),
    "orangedata": Dialect(
        make_task(test_transport_orangedata, test_transport_orangedata.SOLD), path="/api/v2", taken=b"", lasting=True, queued=201
    ),
    "ofd_tcp": Dialect(make_message, over_http=False, asks=False, mark=test_transport_ofd_tcp.DRIVE),
}


def test_no_protocol_is_left_out():
    assert set(DIALECTS) == set(PROTOCOLS)


@pytest.fixture(params=DIALECTS)
def protocol(request):
    return request.param


@pytest.fixture
def receiver(emulator):
    emulator.reset()
    emulator.cloud(expire=True)
    emulator.orange(**public_numbers(TOKEN))
    TOKENS.clear()
    return emulator


@contextmanager
def open_to(receiver, protocol, **options):
    with transport_to(receiver.url + DIALECTS[protocol].path, protocol=protocol, **options) as transport:
        yield transport


def deliver(transport, document, doubt=False, most=MOST_TRIES):
    """The outcomes of one document's attempts, up to a verdict or so many; and the document with what is on record of it then."""
    outcomes, in_vain = [], 0
    while len(outcomes) < most and not (outcomes and outcomes[-1] in SETTLED):
        answer = transport.lookup(document) if doubt and in_vain < POISON_TRIES else None
        if answer is None or answer.outcome is ABSENT or answer.resend:
            answer, in_vain = transport.send(document), 0
        else:
            in_vain = in_vain + 1 if EFFECTS[answer.outcome].failed else 0
        document = replace(document, ofd_id=answer.ofd_id or document.ofd_id)
        told = EFFECTS[answer.outcome].doubt
        doubt = doubt if told is None else told
        outcomes.append(answer.outcome)
    return outcomes, document


def accepted(receiver):
    return len([record for record in receiver.history() if record["accepted"]])


# Nobody there: certainly not sent.


def test_nobody_listens(protocol):
    document = DIALECTS[protocol].make()
    with transport_to(f"http://127.0.0.1:{free_port()}", protocol=protocol) as transport:
        answers = [transport.send(document), transport.check()]
        if DIALECTS[protocol].asks:
            answers.append(transport.lookup(replace(document, ofd_id=UUID)))
    assert {answer.outcome for answer in answers} == {UNAVAILABLE}


def test_nobody_takes_the_connection(protocol):
    with black_hole() as (host, port), transport_to(f"http://{host}:{port}", DEADLINES[0], protocol=protocol) as transport:
        assert transport.send(DIALECTS[protocol].make()).outcome is UNAVAILABLE


# Somebody answers, but not with a word on the document.


def floods(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b" " * 65536)


FAULTS = [
    pytest.param(closes, U, id="closes"),
    pytest.param(resets, U, id="resets"),
    pytest.param(then(sends(response(200, HTML)[:40]), resets), U, id="half an answer"),
    pytest.param(sends(b"SSH-2.0-OpenSSH_9.6\r\n"), U, id="not HTTP"),
    pytest.param(floods, U, id="endless"),
    pytest.param(says(200, HTML), U, id="captive portal"),
    pytest.param(says(200, b"[" * 5000), U, id="deep"),
    pytest.param(says(204), U, id="204"),
    *(pytest.param(says(status, HTML), U, id=f"{status} page") for status in (408, 425, 500, 502, 503, 504)),
    *(
        pytest.param(says(status, HTML), M, id=f"{status} page")
        for status in (301, 302, 307, 400, 401, 402, 403, 404, 405, 407, 409, 410, 413, 415, 418, 422, 451)
    ),  # fmt: skip
    *(pytest.param(says(status, ERROR), M, id=f"{status} of others") for status in (403, 405)),
    pytest.param(says(429, HTML), T, id="429"),
    pytest.param(says(429, HTML, Retry_After=3), T, id="429 with Retry-After"),
    pytest.param(says(503, HTML, Retry_After=3), T, id="503 with Retry-After"),
]


@pytest.mark.parametrize("act, outcome", FAULTS)
def test_no_word_on_the_document(protocol, act, outcome):
    dialect = DIALECTS[protocol]
    outcome = outcome if dialect.over_http else U
    with meeting(*dialect.greeting, act, protocol=protocol) as (transport, _):
        assert transport.send(dialect.make()).outcome is outcome
    if not dialect.asks:
        return
    with meeting(*dialect.greeting, act, protocol=protocol) as (transport, _):
        assert transport.lookup(replace(dialect.make(), ofd_id=UUID)).outcome is outcome


@pytest.mark.parametrize("act", DRIPS)
def test_it_takes_too_long(protocol, act):
    dialect = DIALECTS[protocol]
    for ask in (False, True)[: 1 + dialect.asks]:
        for transport, _ in outlasting(*dialect.greeting, act, protocol=protocol):
            document = replace(dialect.make(), ofd_id=UUID)
            answer = transport.lookup(document) if ask else transport.send(dialect.make())
        assert answer.outcome is U


def test_a_kept_connection_that_was_closed(protocol):
    dialect = DIALECTS[protocol]
    if not dialect.over_http:
        pytest.skip("a drive keeps no connection")
    taken = says(dialect.queued, dialect.taken)
    with meeting(*dialect.greeting, then(taken, closes), taken, protocol=protocol) as (transport, peer):
        assert transport.send(dialect.make()).outcome is (P if dialect.lasting else A)
        peer.wait_until_closed()
        assert transport.send(dialect.make()).outcome is (P if dialect.lasting else A)


def test_no_secret_in_any_words(protocol):
    dialect = DIALECTS[protocol]
    told = f'{{"error": {{"code": 1, "message": "{TOKEN}", "text": "{TOKEN}", "description": "{TOKEN}"}}}}'.encode()
    with meeting(*dialect.greeting, says(500, told), protocol=protocol) as (transport, _):
        asked = transport.lookup(replace(dialect.make(), ofd_id=UUID))
        assert TOKEN not in repr([transport.send(dialect.make()), asked, transport.check(), transport])


# The emulated receiver: each document is taken once.

ORDERS = [
    pytest.param({}, id="all is well"),
    pytest.param({"mode": "drop", "count": 1}, id="the answer is lost after acceptance"),
    pytest.param({"mode": "drop", "count": 3}, id="three answers are lost"),
    pytest.param({"mode": "drip", "count": 1, "seconds": 30}, id="the answer drips"),
    pytest.param({"mode": "slow", "count": 1, "seconds": 30}, id="it comes too late"),
    pytest.param({"mode": "fail", "count": 3, "status": 500}, id="500"),
    pytest.param({"mode": "fail", "count": 2, "status": 503, "retry_after": 1}, id="503 with Retry-After"),
    pytest.param({"mode": "throttle", "count": 2}, id="throttled"),
    pytest.param({"mode": "garbage", "count": 2}, id="garbage"),
    pytest.param({"mode": "other_key", "count": 2}, id="another's answer"),
    pytest.param({"mode": "reset", "count": 2}, id="reset"),
    pytest.param({"mode": "hang", "count": 2}, id="hangs"),
    pytest.param({"mode": "page", "count": 2, "status": 404}, id="a proxy's 404"),
    pytest.param({"mode": "page", "count": 2, "status": 422}, id="a firewall's 422"),
    pytest.param({"mode": "fail_lookups", "count": 2}, id="questions fail"),
]


@pytest.mark.parametrize("order", ORDERS)
def test_it_is_taken_once(receiver, protocol, order):
    with open_to(receiver, protocol) as transport:
        transport.check()  # so that all of them are known to it
    if order:
        receiver.mode(**order)
    document, impatient = DIALECTS[protocol].make(), order.get("mode") in ("drip", "slow", "hang")
    if impatient:  # until none of them is left
        with open_to(receiver, protocol, timeout=DEADLINES[0]) as transport:
            _, document = deliver(transport, document)
    with open_to(receiver, protocol) as transport:
        outcomes, document = deliver(transport, document, doubt=impatient)
        assert outcomes[-1] is A, outcomes
        again, _ = deliver(transport, document, most=3)
        assert again[-1] is A, "once more, and it is the same one"
    assert accepted(receiver) == 1


def test_it_is_sent_twice(receiver, protocol):
    document = DIALECTS[protocol].make()
    with open_to(receiver, protocol) as first, open_to(receiver, protocol) as second:
        first.send(document), second.send(document)
        assert deliver(first, document)[0][-1] is A
    assert accepted(receiver) == 1


def test_another_process_takes_over_in_the_middle(receiver, protocol):
    """It knows no more than what was on record before the document was sent."""
    document = DIALECTS[protocol].make()
    with open_to(receiver, protocol) as dead:
        dead.send(document)
    TOKENS.clear()
    with open_to(receiver, protocol) as transport:
        assert deliver(transport, document, doubt=True)[0][-1] is A
    assert accepted(receiver) == 1


def test_it_is_restarted_in_the_middle(receiver, protocol):
    with open_to(receiver, protocol) as transport:
        outcomes, document = deliver(transport, DIALECTS[protocol].make(), most=1)
        receiver.kill()
        assert transport.lookup(document).outcome in (UNAVAILABLE, U)
        receiver.start()
        assert deliver(transport, document, doubt=True)[0][-1] is A
    assert accepted(receiver) == 1


def test_the_token_expires_in_the_middle(receiver, protocol):
    with open_to(receiver, protocol) as transport:
        for number in range(3):
            outcomes, document = deliver(transport, DIALECTS[protocol].make(f"db:{number}"), most=1)
            receiver.cloud(expire=True)
            outcomes += deliver(transport, document, doubt=True)[0]
            assert set(outcomes) <= {A, P}, "no failure of the document"
    assert accepted(receiver) == 3


def test_it_waits_and_is_done(receiver, protocol):
    receiver.device(busy_for=3600)
    receiver.cloud(queue_for=3600)
    lasting = DIALECTS[protocol].lasting
    with open_to(receiver, protocol) as transport:
        outcomes, document = deliver(transport, DIALECTS[protocol].make(), most=5)
        assert outcomes == ([P] * 5 if lasting else [A])
        receiver.device(busy_for=0)
        receiver.cloud(queue_for=0)
        assert deliver(transport, document, doubt=lasting)[0] == [A]
    assert accepted(receiver) == 1


def test_it_waits_and_is_refused(receiver, protocol):
    if DIALECTS[protocol].lasting:
        receiver.device(error_code=66)
        receiver.cloud(fails={"type": "driver", "code": -3897, "text": "Чек оплачен не полностью"})
    else:
        receiver.refuse(DIALECTS[protocol].mark)
    with open_to(receiver, protocol) as transport:
        outcomes, document = deliver(transport, DIALECTS[protocol].make())
        assert outcomes[-1] is R
        receiver.reset() if not DIALECTS[protocol].lasting else (receiver.device(error_code=None), receiver.cloud(fails=None))
        assert deliver(transport, document)[0][-1] is A, "a person has it tried again"
    assert accepted(receiver) == 1


def test_what_it_can_not_do_now_passes_later(receiver, protocol):
    if not DIALECTS[protocol].lasting:
        pytest.skip("an OFD has neither paper nor a queue")
    receiver.device(paper=False)
    receiver.cloud(fails={"type": "timeout", "code": 1, "text": "Превышено время ожидания чека в очереди."})
    with open_to(receiver, protocol) as transport:
        outcomes, document = deliver(transport, DIALECTS[protocol].make(), most=6)
        assert set(outcomes) == {P, UNABLE}
        receiver.device(paper=True)
        receiver.cloud(fails=None)
        receiver.mode("drop", count=1)
        assert deliver(transport, document, doubt=True)[0][-1] is A
    assert accepted(receiver) == 1


def test_a_wrong_password_takes_nothing(receiver, protocol):
    if not PROTOCOLS[protocol].credentials:
        pytest.skip("an OFD knows a drive by its signs")
    with open_to(receiver, protocol, token="wr0ng") as transport:
        assert deliver(transport, DIALECTS[protocol].make(), most=3)[0] == [M] * 3
    assert accepted(receiver) == 0
    with open_to(receiver, protocol) as transport:
        assert deliver(transport, DIALECTS[protocol].make())[0][-1] is A


def test_a_restored_database_uses_a_key_again(receiver, protocol):
    dialect = DIALECTS[protocol]
    with open_to(receiver, protocol) as transport:
        deliver(transport, dialect.make())
        answer = transport.send(dialect.make(other=True))
    own_sum = 10000
    if dialect.asks:
        assert (answer.outcome, answer.conflict) == (R, True) or (answer.total or own_sum) != own_sum, "which holds the register"
    else:
        assert answer.outcome is R, "an answer code says no more"
    assert accepted(receiver) == 1
