"""What one outcome means: the table, and what follows from it for a document. Pure."""

import random
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from ..core import breaker
from ..transports import LONGEST_PAUSE, Answer, Outcome

CHECK_AGAIN = 5.0  # s until a document in progress is asked for again, when the OFD names no interval


class Effect(NamedTuple):
    """One row of the table: what it does to the document, and what the breaker makes of it."""

    state: str = "pending"
    counts: bool = True  # an attempt is counted, by which the backoff grows
    failed: bool = False  # a try without a verdict: the document's `failures` grow
    anew: bool = False  # they begin at zero again
    doubt: bool | None = None  # None: as before
    verdict: object = breaker.released


EFFECTS = {
    Outcome.ACCEPTED: Effect("delivered", anew=True, doubt=False, verdict=breaker.succeeded),
    Outcome.PROCESSING: Effect(counts=False, anew=True, doubt=True, verdict=breaker.alive),
    Outcome.REFUSED: Effect("rejected", anew=True, doubt=False, verdict=breaker.alive),
    Outcome.MISCONFIGURED: Effect(counts=False, failed=True),
    Outcome.THROTTLED: Effect(counts=False),
    Outcome.UNAVAILABLE: Effect(verdict=breaker.failed),
    Outcome.UNABLE: Effect(anew=True, doubt=False, verdict=breaker.failed),
    Outcome.UNKNOWN: Effect(failed=True, doubt=True, verdict=breaker.failed),
    Outcome.ABSENT: Effect(counts=False, anew=True, doubt=False),
}
TRIED_LATER = (Outcome.UNAVAILABLE, Outcome.UNABLE, Outcome.UNKNOWN, Outcome.MISCONFIGURED)  # ever later, by backoff
NOT_THERE = (Outcome.ABSENT, Outcome.UNABLE)  # answers to a question: nothing of it was taken
SETTLED = (Outcome.ACCEPTED, Outcome.REFUSED)  # the next document may follow at once
FOR_PEOPLE = (Outcome.REFUSED, Outcome.MISCONFIGURED, Outcome.ABSENT)  # somebody has to hear of these soon


@dataclass(frozen=True)
class Claim:
    """A document that is being sent."""

    id: int
    queue_number: int
    idempotency_key: str
    protocol: str  # that the payload is written for
    payload: str
    attempts: int
    in_doubt: bool  # an earlier try may have arrived
    failures: int  # tries without a verdict since it was last retried
    lone_failures: int  # of these, those around which documents of other registers were accepted
    failed_lookups: int  # since the last one that told something
    last_error: str | None
    tried_at: datetime | None  # before
    elsewhere: bool  # it goes to an OFD that is no longer the register's, only to be settled
    numbers_follow: bool = False  # the answer brings numbers and sign; of what, say the three below
    fiscal_drive_number: str | None = None
    total: int | None = None
    operation_type: str | None = None
    ofd_id: str = ""  # that the latest answer about it brought
    only_ask: bool = False  # a person wants to know, nothing is sent

    @property
    def is_first_try(self) -> bool:
        """It is simply sent, and by all that is known it will simply be accepted."""
        return not (self.attempts or self.failures or self.in_doubt or self.elsewhere or self.only_ask or self.numbers_follow)

    @classmethod
    def from_row(cls, row: dict, only_ask: bool = False) -> "Claim":
        return cls(**{name: row[name] for name in cls.__dataclass_fields__ if name != "only_ask"}, only_ask=only_ask)


@dataclass(frozen=True)
class Attempt:
    """What came of a claim: the answer that counts, and what the OFD said when it was asked first, None if it was not."""

    answer: Answer
    asked: Outcome | None = None
    sent: bool = False
    hold: str | None = None  # the cause for which the register is held whatever the OFD's settings say


@dataclass(frozen=True)
class Consequences:
    """Parameters of the statement that records; seconds, counted by PostgreSQL from when it does."""

    state: str
    counted: int
    failed: int
    anew: bool
    in_doubt: bool
    absent: bool  # the OFD has said that it does not have it, and nothing was sent since that it may have taken
    forget: bool  # where it was sent: it is nowhere
    failed_lookups: int
    may_be_own: bool
    wait: float | None
    pause: float | None
    hold_cause: str | None
    hold_reason: str
    error: str | None
    outcome: str
    status: int | None
    message: str | None
    server_time: int | None
    ofd_document_id: str | None

    def as_dict(self) -> dict:
        return dict(vars(self))


