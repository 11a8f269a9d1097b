# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The pieces of delivery one by one, on real PostgreSQL, Redis and HTTP: Odoo's registry is loaded here, and the steps
`_claim`, `_send`, `_record` are taken by hand, with somebody else in between. So is a sale's turn.
"""

import logging
import os
import threading
import time
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial

import psycopg2
import pytest
from harness.contest import set_number
from harness.processes import wait_until
from harness.shop import Shop
from harness.stack import Emulator, as_environment
from opterp_kkt.transports.base import at_ease

WAITING = """
    SELECT r.id, r.state, r.idempotency_key AS key, r.delivery_epoch, r.attempts, r.register_id, r.in_doubt
      FROM kkt_receipt r WHERE r.state IN ('pending', 'sending') ORDER BY r.register_id, r.queue_number
"""
GUARDED = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 4934484"
WAIT_FOR_A_ROW = "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted"
OPEN = (
    "UPDATE kkt_circuit_breaker SET state = 'open', failure_count = 5, version = version + 1,"
    " opened_at = clock_timestamp() AT TIME ZONE 'UTC',"
    " retry_at = clock_timestamp() AT TIME ZONE 'UTC' + %s * interval '1 second'"
)


@pytest.fixture(scope="module")
def sold(environment):
    """A shop with receipts of two registers waiting and nobody who delivers them."""
    with Shop() as shop:
        host = shop.host(crons=0)
        tills = [shop.till(host, number) for number in (0, 1)]
        set_number(tills[0], "lease_ttl", 5)  # so that it is renewed before every document
        for till in tills * 3:
            till.sell()
        host.stop()
        yield shop


@pytest.fixture(scope="module")
def registry(sold):
    """The models of the shop's database, in this process."""
    from odoo.modules.registry import Registry
    from odoo.tools import config

    os.environ |= as_environment(sold.database.dsn) | {"ODOO_KKT_REDIS_URL": sold.redis.url}
    arguments = ["-c", os.environ["ODOO_RC"], "-d", sold.database.name, "--data-dir", str(sold.database.data_dir)]
    config.parse_config(arguments, setup_logging=False)
    yield Registry(sold.database.name)
    from odoo.sql_db import close_all

    close_all()


@pytest.fixture
def delivery(sold, registry):
    """`kkt.delivery` on a cursor of its own; every test finds all receipts waiting, behind the openings of their shifts, which
    the OFD has, and the breaker closed.
    """
    from odoo import SUPERUSER_ID, api

    sold.ofd.reset()
    sold.redis.flush()
    sold.database.execute(
        "UPDATE kkt_receipt SET state = 'pending', in_doubt = FALSE, attempts = 0, next_attempt_at = NULL, failures = 0,"
        " lone_failures = 0, failed_lookups = 0, sent_to_id = NULL, last_outcome = NULL, delivery_epoch = NULL,"
        " delivered_at = NULL WHERE document_type = 'receipt'"
    )
    sold.database.execute("UPDATE kkt_delivery SET hold_cause = NULL, hold_reason = NULL, hold_receipt_id = NULL")
    sold.database.execute("UPDATE kkt_ofd SET url = %s, paused_until = NULL WHERE active", sold.ofd.url)
    sold.database.execute(
        "UPDATE kkt_circuit_breaker SET state = 'closed', failure_count = 0, success_count = 0, opened_at = NULL,"
        " retry_at = NULL, probe_owner = NULL, probe_until = NULL, version = version + 1"
    )
    with registry.cursor() as cr:
        yield api.Environment(cr, SUPERUSER_ID, {})["kkt.delivery"]


@pytest.fixture
def deliverer(sold, delivery):
    """Make deliverers, each as in a process of its own; they are gone at the end."""
    runs = []

    def make() -> "Deliverer":
        runs.append(Deliverer(delivery))
        return runs[-1]

    yield make
    for run in runs:
        run.close()
    wait_until(lambda: not sold.database.value(GUARDED), 300, "the end of the guards")


