"""One line of the log for each thing that happened to a document, a register or a breaker; what went well at once is silent.

Numbers name them (`kkt.register`, `kkt.receipt`, `kkt.ofd`), and the OFD's own words are quoted. No credentials, no documents.
"""

import logging

from ..core import breaker
from ..core.breaker import Breaker
from ..transports import Outcome
from .outcomes import Attempt, Claim
from .queue import Queue

_logger = logging.getLogger(__name__)

LEVELS = {
    Outcome.REFUSED: logging.WARNING,
    Outcome.MISCONFIGURED: logging.WARNING,
    Outcome.UNAVAILABLE: logging.WARNING,
    Outcome.UNABLE: logging.WARNING,
    Outcome.UNKNOWN: logging.WARNING,
    Outcome.THROTTLED: logging.INFO,
    Outcome.ABSENT: logging.INFO,
    Outcome.ACCEPTED: logging.INFO,
    Outcome.PROCESSING: logging.DEBUG,
}


def note_attempt(queue: Queue, claim: Claim, attempt: Attempt, recorded: dict) -> None:
    """What came of one attempt, and whether it holds the register or pauses the OFD."""
    answer = attempt.answer
    if answer.outcome is not Outcome.ACCEPTED or claim.attempts or attempt.asked:
        _logger.log(
            LEVELS[answer.outcome],
            "Register %s, document %s, try %s at OFD %s: %s (HTTP %s, %.2f s) %s",
            queue.register_id,
            claim.id,
            claim.attempts + 1,
            queue.ofd_id,
            answer.outcome,
            answer.http_status or "-",
            answer.duration,
            answer.message,
        )
    if cause := recorded.get("held_for"):
        _logger.warning(
            "Register %s is held for document %s (%s) until a person lets it go on", queue.register_id, claim.id, cause
        )
    if recorded.get("paused"):
        _logger.warning("OFD %s is paused: %s", queue.ofd_id, answer.message)


def note_transition(queue: Queue, old: Breaker, new: Breaker) -> None:
    """What the breaker of an OFD has become."""
    if moved := breaker.transition(old, new):
        level = logging.WARNING if new.state == breaker.OPEN else logging.INFO
        _logger.log(level, "The circuit breaker of OFD %s: %s -> %s (%s)", queue.ofd_id, old.state, new.state, moved.reason)
