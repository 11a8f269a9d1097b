"""The limits of an OFD, over all hosts: so many requests a second, so many at once. PostgreSQL counts.

start    The moment from which a request may go out. Whoever takes one puts the next start off (the generic cell rate algorithm
         of ITU-T I.371, without bursts). It stands in a table of its own, so that no administrator's form writes the same row.
permit   One of as many session locks as requests may be under way. A process that dies gives it back with its connection.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import sleep

from .guard import Guard
from .locks import PERMIT, PERMITS
from .queue import Queue
from .session import SessionLost

LONGEST_WAIT = 1.0  # s for a start; who would wait for longer leaves his lane to others

# A start further ahead than anybody can have put it is from before PostgreSQL's clock was set back.
TAKE_START = """
    UPDATE kkt_ofd_pace p
       SET next_start = mine.start + %(interval)s::float8
      FROM (SELECT q.id, now.s AS now, CASE WHEN q.next_start BETWEEN now.s AND now.s + %(longest)s::float8 + %(interval)s::float8
                                            THEN q.next_start ELSE now.s END AS start
              FROM kkt_ofd_pace q, (SELECT extract(epoch FROM clock_timestamp())::float8 AS s) now
             WHERE q.ofd_id = %(ofd)s
               FOR UPDATE OF q) mine
     WHERE p.id = mine.id AND mine.start <= mine.now + %(longest)s::float8
 RETURNING mine.start - mine.now AS wait
"""
TAKE_PERMIT = f"""
    SELECT n AS number FROM generate_series(1, %(most)s::int) n
     WHERE pg_try_advisory_lock({PERMIT}, %(ofd)s::int * {PERMITS} + n) LIMIT 1
"""
GIVE_BACK = f"SELECT pg_advisory_unlock({PERMIT}, %(ofd)s::int * {PERMITS} + %(number)s::int)"


class Pace:
    """How fast one worker may call OFDs. What an OFD does not limit costs nothing."""

    def __init__(self, guard: Guard):
        self._guard = guard

    @contextmanager
    def permit(self, queue: Queue) -> Iterator[bool]:
        """Whether one more request may be under way, until the context ends."""
        ours = {"ofd": queue.ofd_id, "most": queue.parallel_requests}
        rows = self._guard.execute(TAKE_PERMIT, ours) if queue.parallel_requests else []
        try:
            yield bool(rows) or not queue.parallel_requests
        finally:
            with suppress(SessionLost):
                for row in rows:
                    self._guard.execute(GIVE_BACK, ours | row)

    def take_start(self, queue: Queue) -> bool:
        """Wait until one more request may go out; False when that is far ahead."""
        if not queue.requests_per_second:
            return True
        parameters = {"ofd": queue.ofd_id, "interval": 1 / queue.requests_per_second, "longest": LONGEST_WAIT}
        rows = self._guard.run(TAKE_START, parameters)
        for row in rows:
            sleep(row["wait"])
        return bool(rows)
