"""Wakes Odoo's crons from a thread: who asks, a sale above all, does not wait for it."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from time import sleep

import psycopg2

from .session import Session, SessionLost

CALL = "SELECT pg_notify('cron_trigger', %s)"  # what cron workers listen for, in the database `postgres`


class Notifier:
    """Makes the crons of a database due and calls them, in every server, over one connection that stays open.

    To open one for each sale would cost as much as building its receipt, and to start a thread for each a tenth of that. One call
    serves all who ask in the moment before it. A process needs its own: after a fork, the parent's connection and threads are not
    the child's.

    :param dsn: psycopg2 connection parameters of the database that cron workers listen in
    :param make_due: has the crons of a database run as soon as they look; says whether it has any
    :param moment: seconds from asking to the call
    """

    def __init__(self, dsn: dict, make_due: Callable[[str], bool], moment: float):
        self._dsn = dsn
        self._make_due = make_due
        self._moment = moment
        self._session: Session | None = None
        self._asked: SimpleQueue[str] = SimpleQueue()
        self._thread: Thread | None = None
        self._starting = Lock()

    def call(self, dbname: str) -> None:
        """Have the crons called in a moment. Nothing is raised: crons look by themselves once a minute."""
        self._asked.put(dbname)
        if not self._is_running():
            with self._starting, suppress(RuntimeError):  # no thread can be started
                self._start()

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _start(self) -> None:
        if not self._is_running():
            self._thread = Thread(target=self._run, daemon=True, name="opterp_kkt.notifier")
            self._thread.start()

    def _run(self) -> None:
        while True:
            first = self._asked.get()
            sleep(self._moment)
            for dbname in {first, *self._take_all()}:  # before the call: who asks after this needs another one
                if not self._reach(dbname):  # a connection is from before a restart of PostgreSQL
                    self._reach(dbname)

    def _take_all(self) -> Iterator[str]:
        with suppress(Empty):
            while True:
                yield self._asked.get_nowait()

    def _reach(self, dbname: str) -> bool:
        try:
            if self._make_due(dbname):
                self._session = self._session or Session(self._dsn)
                self._session.execute(CALL, [dbname])
            return True
        except (SessionLost, psycopg2.Error):
            self._session = None
            return False