class Deliverer:
    """One process that delivers: its worker, and what it saw when it looked at the queues."""

    def __init__(self, delivery):
        settings = delivery._get_settings()
        delivery.env.cr.commit()
        self.worker = delivery._open_worker(settings, delivery._get_news())
        self.look()

    def look(self):
        self.queues = {queue.register_id: queue for queue in self.worker.scan()}

    @property
    def registers(self) -> list[int]:
        return sorted(self.queues)

    def take(self, register_id: int):
        return self.worker._take(self.queues[register_id])

    def claim(self, ownership):
        return self.worker._claim(ownership, self.queues[ownership.register_id], False)

    def send(self, ownership, claim, meanwhile=at_ease):
        return self.worker._send(ownership, self.queues[ownership.register_id], claim, meanwhile)

    def record(self, ownership, claim, attempt, behind=None):
        return self.worker._record(ownership, self.queues[ownership.register_id], claim, attempt, behind)

    def follow(self, ownership, claim):
        """Claim what comes right behind a document that is under way: a Claim, or None."""
        queue = self.worker._claim_following(ownership, self.queues[ownership.register_id], claim.queue_number)
        return queue and queue.claim

    def send_first(self):
        """Take a register and send the first of its documents: what `record` takes."""
        ownership = self.take(self.registers[0])
        claim = self.claim(ownership)
        return ownership, claim, self.send(ownership, claim)

    def deliver(self, register_id: int):
        self.worker._deliver_for(self.queues[register_id], time.monotonic() + 20)

    def close(self):
        self.worker.__exit__()


def waiting(shop, register_id: int) -> list[dict]:
    return [row for row in shop.database.query(WAITING) if row["register_id"] == register_id]


def test_postgresql_refuses_a_claim_beside_the_one_under_way_and_the_next(sold, delivery):
    first, second, third, *_rest = sold.database.query(WAITING)
    assert first["register_id"] == second["register_id"] == third["register_id"]
    sold.database.execute("UPDATE kkt_receipt SET state = 'sending' WHERE id IN (%s, %s)", first["id"], second["id"])
    with pytest.raises(psycopg2.errors.UniqueViolation, match="claims_uniq"):
        sold.database.execute("UPDATE kkt_receipt SET state = 'sending' WHERE id = %s", third["id"])


def test_a_register_is_taken_once_and_each_time_with_a_new_epoch(deliverer):
    one, other = deliverer(), deliverer()
    register = one.registers[0]
    first = one.take(register)
    assert other.take(register) is None
    first.release()
    assert other.take(register).epoch == first.epoch + 1


def test_a_stale_epoch_claims_nothing(sold, deliverer):
    one = deliverer()
    hold = one.take(one.registers[0])
    sold.database.execute("UPDATE kkt_delivery SET epoch = epoch + 1 WHERE register_id = %s", hold.register_id)
    assert one.claim(hold) is None
    assert {row["state"] for row in waiting(sold, hold.register_id)} == {"pending"}


def test_a_stale_epochs_record_changes_no_row(sold, deliverer):
    from odoo.addons.opterp_kkt.delivery.worker import Fenced

    one = deliverer()
    hold = one.take(one.registers[0])
    claim = one.claim(hold)
    sent = one.send(hold, claim)
    sold.database.execute("UPDATE kkt_delivery SET epoch = epoch + 1 WHERE register_id = %s", hold.register_id)
    before = waiting(sold, hold.register_id)
    with pytest.raises(Fenced):
        one.record(hold, claim, sent)
    assert waiting(sold, hold.register_id) == before and before[0]["state"] == "sending"
    assert not sold.database.value("SELECT count(*) FROM kkt_receipt_attempt WHERE receipt_id = %s", claim.id)


def test_what_a_dead_holder_left_is_asked_for_before_it_is_sent_again(sold, deliverer):
    """The OFD had it: it is recorded, and not sent again."""
    dead, heir = deliverer(), deliverer()
    hold = dead.take(dead.registers[0])
    claim = dead.claim(hold)
    dead.send(hold, claim)
    dead.close()
    next_hold = wait_until(lambda: heir.take(hold.register_id), 300, "the guard of a dead holder")
    again = heir.claim(next_hold)
    heir.record(next_hold, again, heir.send(next_hold, again))
    assert (again.id, again.idempotency_key, again.payload) == (claim.id, claim.idempotency_key, claim.payload)
    assert [(r["method"], r["outcome"]) for r in sold.ofd.history()] == [("POST", "accepted"), ("GET", "lookup_hit")]
    assert claim.idempotency_key not in [row["key"] for row in waiting(sold, hold.register_id)]


