"""One connection to PostgreSQL, outside of Odoo's pool and transactions."""

import re
from select import select

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

# The server notices in about ten seconds that our host vanished: by keepalives (s) when idle, by the user timeout (ms) while
# its answer is on the way. READ COMMITTED: a statement sees what others committed before. Who has a row locked for long, an
# administrator's open transaction, is not waited for: it is tried again later.
SERVER_OPTIONS = (
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
    r" -c tcp_user_timeout=10000 -c default_transaction_isolation=read\ committed -c plan_cache_mode=force_generic_plan"
    " -c lock_timeout=5000"
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


class SessionLost(Exception):
    """The connection is gone, and with it every lock that it held; or there was none to be had."""


class Session:
    """Runs statements, each in its own transaction. For one thread of one process.

    What PostgreSQL refuses is raised as psycopg2 raises it; when the connection is lost, SessionLost is, and the way on is a
    new session. The connection must reach the primary server directly: behind PgBouncer's transaction or statement pooling
    a session's locks belong to whichever client comes next.

    :param dsn: psycopg2 connection parameters; a URI may be among them as `dsn` (Odoo's connection_info_for)
    """

    def __init__(self, dsn: dict):
        try:
            self._connection = psycopg2.connect(**_session_parameters(dsn))
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            raise SessionLost(str(error).strip()) from error
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self._prepared: dict[str, str] = {}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def execute(self, sql: str, params=None) -> list[dict]:
        """Run a statement and return its rows, [] for one that returns none."""
        try:
            self._cursor.execute(sql, params)
            names = [column.name for column in self._cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in self._cursor.fetchall()] if names else []
        except psycopg2.Error as error:
            if not self._is_lost(error):
                raise
            self.close()
            raise SessionLost(str(error).strip()) from error

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

    def is_silent(self) -> bool:
        """Whether the server has said nothing since it was last asked, such as that the session is ended. Costs no round trip."""
        return not self._connection.closed and not select([self._connection], [], [], 0)[0]

    def close(self) -> None:
        """End the session, which frees its locks; may be called again."""
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
