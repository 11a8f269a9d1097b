"""What can't be right or can't be recorded holds its register at once: trying it again for ever would tell nobody. Pure.

A register elsewhere numbers and signs what it gets. That it acknowledges our key is not enough: it must have fiscalised this
very document, on the drive that it was issued for.
"""

from dataclasses import replace

from ..core.tags import TAGS
from ..transports import Answer, EnvelopeError, Outcome
from .outcomes import Attempt, Claim

FISCAL_SIGN, FD_NUMBER, FISCAL_DRIVE, TOTAL, OPERATION = 1077, 1040, 1041, 1020, 1054


def verified(claim: Claim, attempt: Attempt) -> Attempt:
    """The attempt; one that holds the register where what was acknowledged is not the document that was sent."""
    if not claim.numbers_follow or attempt.answer.outcome is not Outcome.ACCEPTED:
        return attempt
    differences = list(_find_differences(claim, attempt.answer))
    return unfit(attempt, "; ".join(differences)) if differences else attempt


def unfit(attempt: Attempt, words: str) -> Attempt:
    """An acknowledgement that can't be recorded, for the reason that the words tell."""
    data = attempt.answer.fiscal_data
    numbers = f" ({data.fiscal_drive_number}/{data.fd_number}, {data.fiscal_sign})" if data else ""
    answer = replace(attempt.answer, outcome=Outcome.REFUSED, fiscal_data=None, message=words + numbers)
    return replace(attempt, answer=answer, hold="mismatch")


def unwritable(error: EnvelopeError) -> Attempt:
    """A document that can't be written for the OFD's protocol: nothing was sent."""
    return Attempt(Answer(Outcome.REFUSED, message=str(error)), hold="envelope")


def _find_differences(claim, answer):
    data = answer.fiscal_data
    if data is None or not data.fd_number or data.fd_number < 0 or not data.fiscal_sign:
        yield f"{TAGS[FD_NUMBER].title}, {TAGS[FISCAL_SIGN].title}: —"
        return
    if claim.operation_type and not data.qr:
        yield "QR: —"
    for tag, stated, own in (
        (FISCAL_DRIVE, data.fiscal_drive_number, claim.fiscal_drive_number),
        (TOTAL, answer.total, claim.total if claim.operation_type else None),
        (OPERATION, answer.operation_type, claim.operation_type and int(claim.operation_type)),
    ):
        if stated is not None and own is not None and stated != own:
            yield f"{TAGS[tag].title}: {stated} ≠ {own}"