def test_what_the_ofd_does_not_know_is_sent_again_with_the_same_key_and_bytes(sold, deliverer):
    one = deliverer()
    sold.ofd.mode("reset", count=1)
    one.worker.at_once = True
    register = one.registers[0]
    one.deliver(register)
    one.look()
    one.deliver(register)
    first, lookup, second, *_rest = sold.ofd.history()
    assert [(r["method"], r["outcome"]) for r in (first, lookup, second)] == [
        ("POST", "dropped"),
        ("GET", "lookup_miss"),
        ("POST", "accepted"),
    ]
    assert (first["key"], first["sha256"]) == (second["key"], second["sha256"])


def test_a_holder_without_its_guard_stops(sold, deliverer, monkeypatch):
    """Its session ends while it sends, and another delivers: it records nothing and sends nothing more."""
    from odoo.addons.opterp_kkt.delivery.session import SessionLost

    one, other = deliverer(), deliverer()
    register = one.registers[0]
    send = one.worker._send

    def lose_guard_after_sending(*arguments):
        sent = send(*arguments)
        sold.database.query("SELECT pg_terminate_backend(%s, 10000)", one.worker.guard._connection.info.backend_pid)
        other.deliver(register)
        return sent

    monkeypatch.setattr(one.worker, "_send", lose_guard_after_sending)
    with pytest.raises(SessionLost):
        one.deliver(register)
    assert not waiting(sold, register)
    epochs = [request["epoch"] for request in sold.ofd.history() if request["method"] == "POST"]
    assert epochs == [epochs[0]] + [epochs[0] + 1] * (len(epochs) - 1) and len(epochs) == 3


def test_a_holder_whose_lease_has_another_name_stops(sold, deliverer, monkeypatch):
    one = deliverer()
    register = one.registers[0]
    send = one.worker._send

    def lose_lease_after_sending(ownership, *arguments):
        sold.redis.client.set(ownership.lease.key, "somebody else")
        return send(ownership, *arguments)

    monkeypatch.setattr(one.worker, "_send", lose_lease_after_sending)
    one.deliver(register)
    assert len(sold.ofd.history()) == 1 and one.worker.tally.busy == {register}
    assert len(waiting(sold, register)) == 2


def test_nothing_is_claimed_once_the_breaker_is_open(sold, deliverer):
    """It opens after this process looked at it, and before it claims."""
    one = deliverer()
    hold = one.take(one.registers[0])
    sold.database.execute(OPEN, 60)
    assert one.queues[hold.register_id].breaker.state == "closed"
    assert one.claim(hold) is None
    assert {row["state"] for row in waiting(sold, hold.register_id)} == {"pending"}


def claim_patiently(deliverer: Deliverer, hold):
    """It waits for five seconds, then tries again later."""
    while True:
        with suppress(psycopg2.errors.LockNotAvailable):
            return deliverer.claim(hold)


def test_a_claim_waits_for_a_breaker_that_is_about_to_open(sold, deliverer):
    one = deliverer()
    hold = one.take(one.registers[0])
    claims = []
    claiming = threading.Thread(target=lambda: claims.append(claim_patiently(one, hold)))
    with closing(psycopg2.connect(dbname=sold.database.name, **sold.database.dsn)) as opening:
        opening.cursor().execute(OPEN, (60,))
        claiming.start()
        wait_until(lambda: sold.database.value(WAIT_FOR_A_ROW) or not claiming.is_alive(), 300, "the claim at the breaker's row")
        waits = claiming.is_alive()
        opening.commit()
    claiming.join(300)
    assert waits and claims == [None]


def states_of(shop, register_id: int) -> list[str]:
    query = "SELECT state FROM kkt_receipt WHERE register_id = %s AND document_type = 'receipt' ORDER BY queue_number"
    return [row["state"] for row in shop.database.query(query, register_id)]


