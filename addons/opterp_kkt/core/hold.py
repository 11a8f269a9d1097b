"""What a process needs to deliver the documents of one register: the guard, the lease, the epoch.

    guard   PostgreSQL advisory lock: at most one deliverer, always (`guard.py`)
    lease   Redis key: says on every host who delivers, and for how long nobody else need try (`lease.py`)
    epoch   number of this holder, only grows; every statement that claims or records checks it
"""
import logging

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


class Hold:
    """The right to deliver for one register, from `take` until `release` or until the process dies.

    Without Redis the guard alone holds, and the register says so. A lease found held is respected only while the guard
    is held, too: the guard was free, so its holder is dead, and the lease is taken over.
    """

    def __init__(self, guard: Guard, lease: Lease | None, register_id: int, holder: str):
        self.guard = guard
        self.lease = lease
        self.register_id = register_id
        self.holder = holder
        self.epoch = 0

    def take(self) -> bool:
        """Try to become the deliverer; False when another one is.

        :raises GuardLost: the connection to PostgreSQL is gone
        """
        if not self.guard.acquire(self.register_id):
            return False
        self._on_lease(lambda lease: lease.acquire() or lease.take_over())
        [row] = self.guard.execute(TAKE, self._parameters())
        self.epoch = row["epoch"]
        return True

    def keep(self, seconds: float) -> None:
        """Make sure that the lease lasts so long.

        :raises LeaseLost: another holder took it over, so our guard is gone; stop sending
        """
        if self.lease and self.lease.remaining < seconds:
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
            _logger.warning("Redis is missing (%s): register %s is delivered under the PostgreSQL guard alone",
                            error, self.register_id)
            self.lease = None

    def _parameters(self) -> dict:
        return {"register": self.register_id, "holder": self.holder, "epoch": self.epoch, "missing": self.lease is None}
