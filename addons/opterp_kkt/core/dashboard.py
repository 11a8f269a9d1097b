"""What a page that is looked at makes of figures: which registers want attention, and how a breaker's state went on."""

from collections.abc import Sequence
from typing import NamedTuple

LONGEST_WAIT = 30.0  # days that the law gives a document to reach the OFD
AMBER, RED = 60.0, 3600.0  # s that a document may wait: as the till's icon has it
FEW_DAYS, FEW_HOURS = 5.0, 1.0  # left of the 30 days, of a shift's 24 hours
STOPS = ("held", "forced_open", "no_delivery_job", "delivery_silent", "delivery_fails")
OBSTACLES = ("open", "paused", "backoff")


class Move(NamedTuple):
    """A transition of a breaker, at a moment in s since 1970."""

    at: float
    before: str
    after: str


class Span(NamedTuple):
    """How long a breaker was in a state: shares of the time that is shown, 0 to 1."""

    state: str
    begin: float
    end: float


def get_band(moves: Sequence[Move], state: str, begin: float, end: float) -> list[Span]:
    """The states of a breaker from one moment to another.

    :param moves: those between the two, in order
    :param state: the one at the end, where nothing moved
    """
    marks = [begin, *(min(max(move.at, begin), end) for move in moves), end]
    states = [moves[0].before if moves else state, *(move.after for move in moves)]
    shares = [(mark - begin) / (end - begin) for mark in marks]
    return [Span(*span) for span in zip(states, shares, shares[1:], strict=False) if span[2] > span[1]]


def get_days_left(oldest: float | None) -> float | None:
    """Days until the oldest document that waits, for so many seconds, breaks the law."""
    return None if oldest is None else LONGEST_WAIT - oldest / 86400


def get_attention(
    condition: str | bool, oldest: float | None, rejected: int, hours_left: float | None, lease_missing: bool = False
) -> str:
    """`danger`: a person has to act; `warning`: something is in the way; `success`: all is well."""
    left = get_days_left(oldest)
    if condition in STOPS or rejected or (oldest or 0) > RED or (left is not None and left < FEW_DAYS):
        return "danger"
    late = condition in OBSTACLES or (oldest or 0) > AMBER
    if late or lease_missing or (hours_left is not None and hours_left < FEW_HOURS):
        return "warning"
    return "success"