def test_the_next_document_is_claimed_while_one_is_under_way(sold, deliverer):
    one = deliverer()
    ownership = one.take(one.registers[0])
    _first, second, *_rest = waiting(sold, ownership.register_id)
    claim, seen = one.claim(ownership), []
    sold.ofd.mode("wait")  # until the next order

    def look():
        seen.extend([one.follow(ownership, claim), states_of(sold, ownership.register_id)])
        sold.ofd.mode("ok")

    assert one.send(ownership, claim, look).answer.outcome == "accepted"
    following, states = seen
    assert (following.id, following.idempotency_key, following.in_doubt) == (second["id"], second["key"], False)
    assert states == ["sending", "sending", "pending"] and len(sold.ofd.history()) == 1


def test_one_commit_records_a_document_and_claims_the_one_behind_the_next(sold, deliverer):
    one = deliverer()
    ownership, claim, attempt = one.send_first()
    following = one.follow(ownership, claim)
    seen = one.record(ownership, claim, attempt, behind=following.queue_number)
    rows = sold.database.query(
        "SELECT id, delivery_epoch, xmin::text FROM kkt_receipt WHERE id IN (%s, %s) ORDER BY id", claim.id, seen["id"]
    )
    assert states_of(sold, ownership.register_id) == ["delivered", "sending", "sending"]
    assert seen["queue_number"] == following.queue_number + 1
    assert rows[0]["xmin"] == rows[1]["xmin"] and rows[1]["delivery_epoch"] == ownership.epoch


def test_what_a_dead_deliverer_had_claimed_is_asked_for_in_order(sold, deliverer):
    """One document was under way, the next claimed, when it died."""
    dead, heir = deliverer(), deliverer()
    ownership, claim, _attempt = dead.send_first()
    following = dead.follow(ownership, claim)
    dead.close()
    wait_until(lambda: heir.take(ownership.register_id), 300, "the guard of a dead deliverer").release()
    heir.look()
    heir.deliver(ownership.register_id)
    asked = [(request["method"], request["outcome"], request["key"]) for request in sold.ofd.history()]
    assert asked[:4] == [
        ("POST", "accepted", claim.idempotency_key),
        ("GET", "lookup_hit", claim.idempotency_key),
        ("GET", "lookup_miss", following.idempotency_key),
        ("POST", "accepted", following.idempotency_key),
    ]
    assert states_of(sold, ownership.register_id) == 3 * ["delivered"] and len(asked) == 5


LATER = "clock_timestamp() AT TIME ZONE 'UTC' + interval '30 seconds'"
IN_THE_WAY = {
    "a breaker that has opened": OPEN % 60,
    "a register that is held": "UPDATE kkt_delivery SET hold_cause = 'by_hand', hold_reason = 'to look at it'",
    "other settings": "UPDATE kkt_ofd SET settings_version = settings_version + 1",
    "an OFD that is paused": f"UPDATE kkt_ofd SET paused_until = {LATER}",
    "a next try that is not yet": f"UPDATE kkt_receipt SET next_attempt_at = {LATER} WHERE state = 'pending'",
}


