"""The guard of a cash register: a PostgreSQL session advisory lock, the authority on who delivers.

PostgreSQL frees the lock when, and only when, the session ends: at once after a crash or kill -9, some ten
seconds after the holder's host vanished (keepalives), never because the holder is slow or stopped.
"""
import re

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn
from psycopg2.extras import RealDictCursor

# "KKT" in ASCII. Advisory locks belong to one database, so registers of others never meet ours. See them by
# SELECT pid, objid AS register_id FROM pg_locks WHERE locktype = 'advisory' AND classid = 4934484
LOCK_CLASS = 0x4B4B54

# The server notices in about ten seconds that our host vanished: by keepalives (s) when idle, by the user
# timeout (ms) while its answer is on the way. READ COMMITTED: a statement sees what others committed before.
SERVER_OPTIONS = (
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
    r" -c tcp_user_timeout=10000 -c default_transaction_isolation=read\ committed -c plan_cache_mode=force_generic_plan"
)

# The same for our end, so that a deliverer doesn't wait for hours for a server that vanished.
CLIENT_OPTIONS = {
    "application_name": "opterp_kkt",
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10000,
}

# Connection exceptions, and the server's shutdowns, crashes and terminations.
LOST_STATES = ("08", "57P0")


class GuardLost(Exception):
    """The connection is gone, and with it every guard that it held."""


class Guard:
    """One connection of its own that guards any number of registers and runs its deliverer's statements.

    `acquire` a register, deliver, `release` it; `close`, or the end of the process, releases all. Statements
    run here, one transaction each, because a session that lost its guards can't execute them either. Then
    GuardLost is raised, `held` is empty, and the way on is a new Guard.

    For one thread of one process. The connection must reach the primary server directly: behind PgBouncer's
    transaction or statement pooling a session lock belongs to whichever client comes next.

    :param dsn: psycopg2 connection parameters; a URI may be among them as `dsn` (Odoo's connection_info_for)
    """

    def __init__(self, dsn: dict):
        self.held: set[int] = set()
        try:
            self._connection = psycopg2.connect(**_session_parameters(dsn), cursor_factory=RealDictCursor)
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            raise GuardLost(str(error).strip()) from error
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self._prepared: dict[str, str] = {}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def acquire(self, register_id: int) -> bool:
        """Guard a register; False if another connection does. Once is enough, and again changes nothing."""
        if register_id in self.held:
            self.execute("SELECT 1")  # the server would count a second lock: only ask if the session lives
            return True
        [row] = self.execute("SELECT pg_try_advisory_lock(%s, %s) AS locked", (LOCK_CLASS, register_id))
        if row["locked"]:
            self.held.add(register_id)
        return row["locked"]

    def release(self, register_id: int) -> None:
        """Free a register that this connection guards; nothing happens to another's."""
        if register_id in self.held:
            self.execute("SELECT pg_advisory_unlock(%s, %s)", (LOCK_CLASS, register_id))
            self.held.discard(register_id)

    def execute(self, sql: str, params=None) -> list[dict]:
        """Run a statement in its own transaction and return its rows, [] for one that returns none.

        Raise GuardLost when the connection is lost; psycopg2's errors about the statement pass unchanged.
        """
        try:
            self._cursor.execute(sql, params)
            return self._cursor.fetchall() if self._cursor.description else []
        except psycopg2.Error as error:
            if not self._is_lost(error):
                raise
            self.close()
            raise GuardLost(str(error).strip()) from error

    def run(self, sql: str, params: dict) -> list[dict]:
        """Like `execute`, for the statements of every document: parsed and planned once per session."""
        if sql not in self._prepared:
            self._prepared[sql] = self._prepare(sql, f"kkt_{len(self._prepared)}")
        return self.execute(self._prepared[sql], params)

    def _prepare(self, sql: str, name: str) -> str:
        """Prepare a statement with named placeholders; return the statement that executes it."""
        names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", sql)))
        for number, placeholder in enumerate(names, start=1):
            sql = sql.replace(f"%({placeholder})s", f"${number}")
        self.execute(f"PREPARE {name} AS {sql}")
        return f"EXECUTE {name} ({', '.join(f'%({placeholder})s' for placeholder in names)})"

    @property
    def rowcount(self) -> int:
        """Number of rows that the last statement returned or wrote."""
        return self._cursor.rowcount

    def close(self) -> None:
        """End the session, which frees every register; may be called again."""
        self.held.clear()
        self._connection.close()

    def _is_lost(self, error: psycopg2.Error) -> bool:
        """Tell a lost connection from a refused statement: psycopg2 has OperationalError for both."""
        if self._connection.closed or isinstance(error, psycopg2.InterfaceError):
            return True
        if not isinstance(error, psycopg2.OperationalError):
            return False
        return error.pgcode is None or error.pgcode.startswith(LOST_STATES)


def _session_parameters(dsn: dict) -> dict:
    given = parse_dsn(make_dsn(**dsn))
    options = f"{given.get('options', '')} {SERVER_OPTIONS}".strip()
    return {**given, **CLIENT_OPTIONS, "options": options}