def consequences(claim: Claim, attempt: Attempt, on_refusal: str, numbers) -> Consequences:
    """What an attempt means for its document, register and OFD.

    :param on_refusal: `go_on` or `hold`, a setting of the OFD
    :param numbers: the settings of the worker
    """
    answer, effect = attempt.answer, EFFECTS[attempt.answer.outcome]
    absent = attempt.asked in NOT_THERE and not (attempt.sent and (effect.doubt or answer.outcome is Outcome.ACCEPTED))
    hold_cause = attempt.hold or _get_hold_cause(claim, answer, on_refusal, numbers)
    return Consequences(
        state=effect.state,
        counted=int(effect.counts),
        failed=int(effect.failed),
        anew=effect.anew,
        in_doubt=_is_in_doubt(claim, attempt),
        absent=absent,
        forget=absent and not attempt.sent and claim.elsewhere,
        failed_lookups=_count_failed_lookups(claim, attempt),
        may_be_own=answer.outcome is Outcome.MISCONFIGURED or (effect.failed and claim.tried_at is not None),
        wait=_get_wait(claim, answer, numbers),
        pause=None if hold_cause else _get_pause(answer, numbers),
        hold_cause=hold_cause,
        hold_reason=_get_error(claim, answer) or answer.outcome.value,
        error=_get_error(claim, answer),
        outcome=answer.outcome.value,
        status=answer.http_status,
        message=answer.message or None,
        server_time=answer.server_time,
        ofd_document_id=answer.ofd_id or None,
    )


def is_routine(claim: Claim, attempt: Attempt) -> bool:
    """Accepted at the first try, as nearly all is: there is nothing to write about it but that."""
    return attempt.answer.outcome is Outcome.ACCEPTED and not claim.attempts and attempt.asked is None


def fails_alone(claim: Claim, answer: Answer) -> bool:
    """What fails although others pass says nothing about the OFD: a bad document doesn't cut off the other registers."""
    return answer.outcome is Outcome.UNKNOWN and claim.lone_failures > 0


def must_ask(claim: Claim, tries: int) -> bool:
    """Whether the OFD is asked for a document before it is sent: an earlier try may have arrived, or somebody wants to know.

    Where asking has failed so often, the same bytes are sent again under the same key instead.
    """
    if claim.only_ask or claim.lone_failures >= tries:
        return True
    return (claim.in_doubt or claim.failures > 0) and claim.failed_lookups < tries


def may_send(claim: Claim, tries: int) -> bool:
    """Whether a document that the OFD does not have is sent: not when a person asks, nor when it has failed alone too often."""
    return not claim.only_ask and not claim.elsewhere and claim.lone_failures < tries


def _is_in_doubt(claim: Claim, attempt: Attempt) -> bool:
    """It stays in doubt until somebody who knows has spoken; an answer to the question alone brings no doubt."""
    effect = EFFECTS[attempt.answer.outcome]
    if effect.doubt is False or (attempt.asked is Outcome.ABSENT and not effect.doubt):
        return False
    asked_in_vain = not attempt.sent and attempt.answer.outcome is not Outcome.PROCESSING
    return claim.in_doubt or bool(effect.doubt and not asked_in_vain)


def _count_failed_lookups(claim: Claim, attempt: Attempt) -> int:
    if attempt.sent or attempt.asked in (Outcome.ABSENT, Outcome.PROCESSING, Outcome.ACCEPTED):
        return 0
    failed = EFFECTS[attempt.answer.outcome].failed
    return claim.failed_lookups + failed


def _get_wait(claim: Claim, answer: Answer, numbers) -> float | None:
    if answer.outcome is Outcome.PROCESSING:
        return answer.retry_after or CHECK_AGAIN
    if answer.outcome in TRIED_LATER:
        tries = max(claim.attempts, claim.failures)
        return random.uniform(0, min(numbers.backoff_max, 2.0 ** min(tries, 30)))
    return None


def _get_pause(answer: Answer, numbers) -> float | None:
    if answer.outcome is Outcome.MISCONFIGURED:
        return numbers.misconfigured_pause
    return min(answer.retry_after, LONGEST_PAUSE) if answer.outcome is Outcome.THROTTLED else None


def _get_hold_cause(claim: Claim, answer: Answer, on_refusal: str, numbers) -> str | None:
    if answer.outcome is Outcome.REFUSED:
        return "conflict" if answer.conflict else "refused" if on_refusal == "hold" else None
    failing = answer.outcome is Outcome.ABSENT or EFFECTS[answer.outcome].failed
    return "failing" if failing and claim.lone_failures >= numbers.poison_tries and not claim.only_ask else None


def _get_error(claim: Claim, answer: Answer) -> str | None:
    """The last thing that went wrong; that the OFD does not have the document is no news of it."""
    if answer.outcome is Outcome.ACCEPTED:
        return None
    return claim.last_error if answer.outcome is Outcome.ABSENT else answer.message or None
