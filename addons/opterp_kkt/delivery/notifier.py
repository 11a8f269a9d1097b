"""Wakes Odoo's crons from a thread: who asks, a sale above all, does not wait for it."""

from threading import Lock, Timer

from .session import Session, SessionLost

CALL = "SELECT pg_notify('cron_trigger', %s)"  # what cron workers listen for, in the database `postgres`


class Notifier:
    """Calls the crons of a database, in every server, over one connection that stays open.

    To open one for each sale would cost as much as building its receipt. Calls that are still to come serve all who ask
    meanwhile. A process needs its own: after a fork, the parent's connection and threads are not the child's.

    :param dsn: psycopg2 connection parameters of the database that cron workers listen in
    """

    def __init__(self, dsn: dict):
        self._dsn = dsn
        self._session: Session | None = None
        self._one_at_a_time = Lock()
        self._coming: set[tuple[float, str]] = set()

    def call_in(self, seconds: float, dbname: str) -> None:
        """Have the crons called so many seconds from now. Nothing is raised: crons look by themselves once a minute."""
        if (seconds, dbname) not in self._coming:
            self._coming.add((seconds, dbname))
            call = Timer(seconds, self._call, [seconds, dbname])
            call.daemon = True
            try:
                call.start()
            except RuntimeError:  # no thread can be started
                self._coming.discard((seconds, dbname))

    def _call(self, seconds: float, dbname: str) -> None:
        self._coming.discard((seconds, dbname))  # before the call: who commits after this needs another one
        with self._one_at_a_time:
            if not self._reach(dbname):  # the connection is from before a restart of PostgreSQL
                self._reach(dbname)

    def _reach(self, dbname: str) -> bool:
        try:
            self._session = self._session or Session(self._dsn)
            self._session.execute(CALL, [dbname])
        except SessionLost:
            self._session = None
        return self._session is not None
