"""Circuit breaker of an OFD: a pure state machine, so that one database row can be the state for everybody.

Source: Nygard, "Release It!", pattern "Circuit Breaker"; permits that are taken and given back: resilience4j.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

AUTOMATIC, FORCED_OPEN, DISABLED = "automatic", "forced_open", "disabled"
CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"
PROBE_OUT = "probe_out"

# The only changes of state that the machine makes by itself, and why.
REASONS = {
    (CLOSED, OPEN): "failures",
    (OPEN, HALF_OPEN): "recovery_timeout",
    (HALF_OPEN, OPEN): "probe_failed",
    (HALF_OPEN, CLOSED): "probes_succeeded",
}


@dataclass(frozen=True)
class Breaker:
    """The state of one breaker; its fields are plain columns: ``Breaker(**row)``, ``dataclasses.asdict``.

    Before an attempt the caller asks ``permit``; afterwards it reports ``succeeded``, ``failed``, ``alive`` (it answers,
    but took no document) or ``released`` (no verdict: throttled, misconfigured), which have one signature:

        closed     everybody is permitted; ``failure_threshold`` failures in a row open it
        open       nobody is, for ``recovery_timeout`` seconds; then the next one becomes the probe
        half_open  one probe at a time; ``success_threshold`` successes close it, one failure opens it again

    An owner names one attempt. While open or half-open only the probe's owner is listened to, so the late
    result of an attempt begun earlier changes nothing. A probe that never reports loses its permit at
    ``probe_until``. Mode ``forced_open`` permits nobody, ``disabled`` everybody; both freeze the state.

    Each function gives back the very same object, or a changed one with ``version`` + 1: store that with
    ``UPDATE … WHERE version = <the version read>``, and decide anew when no row was hit. No function changes
    the mode or the three numbers; whoever does must add 1 to ``version``, too. Times are seconds of the
    database's clock, passed in, and no function reads a clock. That clock may be set back: a wait that is
    longer than it can ever have been (``recovery_timeout``; ``seconds`` of a permit) is over.
    """

    mode: str = AUTOMATIC
    state: str = CLOSED
    failure_threshold: int = 5
    recovery_timeout: float = 60  # s
    success_threshold: int = 2
    failure_count: int = 0  # failures since the last success
    success_count: int = 0  # of probes since it was last open
    opened_at: float | None = None  # set unless closed
    retry_at: float | None = None  # set while open
    probe_owner: str | None = None
    probe_until: float | None = None
    version: int = 0


class Transition(NamedTuple):
    """One row of the breaker's history."""

    from_state: str
    to_state: str
    reason: str


def denial(b: Breaker, now: float, seconds: float) -> str | None:
    """Why nobody gets a permit at ``now``: "forced_open", "open", "probe_out"; None when somebody does.

    ``seconds`` is what the permit of a probe lasts.
    """
    if b.mode != AUTOMATIC:
        return FORCED_OPEN if b.mode == FORCED_OPEN else None
    if b.state == OPEN and now < b.retry_at <= now + b.recovery_timeout:
        return OPEN
    if b.state == HALF_OPEN and b.probe_owner is not None and now < b.probe_until <= now + seconds:
        return PROBE_OUT
    return None


def retry_after(b: Breaker, now: float, seconds: float) -> float | None:
    """Seconds until it is worth asking for a permit again: 0.0 at once, None when only a person can tell."""
    reason = denial(b, now, seconds)
    if reason == FORCED_OPEN:
        return None
    return {None: now, OPEN: b.retry_at, PROBE_OUT: b.probe_until}[reason] - now


def permit(b: Breaker, now: float, owner: str, seconds: float) -> Breaker | None:
    """The breaker under which ``owner`` may make one attempt, or None when it is denied.

    The permit of a probe expires after ``seconds``: longer than an attempt, its lookup included, can take.
    """
    if denial(b, now, seconds):
        return None
    if b.mode == DISABLED or b.state == CLOSED:
        return b
    return _changed(b, state=HALF_OPEN, retry_at=None, probe_owner=owner, probe_until=now + seconds)


def succeeded(b: Breaker, now: float, owner: str) -> Breaker:
    """The attempt of ``owner`` brought a document to the OFD."""
    if not _listens(b, owner) or (b.state == CLOSED and b.failure_count == 0):
        return b
    successes = b.success_count + 1
    if b.state == CLOSED or successes >= b.success_threshold:
        return _closed(b)
    return _changed(b, failure_count=0, success_count=successes, probe_owner=None, probe_until=None)


def alive(b: Breaker, now: float, owner: str) -> Breaker:
    """The attempt of ``owner`` was answered by a healthy OFD that refused the document, or asks to wait for its verdict."""
    return b if b.state == CLOSED else succeeded(b, now, owner)


def failed(b: Breaker, now: float, owner: str) -> Breaker:
    """The attempt of ``owner`` found the OFD out of order, or its outcome is unknown."""
    if not _listens(b, owner):
        return b
    failures = b.failure_count + 1
    if b.state == CLOSED and failures < b.failure_threshold:
        return _changed(b, failure_count=failures)
    return _opened(b, now, failures)


def released(b: Breaker, now: float, owner: str) -> Breaker:
    """The attempt of ``owner`` ended without a verdict: a probe gives its permit back, the state stays."""
    if b.state == CLOSED or not _listens(b, owner):
        return b
    return _changed(b, probe_owner=None, probe_until=None)


def reset(b: Breaker) -> Breaker:
    """Closed by hand, with all counts at zero; the mode stays."""
    return b if b.state == CLOSED and b.failure_count == 0 else _closed(b)


def transition(old: Breaker, new: Breaker, reason: str | None = None) -> Transition | None:
    """The change of state from ``old`` to ``new``, None when there is none.

    Pass a ``reason`` for what the machine does not do by itself (``reset``). Raises KeyError without one.
    """
    if old.state == new.state:
        return None
    return Transition(old.state, new.state, reason or REASONS[old.state, new.state])


def _listens(b: Breaker, owner: str) -> bool:
    probe = b.probe_owner is not None and b.probe_owner == owner
    return b.mode == AUTOMATIC and (b.state == CLOSED or probe)


def _opened(b: Breaker, now: float, failures: int) -> Breaker:
    return _changed(
        b,
        state=OPEN,
        failure_count=failures,
        success_count=0,
        opened_at=now,
        retry_at=now + b.recovery_timeout,
        probe_owner=None,
        probe_until=None,
    )


def _closed(b: Breaker) -> Breaker:
    return _changed(
        b,
        state=CLOSED,
        failure_count=0,
        success_count=0,
        opened_at=None,
        retry_at=None,
        probe_owner=None,
        probe_until=None,
    )


def _changed(b: Breaker, **values) -> Breaker:
    return replace(b, **values, version=b.version + 1)
