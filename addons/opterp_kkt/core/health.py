"""Whether documents are on their way, judged from outside the crons: facts in, reasons out.

The same verdict stands behind `GET /kkt/health`, `odoo kkt status`, the till's icon and the register's form.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

LATE = 300.0  # s that what could be sent has waited: unhealthy. The till turns amber after one minute, and red after an hour
DELIVERY_SILENT = 300.0  # s since the last call of jobs that are called every minute
WATCH_SILENT = 1200.0  # s: called every five minutes
CLOCK_SET_BACK = 60.0  # s that a call may lie ahead: the database's clock is read at different moments
FAILURES = 3  # in a row: a job is called, but does nothing

REASONS = {
    "no_delivery_job": "No delivery job is left, or all are switched off.",
    "delivery_silent": "No delivery job has run for {minutes} minutes: this database has no server with cron threads.",
    "delivery_fails": "The delivery jobs are called, but fail: see the server's log.",
    "no_watch_job": "The watch over receipts that wait is gone or switched off: nobody would be told of anything.",
    "watch_silent": "The watch over receipts that wait has not run for {minutes} minutes: nobody would be told of anything.",
    "watch_fails": "The watch over receipts that wait is called, but fails: see the server's log.",
    "late": "The oldest document that could be sent has waited for {minutes} minutes.",
    "held_untold": "Registers that are held for {minutes} minutes or longer, and nobody was told: {count}.",
}
WARNINGS = {
    "redis": "Redis does not answer: delivery goes on under the database's guard alone.",
    "open": "Circuit breakers that are open, as the OFD does not answer: {count}.",
    "half_open": "Circuit breakers that are half-open: {count}.",
    "forced_open": "Circuit breakers that are forced open: nothing is sent through them: {count}.",
    "disabled": "Circuit breakers that are disabled: {count}.",
    "paused": "OFDs to which delivery is paused: {count}.",
}


@dataclass(frozen=True)
class Job:
    """A scheduled job; `silent_for` (s) is negative when the database's clock was set back since its last call."""

    active: bool
    failure_count: int
    silent_for: float


@dataclass(frozen=True)
class Queue:
    """What one register waits with. `told`: people know that it is held."""

    age: float  # s, of its oldest document
    held: bool = False
    told: bool = False


@dataclass(frozen=True)
class Facts:
    """What is known without asking any job."""

    queues: list[Queue] = field(default_factory=list)
    delivery: list[Job] = field(default_factory=list)
    watch: list[Job] = field(default_factory=list)
    delivering: bool = False  # somebody delivers at this very moment
    redis: bool = True
    breakers: Counter = field(default_factory=Counter)  # how many in which state or mode
    paused: int = 0


class Finding(NamedTuple):
    """Something that is not as it should be."""

    code: str
    text: str


class Verdict(NamedTuple):
    """Healthy without reasons; warnings are what a person may want to know all the same."""

    reasons: list[Finding]
    warnings: list[Finding]

    @property
    def healthy(self) -> bool:
        return not self.reasons


def judge(facts: Facts) -> Verdict:
    """Silence is unhealthy. What is somebody's business, a hold or a refusal that people were told of, is not."""
    found = {
        delivery_stop(facts.delivery, facts.delivering): {"minutes": _minutes(facts.delivery)},
        _stop("watch", facts.watch, WATCH_SILENT): {"minutes": _minutes(facts.watch)},
    }
    oldest = oldest_age(facts)
    if oldest is not None and oldest >= LATE:
        found["late"] = {"minutes": int(oldest // 60)}
    untold = [queue for queue in facts.queues if queue.held and not queue.told and queue.age >= LATE]
    if untold:
        found["held_untold"] = {"minutes": int(LATE // 60), "count": len(untold)}
    found.pop(None, None)
    return Verdict(_findings(REASONS, found), _findings(WARNINGS, _warnings(facts)))


def oldest_age(facts: Facts) -> float | None:
    """Seconds that the oldest document waits that could be sent; None when there is none."""
    return max((queue.age for queue in facts.queues if not queue.held), default=None)


def delivery_stop(jobs: list[Job], delivering: bool) -> str | None:
    """Why nothing at all is delivered by itself, as a code of `REASONS`."""
    return None if delivering else _stop("delivery", jobs, DELIVERY_SILENT)


def obstacle(row: dict) -> str | None:
    """What stands in the way of one queue: the first thing that somebody has to do, or to wait for."""
    if row["held"]:
        return "held"
    if row["mode"] == "forced_open":
        return "forced_open"
    if (row["paused_for"] or 0) > 0:
        return "paused"
    return "open" if row["mode"] == "automatic" and row["state"] != "closed" else None


def next_try_in(row: dict) -> float | None:
    """Seconds until the head of a queue is tried again; None when there is none, or only a person can tell."""
    if not row["head_id"] or row["sending"] or obstacle(row) in ("held", "forced_open"):
        return None
    permitted_in = row["permitted_in"] if obstacle(row) == "open" else 0
    return max(0.0, row["due_in"] or 0, row["paused_for"] or 0, permitted_in or 0)


def _stop(name: str, jobs: list[Job], silent: float) -> str | None:
    active = [job for job in jobs if job.active]
    if not active:
        return f"no_{name}_job"
    called = [job for job in active if -CLOCK_SET_BACK <= job.silent_for <= silent]
    if not called:
        return f"{name}_silent"
    return f"{name}_fails" if all(job.failure_count >= FAILURES for job in called) else None


def _minutes(jobs: list[Job]) -> int:
    return int(min((abs(job.silent_for) for job in jobs if job.active), default=0) // 60)


def _warnings(facts: Facts) -> dict[str, dict]:
    found = {} if facts.redis else {"redis": {}}
    found |= {name: {"count": count} for name, count in facts.breakers.items()}
    return found | ({"paused": {"count": facts.paused}} if facts.paused else {})


def _findings(texts: dict[str, str], found: dict[str, dict]) -> list[Finding]:
    return [Finding(code, texts[code].format(**found[code])) for code in texts if code in found]
