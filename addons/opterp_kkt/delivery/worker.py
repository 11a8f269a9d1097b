"""The loop that brings the documents of a register to its OFD. What it needs of Odoo it is given: settings, whom to call."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from time import monotonic, sleep
from uuid import uuid4

from psycopg2 import IntegrityError
from psycopg2.errors import LockNotAvailable

from ..core import breaker
from ..core.fiscal_data import FiscalData
from ..transports import Outcome
from . import breaker_row, journal, statements
from .deferred import Deferred
from .guard import Guard
from .lease import LeaseLost, Leases
from .news import News
from .outcomes import EFFECTS, FOR_PEOPLE, SETTLED, Attempt, Claim, consequences, fails_alone, is_routine
from .ownership import Absentees, Fenced, Ownership
from .pace import Pace
from .queue import Queue
from .sender import Sender
from .session import SessionLost
from .settings import Settings
from .tally import Tally
from .verification import unfit, verified

_logger = logging.getLogger(__name__)

SLICE_SECONDS = 2.0  # that are spent on one register before the others are looked at
NAP_SECONDS = 1.0  # between two looks at the queues
PASS_SECONDS = 20.0  # for one "Deliver now"
SHORTEST_NAP = 0.05
FRESH_SECONDS = 0.1  # for which a claim is as good as new: about what may lie between any claim and its sending on a busy machine
ASK_AGAIN = 0.2  # more often than a nap: a probe's turn does not last


class Worker:
    """Delivers documents, one register at a time: claim, commit, send, record.

        make_one_pass, a lane ──> scan: which registers have something due?
            └─ Ownership: guard, lease, epoch      at most one deliverer per register, in every process on every host
                 └─ _claim    one UPDATE; its permit comes from the breaker in the same statement
                    _send     the network; no transaction and no row lock waits for it
                    _record   one statement, by this epoch only; then the breaker is told

    In a long queue the OFD need not wait for PostgreSQL: while one document is under way, the one before it is recorded and the
    one behind it is claimed, in one commit (`_go_on`). When the answer is there, the next is sent at once, unless it is no longer
    ours or something has come in its way (`_may_start`).

    All statements run on the guard's own connection, each in its own transaction, so that a process that lost the guard
    can't write either. A document that a dead process left in `sending` is claimed again by the next owner, which asks the
    OFD for it before it sends the same bytes under the same key again.

    Use as a context manager, in one thread of one process. SessionLost ends it: make another.

    :param guard: an own session, which the worker closes
    :param news: what happened, for those who have to hear of it soon
    :param at_once: ignore the documents' own waits, but neither the breaker nor an OFD's pause
    """

    def __init__(self, settings: Settings, guard: Guard, news: News, at_once: bool = False):
        self.settings = settings
        self.guard = guard
        self.tally = Tally()
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self.at_once = at_once
        self.news = news
        self.absentees = Absentees()
        self._pace = Pace(guard)
        self._sender = Sender(settings, guard, self._pace)
        self._leases = Leases(settings.redis_url, settings.lease_prefix, self.holder, settings.lease_ttl)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self) -> None:
        self._sender.close()
        self.guard.close()

    # -- who calls -------------------------------------------------------------------------------------------------------

    def make_one_pass(self, register_ids: list[int]) -> int:
        """Deliver what these registers have, for at most PASS_SECONDS. Return how many documents still wait."""
        until, going_on = monotonic() + PASS_SECONDS, register_ids
        while going_on and monotonic() < until:
            going_on = [queue.register_id for queue in self.scan(going_on) if not queue.held and self.advance(queue, until)]
        [row] = self.guard.execute(statements.COUNT_WAITING, [register_ids])
        self.news.publish_all()
        return row["count"]

    def ask(self, register_id: int) -> None:
        """Ask the OFD for the head of a queue, held or not, without sending it, and record what it says.

        While the breaker or another worker is in the way it waits for its chance, for PASS_SECONDS: a person waits for it.
        """
        until = monotonic() + PASS_SECONDS
        while self._may_ask(register_id) and monotonic() < until:
            sleep(ASK_AGAIN)
        self.news.publish_all()

    def _may_ask(self, register_id: int) -> bool:
        """Ask if that is possible now; True when it may be in a moment."""
        asked = self.tally.attempts
        queue = next(iter(self.scan([register_id])), None)
        if queue is None or queue.paused_for or queue.breaker.mode == breaker.FORCED_OPEN:
            return False
        with self._own(queue) as ownership:
            if ownership:
                self._deliver_next(ownership, queue, only_ask=True)
        return self.tally.attempts == asked

    # -- one register ----------------------------------------------------------------------------------------------------

    def advance(self, queue: Queue, until: float) -> bool:
        """Deliver for one register for a while; True when there is more to do. What goes wrong is not the others' trouble."""
        try:
            return self._deliver_for(queue, min(until, monotonic() + SLICE_SECONDS))
        except SessionLost:
            raise
        except Exception:
            _logger.exception("Delivery for register %s failed", queue.register_id)
        return False

    def scan(self, register_ids: list[int] | None = None) -> list[Queue]:
        """The queues that have something to send."""
        parameters = {"registers": register_ids, **self.settings.longest_waits}
        return [Queue.from_row(row) for row in self.guard.execute(statements.SCAN, parameters)]

    def _deliver_for(self, queue: Queue, until: float) -> bool:
        """Deliver the queue of one register as far as it goes; True when only the time was up."""
        with self._own(queue) as ownership:
            while ownership and queue and (queue.claim or monotonic() < until):
                queue = self._deliver_next(ownership, queue, until)
                self.news.publish_to_tills()
            return bool(ownership and queue)
        return False

    @contextmanager
    def _own(self, queue: Queue) -> Iterator[Ownership | None]:
        """Own a register, None when another worker does; who loses it meanwhile, or finds a row locked, lets go."""
        ownership = None
        try:
            ownership = self._take(queue)
            yield ownership
        except (Fenced, LeaseLost) as error:
            _logger.warning("Register %s was taken over: %r", queue.register_id, error)
            self.tally.busy.add(queue.register_id)
        except LockNotAvailable as error:
            _logger.warning("Register %s has to wait, somebody has a row locked: %s", queue.register_id, error)
        finally:
            if ownership:
                self._let_go(ownership)

    def _take(self, queue: Queue) -> Ownership | None:
        """Become the owner of a register; None when another worker is."""
        lease = self._leases.get(queue.register_id)
        ownership = Ownership(self.guard, lease, queue.register_id, self.holder)
        if ownership.take():
            return ownership
        self.tally.busy.add(queue.register_id)
        if lease:
            self.absentees.notice(self.guard, lease, queue.register_id)
        return None

    def _let_go(self, ownership: Ownership) -> None:
        if ownership.lease is None:
            self._leases.pause()
        with suppress(SessionLost):
            ownership.release()

    def _deliver_next(self, ownership: Ownership, queue: Queue, until: float = 0.0, only_ask: bool = False) -> Queue | None:
        """Claim one document, unless that was done while the one before it was under way; send and record it.

        :param until: moment of the monotonic clock after which no other is begun
        :return: the queue as seen then; None when it is empty, has to wait, or goes elsewhere now
        """
        with self._pace.permit(queue) as permitted:
            if not permitted or not self._pace.take_start(queue):
                return None
            if not (claim := queue.claim):
                ownership.keep(self.settings.attempt_seconds)
                claim = self._claim(ownership, queue, only_ask)
            return self._deliver_claimed(ownership, queue, claim, until) if claim else None

    def _deliver_claimed(self, ownership: Ownership, queue: Queue, claim: Claim, until: float) -> Queue | None:
        """Send it. While it is under way, the one before it is recorded and the one behind it claimed; so what is accepted as
        nearly all is, at the first try, is recorded only when the next one is out. All else is recorded at once."""
        if queue.unrecorded and not self._may_start(ownership, queue, claim):
            self._put_back(ownership, queue, claim)
            return self._settle(ownership, queue, *queue.unrecorded)
        begun = monotonic()
        meanwhile = Deferred(partial(self._go_on, ownership, queue, claim, until))
        attempt = verified(claim, self._send(ownership, queue, claim, meanwhile))
        seen = meanwhile.get_result() if queue.unrecorded or meanwhile.is_done else None
        if seen and seen.claim:
            if is_routine(claim, attempt):
                return replace(seen, unrecorded=(claim, attempt), claimed_after=begun)
            self._put_back(ownership, queue, seen.claim)
        return self._settle(ownership, queue, claim, attempt)

    def _go_on(self, ownership: Ownership, queue: Queue, claim: Claim, until: float) -> Queue | None:
        """While a document is under way: record the one before it, and claim the one behind it if there is time for that. What
        an OFD limits is not claimed before it may start."""
        more = monotonic() < until and not queue.is_limited and self._keeps(ownership)
        behind = claim.queue_number if more else None
        if queue.unrecorded:
            return self._settle(ownership, queue, *queue.unrecorded, behind)
        return self._claim_following(ownership, queue, behind) if behind else None

    def _settle(
        self, ownership: Ownership, queue: Queue, claim: Claim, attempt: Attempt, behind: int | None = None
    ) -> Queue | None:
        """Record what came of a document, and let everybody hear of it.

        :param behind: place in the queue of what is under way by now: the one right behind it is claimed
        :return: as `_deliver_next`
        """
        try:
            seen = self._record(ownership, queue, claim, attempt, behind)
        except IntegrityError as error:  # as an FD number that another document has
            attempt = unfit(attempt, error.diag.message_detail or error.diag.message_primary)
            seen = self._record(ownership, queue, claim, attempt)
        journal.note_attempt(queue, claim, attempt, seen)
        self._report(ownership, queue, fails_alone(claim, attempt.answer), attempt, seen)
        self._count(claim, attempt.answer.outcome)
        self.news.note_change([queue.register_id])
        goes_on = attempt.answer.outcome in SETTLED and seen["fresh"] and not claim.elsewhere
        return queue.after(seen) if goes_on else None

    def _count(self, claim: Claim, outcome: Outcome) -> None:
        self.tally.attempts += 1
        self.tally.delivered += outcome is Outcome.ACCEPTED
        self.tally.rejected += outcome is Outcome.REFUSED
        self.news.for_people |= (
            outcome in FOR_PEOPLE
            or EFFECTS[outcome].failed
            and (claim.failures + 1 == self.settings.poison_tries or claim.lone_failures > 0)
        )

    # -- claim, send, record ---------------------------------------------------------------------------------------------

    def _claim(self, ownership: Ownership, queue: Queue, only_ask: bool) -> Claim | None:
        """Take the head of the queue for sending, with the breaker's permit; None when there is nothing to take."""
        old = queue.breaker
        new = breaker.permit(old, queue.now, ownership.name, self.settings.permit_seconds)
        if new is None:
            return None
        parameters = self._get_parameters(ownership, queue, only_ask)
        if new is old:
            rows = self.guard.run(statements.CLAIM, parameters)
        else:
            rows = self.guard.run(statements.CLAIM_PROBE, parameters | breaker_row.to_parameters(old, new, ownership.name))
            if rows:
                self._note_transition(queue, old, new)
        return Claim.from_row(rows[0], only_ask) if rows else None

    def _get_parameters(self, ownership: Ownership, queue: Queue, only_ask: bool = False) -> dict:
        """Of every statement that claims or records."""
        ours = {"epoch": ownership.epoch, "at_once": self.at_once or only_ask, "only_ask": only_ask}
        return queue.parameters | ours | self.settings.longest_waits

    def _send(self, ownership: Ownership, queue: Queue, claim: Claim, meanwhile: Deferred) -> Attempt:
        """See `Sender.send`."""
        return self._sender.send(ownership, queue, claim, meanwhile)

    def _record(self, ownership: Ownership, queue: Queue, claim: Claim, attempt: Attempt, behind: int | None = None) -> dict:
        """Write down what came of a document, and claim the one behind that place in the queue in the same commit.

        :return: breaker and settings as they are now (`SEE`); what it stopped, if anything; the next claim, if any
        :raises Fenced: somebody else delivers for this register
        """
        parameters = {
            **self._get_parameters(ownership, queue),
            "receipt": claim.id,
            "under_way": behind,
            **consequences(claim, attempt, queue.on_refusal, self.settings).as_dict(),
            **(attempt.answer.fiscal_data or FiscalData())._asdict(),
        }
        if is_routine(claim, attempt):
            statement = statements.RECORD_ACCEPTED_AND_CLAIM if behind else statements.RECORD_ACCEPTED
            recorded = self.guard.run(statement, parameters)
        else:
            recorded = self.guard.run(statements.RECORD, parameters | {
                "tried_at": claim.tried_at, "of_late": self.settings.misconfigured_pause,
                "looked_up": attempt.asked is not None, "duration": attempt.answer.duration, "holder": self.holder,
                "refusal_streak": self.settings.refusal_streak,
            })  # fmt: skip
        if not recorded:
            raise Fenced(f"epoch {ownership.epoch} of register {queue.register_id} is over")
        return recorded[0]

    # -- the document behind the one that is under way -------------------------------------------------------------------

    def _keeps(self, ownership: Ownership) -> bool:
        """Whether the lease is ours for another request. Who has lost it can still record: the guard is ours."""
        with suppress(LeaseLost):
            ownership.keep(self.settings.attempt_seconds)
            return ownership.lasts(self.settings.request_seconds)  # not where a person has set it shorter than that
        return False

    def _claim_following(self, ownership: Ownership, queue: Queue, behind: int) -> Queue | None:
        parameters = {**self._get_parameters(ownership, queue), "under_way": behind}
        rows = self.guard.run(statements.CLAIM_FOLLOWING, parameters)
        return replace(queue, claim=Claim.from_row(rows[0])) if rows else None

    def _may_start(self, ownership: Ownership, queue: Queue, claim: Claim) -> bool:
        """Whether what was claimed is still ours to send, and nothing has come in its way. PostgreSQL said so when that was
        claimed; it is asked again after FRESH_SECONDS, or when it has said anything more on the guard's connection."""
        if not ownership.lasts(self.settings.request_seconds):
            return False
        if monotonic() - queue.claimed_after < FRESH_SECONDS and self.guard.is_silent():
            return True
        parameters = {**self._get_parameters(ownership, queue), "receipt": claim.id}
        return bool(self.guard.run(statements.MAY_START, parameters))

    def _put_back(self, ownership: Ownership, queue: Queue, claim: Claim) -> None:
        self.guard.execute(statements.PUT_BACK, {"receipt": claim.id, "epoch": ownership.epoch})

    def _report(self, ownership: Ownership, queue: Queue, alone: bool, attempt: Attempt, seen: dict) -> None:
        """Tell the breaker what came of an attempt. A probe by old settings gives its permit back, whatever came of it."""
        verdict = breaker.released if alone else EFFECTS[attempt.answer.outcome].verdict
        while True:
            old = breaker_row.from_row(seen)
            new = (verdict if seen["fresh"] else breaker.released)(old, seen["now"], ownership.name)
            if new is old:
                return
            parameters = breaker_row.to_parameters(old, new, ownership.name)
            if self.guard.execute(breaker_row.UPDATE, {"breaker": queue.breaker_id, **parameters}):
                return self._note_transition(queue, old, new)
            [seen] = self.guard.execute(statements.SEE, {"ofd": queue.ofd_id, "settings_version": queue.settings_version})

    def _note_transition(self, queue: Queue, old: breaker.Breaker, new: breaker.Breaker) -> None:
        journal.note_transition(queue, old, new)
        if new.state != old.state:
            rows = self.guard.execute(statements.REGISTERS_OF_BREAKER, [queue.breaker_id])
            self.news.note_change(row["id"] for row in rows)
