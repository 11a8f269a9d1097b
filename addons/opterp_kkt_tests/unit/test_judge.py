# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The judge against small histories made by hand: it is silent about a good one, and each fault alone makes
it speak.
"""

from datetime import UTC, datetime

import pytest
from harness import audit, judge
from harness.judge import Receipt
from harness.keys import by_our_keys
from opterp_kkt.transports.atol_web import get_uuid

DRIVE = "9999078900001234"


def request(seq, fd_number, outcome="accepted", *, key=None, arrived=None, answered=0, method="POST", **more):
    """One line of history; request n arrives at n seconds and is answered half a second later."""
    arrived = seq * 1000.0 if arrived is None else arrived
    return {
        "seq": seq,
        "arrived": arrived,
        "answered": arrived + 500 if answered == 0 else answered,
        "method": method,
        "register": DRIVE,
        "key": key or f"k{fd_number}",
        "fd_number": fd_number,
        "epoch": 1,
        "sha256": f"bytes of {key or fd_number}",
        "outcome": outcome,
    } | more


def receipt(fd_number, **more):
    values = {
        "key": f"k{fd_number}",
        "register": DRIVE,
        "fd_number": fd_number,
        "hlc": (1000 + (fd_number or 0), 0),
        "order": fd_number,
    }
    return Receipt(**values | more)


GOOD = [
    request(1, 1),
    request(2, 2, "failed"),
    request(3, 2, "lookup_miss", method="GET", sha256=None),
    request(4, 2),
    request(5, 3),
    request(6, 3, "duplicate"),
    request(7, 4, "refused"),
    request(8, 5),
]
RECEIPTS = [receipt(1), receipt(2), receipt(3), receipt(4, state="rejected"), receipt(5)]
ORDERS = [1, 2, 3, 4, 5]


def test_a_good_history_is_left_alone():
    assert judge.violations(GOOD, RECEIPTS, ORDERS) == []


@pytest.mark.parametrize(
    "history, receipts, orders, words",
    [
        (GOOD, RECEIPTS, [*ORDERS, 6], "order 6 is paid and has no receipt"),
        (GOOD, [*RECEIPTS[:4], receipt(5, order=3)], [1, 2, 3, 4], "order 3 has 2 receipts"),
        (GOOD, [*RECEIPTS, receipt(None, key="x", order=6, state="rejected")], [*ORDERS, 6], "the OFD never refused it: FD None"),
        (GOOD, [*RECEIPTS, receipt(6)], [*ORDERS, 6], "lost: FD 6"),
        (GOOD, [receipt(1, state="sending"), *RECEIPTS[1:]], ORDERS, "not recorded: FD 1"),
        ([*GOOD, request(9, 5)], RECEIPTS, ORDERS, "accepted 2 times: key k5"),
        ([*GOOD, request(9, 6)], RECEIPTS, ORDERS, "the shop knows nothing of it: key k6"),
        ([*GOOD, request(9, 5, "duplicate", sha256="other")], RECEIPTS, ORDERS, "key k5 was sent with 2 different contents"),
        ([*GOOD, request(9, 5, "conflict")], RECEIPTS, ORDERS, "conflict: key k5 at request 9"),
        (
            [request(1, 2), request(2, 1)],
            [receipt(1), receipt(2)],
            [1, 2],
            "FD 1 (request 2, key k1) was accepted after POST of FD 2",
        ),
        (
            [request(1, 1), request(2, 3)],
            [receipt(1), receipt(3)],
            [1, 3],
            "was accepted after POST of FD 1 (request 1, key k1), without [2]",
        ),
        (
            [request(1, 1), request(2, 1, key="x")],
            [receipt(1), receipt(1, key="x", order=2, hlc=(2000, 0))],
            [1, 2],
            "FD 1 (request 2, key x) was accepted after POST of FD 1",
        ),
        ([request(1, 1), request(2, 2, arrived=1400.0)], RECEIPTS[:2], [1, 2], "request 2, key k2) arrived while POST of FD 1"),
        ([request(1, 1), request(2, 2, epoch=0)], RECEIPTS[:2], [1, 2], "accepted from epoch 0 after epoch 1"),
        ([request(1, 1), request(2, 2)], [receipt(1), receipt(2, hlc=(1001, 0))], [1, 2], "FD 2 has HLC (1001, 0), not later"),
        (
            [request(1, 1), request(2, 1, register="other", key="r")],
            [receipt(1), receipt(1, key="r", register="other", refunds="k1", order=2)],
            [1, 2],
            "not later than (1001, 0) of its sale",
        ),
        ([request(1, 1)], [receipt(1, till_hlc=(1001, 0))], [1], "not later than its till's (1001, 0)"),
        ([request(1, 1)], [receipt(1, state="pending")], [1], "not recorded: FD 1"),
        ([request(1, 1, "failed")], [receipt(1, state="delivered")], [1], "lost: FD 1"),
        ([request(1, 1, "failed")], [receipt(1, state="rejected")], [1], "rejected, but the OFD never refused it: FD 1"),
    ],
)
def test_each_fault_is_seen_and_only_that(history, receipts, orders, words):
    found = judge.violations(history, receipts, orders)
    assert len(found) == 1 and words in found[0], found


def test_a_refused_document_that_is_accepted_later_is_out_of_the_order():
    history = [*GOOD, request(9, 4)]
    assert judge.violations(history, [*RECEIPTS[:3], receipt(4), RECEIPTS[4]], ORDERS) == []


def test_an_answer_that_never_came_ends_with_the_next_question_about_its_key():
    hung = request(1, 1, "in_flight", answered=None)
    looked_up = request(2, 1, "lookup_miss", method="GET", register=None, sha256=None)
    assert judge.one_in_flight([hung, looked_up, request(3, 1), request(4, 2)]) == []
    assert len(judge.one_in_flight([hung, request(4, 2)])) == 1


def test_a_slow_sender_is_still_under_way_when_a_second_one_is_already_done():
    slow = request(1, 1, answered=9000.0)
    second = [request(2, 1, "duplicate"), request(3, 2)]
    assert "request 3" in judge.one_in_flight([slow, *second])[0]


def test_an_acceptance_whose_answer_was_dropped_counts():
    dropped = request(1, 1, "dropped", accepted=True)
    assert judge.violations([dropped, request(2, 1, "lookup_hit", method="GET", accepted=False)], [receipt(1)]) == []
    assert judge.violations([dropped, request(2, 1, accepted=True)], [receipt(1)]) == ["accepted 2 times: key k1"]


def test_registers_do_not_wait_for_each_other():
    other = {"register": "other", "key": "o7"}
    history = [request(1, 1, answered=9000.0), request(2, 7, **other), request(3, 8, **other | {"key": "o8"})]
    assert judge.one_in_flight(history) == judge.in_order(history) == judge.epochs_never_fall(history) == []


def test_a_holder_that_lost_its_guard_may_still_have_one_under_way_but_not_two():
    stale = request(1, 1, answered=9000.0)
    newer = request(2, 2, epoch=2)
    assert len(judge.one_in_flight([stale, newer])) == 1
    assert judge.one_in_flight([stale, newer], guards_were_lost=True) == []
    assert len(judge.one_in_flight([stale, newer, request(3, 3)], guards_were_lost=True)) == 1


def test_what_came_later_has_a_later_clock_on_whichever_register():
    first, second = receipt(1, uuid="a", hlc=(1005, 0)), receipt(1, uuid="b", register="other", hlc=(1004, 0))
    assert judge.effects_follow_causes([("b", "a")], [first, second]) == []
    assert "order b has HLC (1004, 0), not later" in judge.effects_follow_causes([("a", "b")], [first, second])[0]


def test_orders_without_an_answer_and_answers_without_a_receipt_are_seen():
    answers = [("a", {"id": 1}), ("b", None), ("c", {"id": 3})]
    assert judge.answered_orders_exist(answers[:1], [receipt(1, uuid="a")]) == []
    found = judge.answered_orders_exist(answers, [receipt(1, uuid="a"), receipt(2, uuid="b")])
    assert found == ["order b never got an answer", "order c was answered and has no receipt"]


# --- several OFDs, queues, people ------------------------------------------------------------------------------


def test_two_ofds_have_one_history_and_each_document_goes_to_one():
    histories = {"one": [request(1, 1), request(2, 2)], "two": [request(1, 3, arrived=1500)]}
    both = judge.merged(histories)
    assert [(r["seq"], r["ofd"], r["fd_number"]) for r in both] == [(1, "one", 1), (2, "two", 3), (3, "one", 2)]
    assert judge.accepted_by_one_ofd(both) == []
    histories["two"].append(request(2, 2, "failed", accepted=True))
    assert "key k2 was accepted by one and two" in judge.accepted_by_one_ofd(judge.merged(histories))[0]


def test_only_what_was_in_flight_goes_to_the_old_address():
    late = [request(1, 1), request(2, 2), request(3, 2, "lookup_hit", method="GET", register=None)]
    assert judge.left_behind(late, 1500) == []
    assert "2 documents went to the old address" in judge.left_behind([*late, request(4, 3)], 1500)[0]


def test_registers_that_have_a_backlog_advance_together():
    other = {"register": "9999078900005678"}
    assert judge.all_advance([request(1, 1), request(2, 11, **other), request(3, 2), request(4, 12, **other)]) == []
    starved = [request(1, 1), request(2, 2), request(3, 11, **other)]
    assert judge.all_advance(starved) == ["register 9999078900005678 got nothing through until another was done"]


def test_a_drive_that_moved_is_judged_by_the_queues_of_its_registers():
    history = [request(1, 2), request(2, 1), request(3, 1, "lookup_hit", method="GET", register=None)]
    receipts = [receipt(2, queue=(7, 1)), receipt(1, queue=(8, 1))]
    assert judge.in_order(history)
    moved, queued = judge.by_queue(history, receipts)
    assert judge.in_order(moved) == [] and [(r["register"], r["fd_number"]) for r in moved[:2]] == [("7", 1), ("8", 1)]
    assert [(r.register, r.fd_number) for r in queued] == [("7", 1), ("8", 1)] and moved[2]["register"] is None
    wrong = judge.by_queue(history, [receipt(2, queue=(7, 2)), receipt(1, queue=(7, 1))])[0]
    assert judge.in_order(wrong)


# --- other protocols -------------------------------------------------------------------------------------------

SIGNED = {"epoch": None, "register": DRIVE}
WRONG = [{"status": "error", "errorCode": 13}]


def test_a_document_is_found_by_what_its_receiver_knows_it_by():
    first, second = get_uuid("k1", 0), get_uuid("k1", 1)
    history = [
        request(1, None, "queued", key=first, results=[{"status": "error", "errorCode": 44}], **SIGNED),
        request(2, 7, key=second, **SIGNED),
        request(3, 8, key=f"{DRIVE}/8", **SIGNED),
        request(4, 9, key="of nobody", **SIGNED),
    ]
    ours = by_our_keys(history, [receipt(7, key="k1"), receipt(8, key="k2"), receipt(None, key="k3")])
    assert [(r["key"], r["sent_as"]) for r in ours] == [
        ("k1", first),
        ("k1", second),
        ("k2", f"{DRIVE}/8"),
        ("of nobody", "of nobody"),
    ]
    assert judge.bytes_never_change(ours) == []
    again = request(5, 7, "duplicate", key=second, sha256="other", **SIGNED)
    assert judge.bytes_never_change(by_our_keys([*history, again], [receipt(7, key="k1")])) == [
        f"key {second} was sent with 2 different contents"
    ]


@pytest.mark.parametrize("results, outcome", [(WRONG, "refused"), ([{"status": "error", "errorCode": 44}], "queued")])
def test_a_task_that_a_register_took_and_found_wrong_is_refused(results, outcome):
    [told] = by_our_keys([request(1, None, "queued", key=get_uuid("k1", 0), results=results, **SIGNED)], [receipt(1)])
    assert told["outcome"] == outcome


def test_a_receiver_that_is_told_no_epoch_gets_each_document_once_all_the_same():
    history = [request(1, 1, epoch=None), request(2, 2, epoch=None), request(3, 3)]
    receipts = [receipt(1), receipt(2), receipt(3)]
    assert judge.violations(history, receipts) == []
    assert "accepted 2 times" in judge.violations([*history, request(4, 1, epoch=None)], receipts)[0]
    overlapping = [request(1, 1, answered=9000.0, epoch=None), request(2, 2, epoch=None)]
    assert judge.one_in_flight(overlapping) and not judge.one_in_flight(overlapping, guards_were_lost=True)
    notes = [holder_note(1), receipt_note("sending")]
    assert audit.sent_as_claimed(notes, [request(1, 1, epoch=None), request(2, 1, "duplicate", epoch=None)]) == []
    assert "sent 2 times by epoch None" in audit.sent_as_claimed(notes, [request(1, 1, epoch=None), request(2, 1, epoch=None)])[0]


def test_a_document_has_the_numbers_that_its_drive_gave_it():
    history = [request(1, 5), request(2, 6, "failed")]
    assert judge.recorded_as_fiscalised(history, [receipt(5), receipt(6, state="pending")]) == []
    found = judge.recorded_as_fiscalised(history, [receipt(4, key="k5")])
    assert found == [f"{receipt(4, key='k5')} was fiscalised as FD 5 of {DRIVE}"]


def test_a_sale_that_is_refused_is_told_from_a_lost_answer():
    names = ["ConnectionError", "odoo.exceptions.ValidationError", "odoo.exceptions.ValidationError"]
    assert judge.sales_never_refused(names[:1], ("Connect",)) == []
    assert judge.sales_never_refused(names, ("Connect",)) == ["tills were refused 2 times: odoo.exceptions.ValidationError"]


def test_a_button_works_or_says_why_not():
    said = ("retry", "odoo.exceptions.UserError: it is delivered by itself")
    raw = ("deliver now", "odoo.exceptions.ValidationError: The operation cannot be completed: one at a time")
    assert judge.buttons_work([said]) == []
    assert len(judge.buttons_work([said, raw, ("reset", "builtins.KeyError: 'x'")])) == 2


def head(at, **more):
    return {"at": at, "register": 7, "key": "k1", "held": False, "told": False, "tried": 1} | more


@pytest.mark.parametrize(
    "samples, words",
    [
        ([head(0), head(50), head(101)], "not held, and nothing tries it, for 101 s"),
        ([head(0), head(90, key="k2"), head(180, key="k2", tried=2), head(200, key="k2", tried=2)], None),
        ([head(0, held=True), head(31, held=True)], "held, and nobody is told, for 31 s"),
        ([head(0, held=True), head(29, held=True), head(31, held=True, told=True), head(500, held=True, told=True)], None),
    ],
)
def test_a_head_without_a_way_out_is_seen(samples, words):
    found = judge.heads_have_a_way_out(samples, untouched=100, untold=30)
    assert len(found) == bool(words) and (not words or words in found[0]), found


def test_at_the_end_all_is_delivered_or_handled():
    assert judge.settled_or_handled([receipt(1), receipt(2, state="rejected", handled=True)]) == []
    assert "neither delivered nor handled: FD 3" in judge.settled_or_handled([receipt(3, state="rejected")])[0]
    assert judge.rejected_only_when_refused([], [receipt(2, state="rejected", handled=True)]) == []


# --- PostgreSQL's notes ----------------------------------------------------------------------------------------

BREAKER = {
    "id": 4,
    "version": 0,
    "state": "closed",
    "mode": "automatic",
    "failure_count": 0,
    "failure_threshold": 5,
    "success_count": 0,
    "success_threshold": 2,
    "recovery_timeout": 3,
    "retry_at": None,
    "probe_owner": None,
    "probe_until": None,
}
BREAKER_OF = {3: 4}  # by OFD


def moment(at):
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat()


def breaker_notes(*changes):
    """Notes of a breaker from closed on, the n-th at n seconds."""
    rows = [BREAKER]
    for number, change in enumerate(changes, start=1):
        rows.append(rows[-1] | {"version": number} | change)
    return [
        {"at": float(number), "tx": number, "relation": audit.BREAKER, "before": before, "row": row}
        for number, (before, row) in enumerate(zip(rows, rows[1:], strict=False), start=1)
    ]


def receipt_note(state, before="pending", epoch=1, key="k1", **more):
    row = {"id": key, "register_id": 7, "idempotency_key": key, "fd_number": 1, "fiscal_drive_number": DRIVE, "sent_to_id": 3}
    return {
        "at": 2.5,
        "backend": 99,
        "relation": audit.RECEIPT,
        "before": row | {"state": before, "delivery_epoch": epoch},
        "row": row | {"state": state, "delivery_epoch": epoch},
    } | more


def holder_note(epoch, before=None, **more):
    return {
        "at": 0.5,
        "relation": audit.HOLDER,
        "before": {"epoch": epoch - 1 if before is None else before},
        "row": {"epoch": epoch, "register_id": 7},
    } | more


FAILURES = [{"failure_count": count} for count in (1, 2, 3, 4)]
OPEN = {"state": "open", "failure_count": 5, "retry_at": moment(6)}
PROBE = {"state": "half_open", "retry_at": None, "probe_owner": "host:1:aa/7/1", "probe_until": moment(20)}
HALF = {"probe_owner": None, "probe_until": None, "success_count": 1}
CLOSED = {"state": "closed", "failure_count": 0, "success_count": 0, "probe_owner": None, "probe_until": None}
LIFE = [*FAILURES, OPEN, PROBE, HALF, PROBE, CLOSED]


def test_a_breaker_that_does_as_it_should_is_left_alone():
    notes = [holder_note(1), *breaker_notes(*LIFE), receipt_note("sending"), receipt_note("delivered", "sending")]
    assert audit.violations(notes, [request(1, 1)], BREAKER_OF) == []


@pytest.mark.parametrize(
    "changes, words",
    [
        ([*FAILURES[:3], OPEN], "closed → open (version 4) is not allowed"),
        ([*FAILURES, OPEN | {"retry_at": moment(7)}, PROBE], "open → half_open (version 6) is not allowed"),
        ([*FAILURES, OPEN, CLOSED], "open → closed (version 6) is not allowed"),
        ([*FAILURES, OPEN, PROBE, CLOSED], "half_open → closed (version 7) is not allowed"),
        ([*FAILURES, OPEN, PROBE, HALF, OPEN], "half_open → open (version 8) is not allowed"),
        ([PROBE], "closed → half_open (version 1) is not allowed"),
        ([FAILURES[0], FAILURES[1] | {"version": 1}], "version 1 follows 1"),
        ([*FAILURES, OPEN, PROBE, PROBE | {"probe_owner": "other/8/1"}], "other/8/1 became the probe while host:1:aa/7/1 was"),
    ],
)
def test_each_wrong_move_of_the_breaker_is_seen(changes, words):
    found = audit.violations(breaker_notes(*changes), [], BREAKER_OF)
    assert len(found) == 1 and words in found[0], found


def test_a_person_may_close_a_breaker():
    reset = {"tx": 6, "relation": audit.EVENT, "row": {"reason": "reset"}, "before": None}
    notes = [*breaker_notes(*FAILURES, OPEN, LIFE[-1]), reset]
    assert audit.violations(notes, [], BREAKER_OF) == []
    assert "open → closed" in audit.violations([*notes[:-1], reset | {"tx": 5}], [], BREAKER_OF)[0]


def test_a_wait_stored_by_a_clock_that_was_wrong_is_over():
    notes = breaker_notes(
        *FAILURES, OPEN | {"retry_at": moment(3600)}, PROBE | {"probe_until": moment(3700)}, PROBE | {"probe_owner": "other/8/1"}
    )
    assert audit.violations(notes, [], BREAKER_OF) == []


def test_a_claim_asks_the_breaker_of_its_own_ofd():
    notes = [*breaker_notes(*FAILURES, OPEN), receipt_note("sending")]
    assert audit.violations(notes, [], {3: 5}) == []
    forced = breaker_notes({"mode": "forced_open"})
    assert "the breaker was forced_open" in audit.violations([*forced, receipt_note("sending")], [], BREAKER_OF)[0]


def test_a_probe_whose_permit_ran_out_may_be_followed_by_another():
    notes = breaker_notes(*FAILURES, OPEN, PROBE | {"probe_until": moment(6.5)}, PROBE | {"probe_owner": "other/8/1"})
    assert audit.violations(notes, [], BREAKER_OF) == []


@pytest.mark.parametrize(
    "notes, words",
    [
        ([*breaker_notes(*FAILURES, OPEN), receipt_note("sending")], "was claimed while the breaker was open"),
        (
            [*breaker_notes(*FAILURES, OPEN, PROBE), receipt_note("sending", epoch=2)],
            "was claimed while the breaker was half_open",
        ),
        ([holder_note(2, 2)], "epoch 2 of register 7 follows 2"),
        ([holder_note(1), holder_note(2), receipt_note("sending")], "became sending by epoch 1, but 2 holds"),
        ([holder_note(1), receipt_note("sending"), holder_note(2), receipt_note("delivered", "sending")], "delivered by epoch 1"),
    ],
)
def test_claims_and_records_out_of_turn_are_seen(notes, words):
    found = audit.violations(notes, [], BREAKER_OF)
    assert len(found) == 1 and words in found[0], found


def test_a_record_by_somebody_else_than_the_claimer_is_seen():
    notes = [holder_note(1), receipt_note("sending"), receipt_note("delivered", "sending", backend=100)]
    assert "by another session than the one that claimed it" in audit.violations(notes, [], BREAKER_OF)[0]


def test_sending_more_often_than_claiming_is_seen():
    notes, sent = [holder_note(1), receipt_note("sending")], [request(1, 1, "dropped")]
    assert audit.sent_as_claimed(notes, sent) == []
    assert "sent 2 times by epoch 1, which claimed it 1 times" in audit.sent_as_claimed(notes, [*sent, request(2, 1)])[0]
    assert "sent 1 times by epoch 2" in audit.sent_as_claimed(notes, [*sent, request(2, 1, epoch=2)])[0]


def test_a_take_over_lasts_from_the_claim_of_the_dead_to_the_next_holder():
    notes = [
        holder_note(1),
        receipt_note("sending", at=1.0),
        holder_note(2, at=4.0),
        receipt_note("sending", "sending", 2, at=4.1),
        receipt_note("delivered", "sending", 2, at=5.0),
    ]
    assert list(audit.take_overs(notes)) == [(1.0, 4.0)]


def transition(at, from_state, to_state):
    return {"at": at, "from_state": from_state, "to_state": to_state}


OPENED = transition(2000, "closed", "open")
HALF_OPEN = transition(9000, "open", "half_open")
CLOSED = transition(20000, "half_open", "closed")


@pytest.mark.parametrize(
    "events, words",
    [
        ([OPENED, HALF_OPEN, CLOSED], []),
        ([OPENED, CLOSED], ["half_open → closed after open"]),
        ([OPENED, transition(3000, "open", "closed")], ["open → closed after open"]),
    ],
)
def test_only_the_machines_own_transitions_are_legal(events, words):
    assert judge.legal_transitions(events) == words


def test_one_attempt_may_still_arrive_once_the_breaker_is_open():
    late = [request(1, 1, arrived=1000), request(2, 2, "lookup_miss", method="GET", arrived=2100), request(3, 2, arrived=2200)]
    assert judge.quiet_while_open(late, [OPENED, HALF_OPEN]) == []
    assert "while the breaker was open" in judge.quiet_while_open([*late, request(4, 3, arrived=2900)], [OPENED, HALF_OPEN])[0]


def test_probes_follow_one_another():
    probes = [request(1, 1, arrived=9100), request(2, 2, arrived=9700, register="9999078900005678")]
    assert judge.one_probe_at_a_time(probes, [HALF_OPEN, CLOSED]) == []
    probes[1] |= {"arrived": 9300}
    assert "both as probes" in judge.one_probe_at_a_time(probes, [HALF_OPEN, CLOSED])[0]


# --- shifts -------------------------------------------------------------------------------------------------------------------


def document(fd_number, kind, shift=1, **states):
    """One document of a drive; what it states of money is in cash."""
    codes = {"shift_open": 2, "receipt": 3, "shift_close": 5, "correction": 31}
    states = {"fiscalDriveNumber": DRIVE, "fiscalDocumentNumber": fd_number, "shiftNumber": shift, "code": codes[kind], **states}
    order = fd_number if kind == "receipt" else None
    return receipt(fd_number, kind=kind, shift=shift, order=order, document=states)


def paid(fd_number, number, total, operation=1, kind="receipt", shift=1):
    sums = {"cashTotalSum": total, "ecashTotalSum": 0, "prepaidSum": 0, "creditSum": 0, "provisionSum": 0, "totalSum": total}
    return document(fd_number, kind, shift, requestNumber=number, operationType=operation, **sums)


def closed(fd_number, shift, counters, drive_counters):
    return document(fd_number, "shift_close", shift, shiftSumReports=counters, fiscalDriveSumReports=drive_counters)


def sums(count, total):
    return {"receiptBsoCount": count, "totalSum": total, "cashSum": total, "ecashSum": 0}


FIRST = {
    "totalReceiptBsoCount": 3,
    "sellOper": {**sums(2, 150), "tax10Sum": 9},
    "sellReturnOper": sums(1, 100),
    "receiptCorrection": {"receiptCorrectionCount": 1, "sellCorrection": sums(1, 50)},
}
SECOND = {"totalReceiptBsoCount": 1, "sellOper": sums(1, 7)}
BOTH = {**FIRST, "totalReceiptBsoCount": 4, "sellOper": sums(3, 157)}
DAYS = [
    document(1, "shift_open"),
    paid(2, 1, 100),
    paid(3, 2, 100, operation=2),
    paid(4, 3, 50, kind="correction"),
    closed(5, 1, FIRST, FIRST),
    document(6, "shift_open", 2),
    paid(7, 1, 7, shift=2),
    closed(8, 2, SECOND, BOTH),
    document(9, "shift_open", 3),
    paid(10, 1, 7, shift=3),
]


def test_shifts_that_are_right_are_left_alone():
    assert judge.shifts_are_right(DAYS) == []
    assert judge.shifts_are_right(reversed(DAYS)) == []


def changed(position, document):
    return [*DAYS[:position], document, *DAYS[position + 1 :]]


@pytest.mark.parametrize(
    "documents, words",
    [
        (changed(9, paid(11, 1, 7, shift=3)), "FD 11 follows FD 9"),
        (changed(1, paid(2, 2, 100)), "its receipts are numbered [2, 2, 3]"),
        (changed(9, paid(10, 1, 7, shift=4)), "its documents are ['receipt']"),
        (
            [*DAYS[:8], document(9, "receipt", 3, requestNumber=1), document(10, "shift_open", 3)],
            "its documents are ['receipt', 'shift_open']",
        ),
        ([*DAYS, document(11, "shift_open", 3)], "its documents are ['shift_open', 'receipt', 'shift_open']"),
        (changed(9, paid(10, 1, 7, shift=3, kind="correction")), None),
        (changed(1, paid(2, 1, 101)), "shiftSumReports states {'sellOper.totalSum': 150, 'sellOper.cashSum': 150} instead of"),
        (changed(7, closed(8, 2, SECOND, SECOND)), "fiscalDriveSumReports states {'totalReceiptBsoCount': 1"),
        (
            changed(7, closed(8, 2, {**SECOND, "buyOper": sums(1, 1)}, BOTH)),
            "shiftSumReports states {'buyOper.receiptBsoCount': 1",
        ),
    ],
)
def test_each_fault_of_a_shift_is_seen(documents, words):
    found = judge.shifts_are_right(documents)
    assert words is None and not found or any(words in line for line in found), found


def test_a_shift_states_one_number():
    wrong = document(10, "receipt", 3, requestNumber=1)
    wrong.document["shiftNumber"] = 4
    assert any("state {3, 4} as its number" in line for line in judge.receipts_lie_in_their_shift([DAYS[8], wrong]))
