"""What a process needs to deliver the documents of one register: the guard, the lease, the epoch.

guard   PostgreSQL advisory lock: at most one deliverer, always (`guard.py`)
lease   Redis key: says on every host who delivers, and for how long nobody else need try (`lease.py`)
epoch   number of this owner, only grows; every statement that claims or records checks it
"""

import logging
from time import monotonic

from .guard import Guard
from .lease import Lease, LeaseUnavailable

_logger = logging.getLogger(__name__)

# The epoch is counted in PostgreSQL because Redis may forget; a missing lease is noted for the administrator.
TAKE = """
    UPDATE kkt_delivery
       SET epoch = epoch + 1, holder = %(holder)s, held_at = clock_timestamp() AT TIME ZONE 'UTC', lease_missing = %(missing)s
     WHERE register_id = %(register)s
 RETURNING epoch
"""
NOTE_MISSING = "UPDATE kkt_delivery SET lease_missing = %(missing)s WHERE register_id = %(register)s AND epoch = %(epoch)s"
OWNED = "SELECT epoch, lease_missing FROM kkt_delivery WHERE register_id = %s"


class Fenced(Exception):
    """Another owner has a newer epoch: what we did may stand, but we can't record it."""


class Ownership:
    """The right to deliver for one register, from `take` until `release` or until the process dies.

    Without Redis the guard alone gives it, and the register says so. A lease found held is respected only while the guard
    is held, too: the guard was free, so its holder is dead, and the lease is taken over.
    """

    def __init__(self, guard: Guard, lease: Lease | None, register_id: int, holder: str):
        self.guard = guard
        self.lease = lease
        self.register_id = register_id
        self.holder = holder
        self.epoch = 0

    @property
    def name(self) -> str:
        """Names this very owner, for the breaker: a probe's permit is its own."""
        return f"{self.holder}/{self.register_id}/{self.epoch}"

    def take(self) -> bool:
        """Try to become the owner; False when another one is.

        :raises SessionLost: the connection to PostgreSQL is gone
        """
        if not self.guard.acquire(self.register_id):
            return False
        self._on_lease(self._get_lease)
        [row] = self.guard.execute(TAKE, self._parameters())
        self.epoch = row["epoch"]
        return True

    def _get_lease(self, lease: Lease) -> None:
        if not lease.acquire():
            _logger.info(
                "Register %s is taken over from %s, who has let go of the guard", self.register_id, lease.current_holder()
            )
            lease.take_over()

    def lasts(self, seconds: float) -> bool:
        """Whether the lease lasts so long as it is; without one nothing ends."""
        return self.lease is None or self.lease.remaining >= seconds

    def keep(self, seconds: float) -> None:
        """Make sure that the lease lasts so long.

        :raises LeaseLost: another owner took it over, so our guard is gone; stop sending
        """
        if not self.lasts(seconds):
            self._on_lease(Lease.renew)
            if not self.lease:
                self.guard.execute(NOTE_MISSING, self._parameters())

    def release(self) -> None:
        """Let others deliver."""
        self._on_lease(Lease.release)
        self.guard.release(self.register_id)

    def _on_lease(self, action) -> None:
        if not self.lease:
            return
        try:
            action(self.lease)
        except LeaseUnavailable as error:
            _logger.warning(
                "Redis is missing (%s): register %s is delivered under the PostgreSQL guard alone", error, self.register_id
            )
            self.lease = None

    def _parameters(self) -> dict:
        return {"register": self.register_id, "holder": self.holder, "epoch": self.epoch, "missing": self.lease is None}


class Absentees:
    """Owners whose guard lives on although their lease ended: a process that was stopped, a container that was paused.

    One that delivers renews its lease before it could end, or notes that Redis is missing. So who has let it end for as long
    as it lasts is away: its session is ended, which frees the guard, and its epoch keeps it from recording when it wakes.
    """

    def __init__(self):
        self._seen: dict[int, tuple[int, float]] = {}  # register: epoch, since when without its lease

    def notice(self, guard: Guard, lease: Lease, register_id: int) -> None:
        """A register's guard was found held by another. End that session if its owner has been away for a lease's length."""
        [row] = guard.execute(OWNED, [register_id])
        epoch, since = self._seen.get(register_id, (None, 0.0))
        if row["lease_missing"] or _exists(lease):
            self._seen.pop(register_id, None)
        elif epoch != row["epoch"]:
            self._seen[register_id] = row["epoch"], monotonic()
        elif monotonic() - since > lease.ttl:
            _logger.warning(
                "The deliverer of register %s (epoch %s) is away: its lease ended long ago. Its guard is taken away",
                register_id,
                epoch,
            )
            guard.terminate_holder(register_id, epoch)
            del self._seen[register_id]


def _exists(lease: Lease) -> bool:
    """Whether somebody has the lease; who can't tell leaves the owner in peace."""
    try:
        return lease.current_holder() is not None
    except LeaseUnavailable:
        return True
