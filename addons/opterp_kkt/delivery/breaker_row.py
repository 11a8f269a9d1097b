"""The circuit breaker of an OFD as a row of `kkt_circuit_breaker`: read, decide (`core/breaker.py`), write if nobody else did."""

from ..core import breaker
from ..core.breaker import Breaker

TIMES = ("opened_at", "retry_at", "probe_until")
DECIDED = ("state", "failure_count", "success_count", "opened_at", "retry_at", "probe_owner", "probe_until", "version")
SETTINGS = ("mode", "failure_threshold", "recovery_timeout", "success_threshold")

# Decisions are made in seconds of the database's clock; the columns are Odoo's, in UTC without a zone.
COLUMNS = (
    ", ".join(
        f"extract(epoch FROM b.{name} AT TIME ZONE 'UTC')::float8 AS {name}" if name in TIMES else f"b.{name}"
        for name in SETTINGS + DECIDED
    )
    + ", b.id AS breaker_id, extract(epoch FROM clock_timestamp())::float8 AS now"
)
ASSIGNMENTS = "state = %(b_state)s::text, " + ", ".join(
    f"{name} = to_timestamp(%(b_{name})s::float8) AT TIME ZONE 'UTC'" if name in TIMES else f"{name} = %(b_{name})s"
    for name in DECIDED[1:]
)
# Follows a CTE `changed (id)` of the breakers that the update won.
EVENT = """
    INSERT INTO kkt_circuit_breaker_event (breaker_id, happened_at, from_state, to_state, reason, actor)
    SELECT id, clock_timestamp() AT TIME ZONE 'UTC', %(from_state)s::text, %(b_state)s::text, %(reason)s::text, %(actor)s::text
      FROM changed WHERE %(from_state)s::text <> %(b_state)s::text
"""
UPDATE = f"""
    WITH changed AS (
        UPDATE kkt_circuit_breaker SET {ASSIGNMENTS} WHERE id = %(breaker)s AND version = %(seen)s RETURNING id
    ), event AS ({EVENT})
    SELECT id FROM changed
"""


def from_row(row: dict) -> Breaker:
    """The breaker that a row of `COLUMNS` describes."""
    return Breaker(**{name: row[name] for name in SETTINGS + DECIDED})


def to_parameters(old: Breaker, new: Breaker, actor: str, reason: str | None = None) -> dict:
    """Parameters of `ASSIGNMENTS` and `EVENT`, and the version that the update must find."""
    moved = breaker.transition(old, new, reason)
    decided = {f"b_{name}": getattr(new, name) for name in DECIDED}
    return {**decided, "seen": old.version, "from_state": old.state, "reason": moved and moved.reason, "actor": actor}