@pytest.mark.parametrize("statement", IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_the_next_document_is_not_claimed_past(sold, deliverer, statement):
    one = deliverer()
    ownership, claim, attempt = one.send_first()
    sold.database.execute(statement)
    assert one.follow(ownership, claim) is None
    assert one.record(ownership, claim, attempt, behind=claim.queue_number)["id"] is None
    assert states_of(sold, ownership.register_id) == ["delivered", "pending", "pending"]


@pytest.mark.parametrize("table", ["kkt_circuit_breaker", "kkt_receipt"])
def test_a_record_does_not_wait_for_what_stops_the_next_claim(sold, deliverer, table):
    """Somebody has the breaker's row locked, or that of the next document: a record that gives up would be an answer lost."""
    one = deliverer()
    ownership, claim, attempt = one.send_first()
    with closing(psycopg2.connect(dbname=sold.database.name, **sold.database.dsn)) as locking:
        locking.cursor().execute(
            f"SELECT FROM {table} WHERE id <> %s OR {table == 'kkt_circuit_breaker'} FOR UPDATE", (claim.id,)
        )
        assert one.follow(ownership, claim) is None
        assert one.record(ownership, claim, attempt, behind=claim.queue_number)["id"] is None
    assert states_of(sold, ownership.register_id) == ["delivered", "pending", "pending"]


def deliver_and_once_two_are_claimed(one, monkeypatch, act, ttl=30.0):
    """Deliver; `act` when the first document is answered and the second claimed, but not yet sent."""
    send, acts = one.worker._send, [act]
    monkeypatch.setattr(one.worker._leases, "_ttl", ttl)  # one that lasts for no request starts none

    def send_and_act(*arguments):
        attempt = send(*arguments)
        if acts:
            acts.pop()()
        return attempt

    monkeypatch.setattr(one.worker, "_send", send_and_act)
    one.deliver(one.registers[0])


STOPS = {name: statement for name, statement in IN_THE_WAY.items() if name != "a next try that is not yet"} | {
    "a register that goes elsewhere": """
        WITH other AS (
            INSERT INTO kkt_ofd
            SELECT (jsonb_populate_record(o, jsonb_build_object('id', nextval('kkt_ofd_id_seq')))).* FROM kkt_ofd o WHERE active
             LIMIT 1 RETURNING id)
        UPDATE kkt_register SET ofd_id = other.id FROM other""",
    "another owner": "UPDATE kkt_delivery SET epoch = epoch + 1",
}


@pytest.mark.parametrize("statement", STOPS.values(), ids=STOPS)
def test_what_was_claimed_does_not_start_past(sold, deliverer, monkeypatch, statement):
    """It came while the document before it was under way, for longer than a claim is as good as new."""
    monkeypatch.setattr("odoo.addons.opterp_kkt.delivery.worker.FRESH_SECONDS", 0.0)
    one = deliverer()
    register = one.registers[0]
    elsewhere = sold.database.query("SELECT id, ofd_id FROM kkt_register")
    deliver_and_once_two_are_claimed(one, monkeypatch, lambda: sold.database.execute(statement))
    for row in elsewhere:
        sold.database.execute("UPDATE kkt_register SET ofd_id = %s WHERE id = %s", row["ofd_id"], row["id"])
    assert len(sold.ofd.history()) == 1
    if "epoch" in statement:
        assert states_of(sold, register) == ["sending", "sending", "pending"], "the new owner asks for both"
    else:
        assert states_of(sold, register) == ["delivered", "pending", "pending"]
        assert not waiting(sold, register)[0]["in_doubt"]


def test_what_was_claimed_does_not_start_after_the_guards_end(sold, deliverer, monkeypatch):
    """However new the claim is: the end of its session is known without a question."""
    from odoo.addons.opterp_kkt.delivery.session import SessionLost

    monkeypatch.setattr("odoo.addons.opterp_kkt.delivery.worker.FRESH_SECONDS", 600.0)
    one = deliverer()
    backend = one.worker.guard._connection.info.backend_pid
    terminate = partial(sold.database.query, "SELECT pg_terminate_backend(%s, 10000)", backend)
    with pytest.raises(SessionLost):
        deliver_and_once_two_are_claimed(one, monkeypatch, terminate)
    assert len(sold.ofd.history()) == 1 and states_of(sold, one.registers[0]) == ["sending", "sending", "pending"]


@pytest.mark.parametrize("ttl", [5.0, 30.0])
def test_what_was_claimed_does_not_start_under_a_lease_that_may_end_before_it_is_answered(deliverer, monkeypatch, ttl):
    one = deliverer()
    monkeypatch.setattr(one.worker._leases, "_ttl", ttl)
    ownership, claim, _attempt = one.send_first()
    following = one.follow(ownership, claim)
    queue = replace(one.queues[ownership.register_id], claim=following, claimed_after=time.monotonic())
    assert one.worker._may_start(ownership, queue, following) == (ttl == 30.0)


@pytest.mark.parametrize("ttl", [5.0, 30.0])
def test_nothing_is_claimed_ahead_under_a_lease_that_lasts_for_no_request(sold, deliverer, monkeypatch, ttl):
    """A person has set it so: it would only be put back."""
    one, seen = deliverer(), []
    deliver_and_once_two_are_claimed(one, monkeypatch, lambda: seen.extend(states_of(sold, one.registers[0])), ttl)
    assert seen == ["sending", "sending" if ttl == 30.0 else "pending", "pending"]
    assert states_of(sold, one.registers[0]) == 3 * ["delivered"] and len(sold.ofd.history()) == 3


def test_what_was_claimed_is_put_back_when_the_document_before_it_fails(sold, deliverer, monkeypatch):
    one, seen = deliverer(), []
    register = one.registers[0]
    sold.ofd.mode("fail", status=500, count=1)
    deliver_and_once_two_are_claimed(one, monkeypatch, lambda: seen.extend(states_of(sold, register)))
    assert seen == ["sending", "sending", "pending"]
    assert states_of(sold, register) == 3 * ["pending"] and len(sold.ofd.history()) == 1
    assert [(row["in_doubt"], row["attempts"]) for row in waiting(sold, register)] == [(True, 1), (False, 0), (False, 0)]


def test_one_probe_although_two_processes_saw_that_it_is_time(sold, deliverer):
    sold.database.execute(OPEN, -1)
    one, other = deliverer(), deliverer()
    first, second = one.take(one.registers[0]), other.take(other.registers[1])
    assert one.claim(first) and other.claim(second) is None
    other.look()
    assert other.claim(second) is None, "a second probe while the first one is out"
    assert {row["state"] for row in waiting(sold, second.register_id)} == {"pending"}


def test_a_free_turn_starts_afresh_when_somebody_sold_meanwhile(sold, delivery):
    cr = delivery.env.cr
    cr.execute(
        "SELECT s.id, r.id FROM pos_session s JOIN kkt_register r ON r.pos_config_id = s.config_id WHERE s.state = 'opened'"
    )
    session, register = cr.fetchone()
    number = "UPDATE kkt_register SET last_fd_number = last_fd_number + 1 WHERE id = %s"
    sold.database.execute(number, register)  # after what this transaction sees
    delivery.env["kkt.register"]._take_sale_lock([session])
    cr.execute(f"{number} RETURNING last_fd_number", [register])  # or: could not serialize access due to concurrent update
    [ours] = cr.fetchone()
    cr.rollback()
    assert ours == sold.database.value("SELECT last_fd_number + 1 FROM kkt_register WHERE id = %s", register)


def test_a_deliverer_that_is_away_loses_its_guard(sold, deliverer):
    """A container that was paused: its session lives, and its lease ends."""
    away, other = deliverer(), deliverer()
    ownership = away.take(away.registers[0])
    sold.redis.client.delete(ownership.lease.key)
    heir = wait_until(lambda: other.take(ownership.register_id), 300, "the guard of a deliverer that is away")
    assert heir.epoch == ownership.epoch + 1
    from odoo.addons.opterp_kkt.delivery.session import SessionLost

    with pytest.raises(SessionLost):
        away.claim(ownership)


@pytest.mark.parametrize("why", ["it has its lease", "it told that Redis is missing"])
def test_a_deliverer_that_is_there_keeps_its_guard(sold, deliverer, monkeypatch, why):
    there, other = deliverer(), deliverer()
    ownership = there.take(there.registers[0])
    if why == "it told that Redis is missing":
        sold.redis.client.delete(ownership.lease.key)
        sold.database.execute("UPDATE kkt_delivery SET lease_missing = TRUE WHERE register_id = %s", ownership.register_id)
    get_lease = other.worker._leases.get

    def get_impatient_lease(register_id):
        lease = get_lease(register_id)
        lease.ttl = 0.0  # as if it had been waited for
        return lease

    monkeypatch.setattr(other.worker._leases, "get", get_impatient_lease)
    assert [other.take(ownership.register_id) for _number in range(5)] == 5 * [None]
    assert there.claim(ownership)


def test_a_row_that_somebody_has_locked_is_not_waited_for(sold, deliverer):
    """An administrator's transaction is open for long: what was sent is asked for when it can be recorded."""
    one = deliverer()
    queue = one.queues[one.registers[0]]
    [head, *_rest] = waiting(sold, queue.register_id)
    with closing(psycopg2.connect(dbname=sold.database.name, **sold.database.dsn)) as administrator:
        administrator.cursor().execute("SELECT FROM kkt_receipt WHERE id = %s FOR UPDATE", [head["id"]])
        one.worker.advance(queue, time.monotonic() + 60)
        assert sold.ofd.history() == [], "it could not be claimed"
        administrator.rollback()
    one.worker.advance(queue, time.monotonic() + 60)
    assert not waiting(sold, queue.register_id) and len(sold.ofd.accepted()) == len(sold.ofd.history()) == 3


def test_a_question_waits_until_it_can_be_asked(sold, deliverer, monkeypatch):
    """A person's: while a row is locked or another worker delivers nothing is raised, and nothing is sent in any case."""
    from odoo.addons.opterp_kkt.delivery import worker

    monkeypatch.setattr(worker, "PASS_SECONDS", 600)
    one, other = deliverer(), deliverer()
    register = one.registers[0]
    [head, *_rest] = waiting(sold, register)
    busy = other.take(register)
    asked = threading.Thread(target=one.worker.ask, args=[register])
    asked.start()
    wait_until(lambda: register in one.worker.tally.busy, 600, "a question that finds another worker")
    other.worker._let_go(busy)
    asked.join()
    assert [request["method"] for request in sold.ofd.history()] == ["GET"]
    assert {**waiting(sold, register)[0], "delivery_epoch": None} == head

    monkeypatch.setattr(worker, "PASS_SECONDS", 0)
    with closing(psycopg2.connect(dbname=sold.database.name, **sold.database.dsn)) as administrator:
        administrator.cursor().execute("SELECT FROM kkt_receipt WHERE id = %s FOR UPDATE", [head["id"]])
        one.worker.ask(register)
    assert len(sold.ofd.history()) == 1, "it could not be claimed"


@pytest.mark.parametrize("arrived", [True, False])
def test_what_may_be_at_a_former_address_is_settled_there_first(sold, delivery, deliverer, arrived):
    one = deliverer()
    one.worker.at_once = True
    register = one.registers[0]
    sold.ofd.mode("drop" if arrived else "reset", count=1)
    one.deliver(register)
    assert waiting(sold, register)[0]["in_doubt"]
    with Emulator() as present:
        ofd = delivery.env["kkt.ofd"].search([("register_ids", "in", [register])])
        ofd.write({"url": present.url})
        delivery.env.cr.commit()
        one.look()
        one.deliver(register)
        one.look()
        one.deliver(register)
        told = [(request["method"], request["outcome"]) for request in sold.ofd.history()[1:]]
        assert told == [("GET", "lookup_hit" if arrived else "lookup_miss")]
        assert not waiting(sold, register)
        there = {request["key"] for request in sold.ofd.accepted()}
        here = {request["key"] for request in present.accepted()}
        assert len(there | here) == 3 and not there & here and len(there) == int(arrived)


def test_nothing_is_claimed_by_settings_that_are_over(sold, delivery, deliverer):
    one = deliverer()
    ownership = one.take(one.registers[0])
    ofd = delivery.env["kkt.ofd"].search([("register_ids", "in", [ownership.register_id])])
    ofd.write({"token": "another"})
    delivery.env.cr.commit()
    assert one.claim(ownership) is None
    one.look()
    assert one.claim(ownership)


def test_an_outcome_of_old_settings_changes_no_new_ones(sold, delivery, deliverer):
    """The token is corrected while a document is under way with the wrong one."""
    one = deliverer()
    sold.ofd.mode("fail", status=401)
    ownership = one.take(one.registers[0])
    claim = one.claim(ownership)
    attempt = one.send(ownership, claim)
    ofd = delivery.env["kkt.ofd"].search([("register_ids", "in", [ownership.register_id])])
    ofd.write({"token": "the-right-one"})
    delivery.env.cr.commit()
    seen = one.record(ownership, claim, attempt)
    assert attempt.answer.outcome == "misconfigured" and not seen["fresh"]
    assert sold.database.value("SELECT paused_until FROM kkt_ofd WHERE active") is None


def test_no_register_waits_until_another_is_drained(sold, deliverer, monkeypatch):
    """A slice that is shorter than an answer has one document at most: the registers alternate, also when a person delivers."""
    from odoo.addons.opterp_kkt.delivery import worker

    monkeypatch.setattr(worker, "SLICE_SECONDS", 0.1)
    sold.ofd.mode("slow", seconds=0.3)
    one = deliverer()
    assert one.worker.make_one_pass(one.registers) == 0
    registers = [request["register"] for request in sold.ofd.history()]
    assert len(registers) == 6 and len(set(registers[:3])) == 2


def test_the_log_tells_what_did_not_go_well(sold, delivery, deliverer, caplog):
    """One line for a failure, a refusal, a hold and each step of the breaker, in the OFD's words; none of what went well."""
    one = deliverer()
    first, second = one.registers
    one.worker.at_once = True
    sold.database.execute("UPDATE kkt_ofd SET on_refusal = 'hold'")
    sold.database.execute("UPDATE kkt_circuit_breaker SET failure_threshold = 1, success_threshold = 1, version = version + 1")
    caplog.set_level(logging.INFO, "odoo.addons.opterp_kkt.delivery.journal")
    sold.ofd.mode("fail", status=500)
    one.worker.make_one_pass([first])
    sold.database.execute("UPDATE kkt_circuit_breaker SET retry_at = opened_at, version = version + 1")
    sold.ofd.mode("ok")
    one.worker.make_one_pass([first])
    sold.ofd.refuse("items", message="no such rate")
    one.worker.make_one_pass([second])
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("journal")]
    assert [line for line in lines if "unknown" in line and "HTTP 500" in line], lines
    assert [line for line in lines if "closed -> open (failures)" in line], lines
    assert [line for line in lines if "half_open -> closed" in line], lines
    assert [line for line in lines if "refused" in line and "no such rate" in line], lines
    assert [line for line in lines if f"Register {second} is held" in line], lines


