"""The guard of a cash register: a PostgreSQL session advisory lock, the authority on who delivers.

PostgreSQL frees the lock when, and only when, the session ends: at once after a crash or kill -9, some ten
seconds after the holder's host vanished (keepalives), never because the holder is slow or stopped.
"""

from .locks import GUARD
from .session import Session

# Who has the guard of a register, as long as its epoch is still the one that was seen.
TERMINATE = f"""
    SELECT pg_terminate_backend(l.pid) AS ended
      FROM pg_locks l
      JOIN kkt_delivery d ON d.register_id = %(register)s AND d.epoch = %(epoch)s
     WHERE l.locktype = 'advisory' AND l.classid = {GUARD} AND l.objid = %(register)s AND l.granted
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Guard(Session):
    """A session that guards any number of registers and runs its deliverer's statements.

    `acquire` a register, deliver, `release` it; `close`, or the end of the process, releases all. The statements run here
    because a session that lost its guards can't execute them either: SessionLost is raised then, and `held` is empty.
    """

    def __init__(self, dsn: dict):
        self.held: set[int] = set()
        super().__init__(dsn)

    def acquire(self, register_id: int) -> bool:
        """Guard a register; False if another connection does. Once is enough, and again changes nothing."""
        if register_id in self.held:
            self.execute("SELECT 1")  # the server would count a second lock: only ask if the session lives
            return True
        [row] = self.execute("SELECT pg_try_advisory_lock(%s, %s) AS locked", (GUARD, register_id))
        if row["locked"]:
            self.held.add(register_id)
        return row["locked"]

    def release(self, register_id: int) -> None:
        """Free a register that this connection guards; nothing happens to another's."""
        if register_id in self.held:
            self.execute("SELECT pg_advisory_unlock(%s, %s)", (GUARD, register_id))
            self.held.discard(register_id)

    def terminate_holder(self, register_id: int, epoch: int) -> bool:
        """End the session that guards a register for this epoch: its process is stopped, and may wake. True if there was one."""
        return bool(self.execute(TERMINATE, {"register": register_id, "epoch": epoch}))

    def close(self) -> None:  # pylint: disable=missing-return
        """End the session, which frees every register; may be called again."""
        self.held.clear()
        super().close()
