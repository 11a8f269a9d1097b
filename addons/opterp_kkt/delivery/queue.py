"""A register's queue, as a look at the database shows it."""

from dataclasses import dataclass, field, replace

from ..core import breaker
from . import breaker_row
from .outcomes import Attempt, Claim
from .settings import Settings

OF_THE_WORKER = ("breaker", "claim", "claimed_after", "unrecorded")  # no columns of `SCAN`


@dataclass(frozen=True)
class Queue:
    """A register that has something to send, where that goes, and what stands in its way; a row of `SCAN`."""

    register_id: int
    ofd_id: int
    protocol: str
    url: str
    on_refusal: str
    settings_version: int
    held: bool
    due_in: float  # s
    waited: float  # s since its head was issued
    blamed: bool  # the last answer to its head may have been about the OFD as a whole
    paused_for: float  # s
    requests_per_second: float  # that the OFD takes; 0: as many as there are
    parallel_requests: int
    breaker_id: int
    breaker: breaker.Breaker
    now: float  # s since 1970, by PostgreSQL's clock
    credentials: dict | None = field(repr=False)
    claim: Claim | None = None  # of what comes next, which is ours already
    claimed_after: float = 0.0  # moment of the monotonic clock: nothing was in its way then
    unrecorded: tuple[Claim, Attempt] | None = None  # what was accepted before it, and is recorded while it is under way

    @classmethod
    def from_row(cls, row: dict) -> "Queue":
        decided = breaker_row.from_row(row)
        seen = {name: row[name] for name in cls.__dataclass_fields__ if name not in OF_THE_WORKER}
        return cls(**seen, breaker=decided)

    @property
    def is_limited(self) -> bool:
        return bool(self.requests_per_second or self.parallel_requests)

    @property
    def endpoint_key(self) -> tuple:
        return self.ofd_id, self.settings_version

    @property
    def parameters(self) -> dict:
        """What statements know it by."""
        return {
            "register": self.register_id,
            "ofd": self.ofd_id,
            "breaker": self.breaker_id,
            "settings_version": self.settings_version,
        }

    def after(self, row: dict) -> "Queue":
        """The same when a document was recorded: the breaker as it is now, and the next claim."""
        claim = Claim.from_row(row) if row.get("id") else None
        return replace(self, breaker=breaker_row.from_row(row), now=row["now"], claim=claim, unrecorded=None)

    def get_wait(self, settings: Settings) -> float | None:
        """Seconds until the head is due; None when only a person can tell."""
        permitted_in = breaker.retry_after(self.breaker, self.now, settings.permit_seconds)
        if self.held or permitted_in is None:
            return None
        return max(0.0, self.due_in, self.paused_for, permitted_in)