LOCK_CRON = "SELECT id FROM ir_cron WHERE id = %s FOR NO KEY UPDATE SKIP LOCKED"


@pytest.mark.parametrize("where", ["looks whether it has a place", "runs"])
def test_a_server_that_is_away_keeps_no_cron(sold, registry, delivery, monkeypatch, where):
    """It is stopped when it has the row of a delivery cron: PostgreSQL frees that, and another server's cron delivers."""
    from odoo.addons.base.models.ir_cron import IrCron
    from odoo.addons.opterp_kkt.models import ir_cron

    resumed, stopped, cursors, limits = threading.Event(), threading.Event(), [], []

    def stop(*_arguments):
        cursors[0].execute("SHOW idle_in_transaction_session_timeout")
        limits.extend(cursors[0].fetchone())
        stopped.set()
        resumed.wait(1200)
        return True

    monkeypatch.setattr(ir_cron, "AWAY_SECONDS", 1.0)
    monkeypatch.setattr(ir_cron, "RUN_MARGIN", -60.0)  # of 72 s
    monkeypatch.setattr(ir_cron, "_take_place", lambda _cr: where == "runs")
    monkeypatch.setattr(ir_cron, "_may_offer", stop)
    monkeypatch.setattr(IrCron, "_run_job", classmethod(stop))
    cron = delivery._get_crons()[0].id

    def serve():
        with suppress(psycopg2.OperationalError), registry.cursor() as cron_cr:  # its connection is gone when it goes on
            cursors.append(cron_cr)
            job = IrCron._acquire_one_job(cron_cr, cron, include_not_ready=True)
            assert not sold.database.query(LOCK_CRON, cron), "it has the row"
            registry["ir.cron"]._process_job(cron_cr, job)

    server = threading.Thread(target=serve)
    server.start()
    try:
        assert stopped.wait(600)
        wait_until(lambda: sold.database.query(LOCK_CRON, cron), 600, "the cron of a server that is away")
    finally:
        resumed.set()
        server.join()
    assert limits == ["12s" if where == "runs" else "1s"], "a run may take its time"
