# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Several processes that deliver at the same moment: who calls, the barrier that holds them, what each was told."""

import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import psycopg2
from harness import nursery
from harness.processes import new_file, wait_until
from harness.shop import Shop
from harness.stack import Database, Odoo
from harness.till import Client

# Every deliverer, whoever runs it, begins with a look at the rows of kkt_delivery. A row shows itself as soon as nobody holds
# lock 1 alone; who waits for that has lock 2. No lock is waited for: a deliverer gives up after five seconds.
BUILD_BARRIER = """
    CREATE FUNCTION proof_barrier() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
        IF NOT pg_try_advisory_xact_lock_shared(1) THEN
            PERFORM pg_advisory_xact_lock_shared(2);
            WHILE NOT pg_try_advisory_xact_lock_shared(1) LOOP PERFORM pg_sleep(0.02); END LOOP;
        END IF;
        RETURN TRUE;
    END $$;
    CREATE POLICY proof_barrier ON kkt_delivery USING (proof_barrier());
    ALTER TABLE kkt_delivery ENABLE ROW LEVEL SECURITY;
    ALTER TABLE kkt_delivery FORCE ROW LEVEL SECURITY;
"""
HELD_BACK = """
    SELECT count(DISTINCT pid) FROM pg_locks
     WHERE locktype = 'advisory' AND (classid, objid, objsubid) = (0, 2, 1)
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
CRONS = "SELECT res_id FROM ir_model_data WHERE module = 'opterp_kkt' AND model = 'ir.cron' AND name LIKE 'ir_cron_deliver%%'"
STATUSES = {0: "nothing left", 1: "something waits or was rejected", 3: "busy"}


@dataclass
class Told:
    """What a caller was told: counts, ids of busy registers, and when (s since 1970)."""

    caller: str
    delivered: int
    rejected: int
    waiting: int
    busy: list[int]
    at: float = field(default_factory=time.time)

    @property
    def was_busy(self) -> bool:
        return bool(self.busy)


class DeliverNow:
    """The button: a person at one host calls `action_deliver` for all registers, or for some."""

    def __init__(self, host: Odoo, name: str, register_ids: list[int] | None = None):
        self.name = f"Deliver now at {name}"
        self._client = Client(host, timeout=600)
        self._registers = register_ids or self._client.call("kkt.register", "search", [])
        self._pool = ThreadPoolExecutor(1)
        self._answer: Future | None = None

    def start(self):
        self._answer = self._pool.submit(self._call)
        return self

    def _call(self) -> Told:
        return Told(self.name, **self._client.call("kkt.register", "action_deliver", self._registers))

    def is_done(self) -> bool:
        return self._answer.done()

    def answer(self) -> Told:
        return self._answer.result()


class Command:
    """`odoo kkt deliver`: one pass in a process of its own."""

    def __init__(self, shop: Shop, name: str):
        self.name = f"odoo kkt deliver {name}"
        self._shop = shop
        self._log = new_file("deliver", ".log")
        self._output = new_file("deliver", ".json")

    def start(self):
        database = self._shop.database
        arguments = ["kkt", "deliver", "-d", database.name, "--data-dir", str(database.data_dir)]
        redis = {"ODOO_KKT_REDIS_URL": self._shop.redis.url}
        self.process = nursery.launch(database, arguments, redis, self._log, self._output)
        return self

    def is_done(self) -> bool:
        return self.process.poll() is not None

    def answer(self) -> Told:
        self.process.wait(600)
        assert self.process.returncode in STATUSES, f"{self.name} ended with {self.process.returncode}: see {self._log}"
        told = Told(self.name, **json.loads(self._output.read_text().splitlines()[-1]))
        expected = 3 if told.busy else 1 if told.waiting or told.rejected else 0
        assert self.process.returncode == expected, f"{self.name} said {told} and ended with {self.process.returncode}"
        return told


class Barrier:
    """Holds back whoever begins to deliver; at the end of the block all go on at the same moment."""

    def __init__(self, database: Database):
        self._database = database

    def wait(self, count: int, seconds: float = 600.0):
        """Wait until so many stand at the barrier."""
        wait_until(lambda: self.waiting() >= count, seconds, f"{count} deliverers at the barrier", 0.1)

    def waiting(self) -> int:
        return self._database.value(HELD_BACK)


@contextmanager
def barrier(database: Database):
    if not database.value("SELECT count(*) FROM pg_policy WHERE polname = 'proof_barrier'"):
        database.execute(BUILD_BARRIER)
    with closing(psycopg2.connect(dbname=database.name, **database.dsn)) as connection:
        connection.cursor().execute("SELECT pg_advisory_lock(1)")
        yield Barrier(database)


class Breaker:
    """The breaker of the OFD that the shop's first till delivers to, at the hands of an administrator."""

    def __init__(self, shop: Shop, host: Odoo):
        self._database = shop.database
        self._client = Client(host)
        register = self._client.first("kkt.register", [("pos_config_id", "=", shop.configs()[0])], ["ofd_id"])
        self._id = self._client.call("kkt.ofd", "read", [register["ofd_id"][0]], ["breaker_id"])[0]["breaker_id"][0]

    def write(self, **values):
        self._client.call("kkt.circuit.breaker", "write", [self._id], values)

    def force_open(self):
        self.write(mode="forced_open")

    def automatic(self):
        self.write(mode="automatic")

    def seen_by(self, host: Odoo) -> dict:
        """Its figures as that host tells them."""
        return Client(host).call("kkt.circuit.breaker", "get_stats", [self._id])

    def row(self) -> dict:
        """Its row; times in ms since 1970, `now` by the same clock."""
        [row] = self._database.query(
            "SELECT *, extract(epoch FROM opened_at AT TIME ZONE 'UTC')::float8 * 1000 AS opened_ms,"
            " extract(epoch FROM retry_at AT TIME ZONE 'UTC')::float8 * 1000 AS retry_ms,"
            " extract(epoch FROM clock_timestamp())::float8 * 1000 AS now FROM kkt_circuit_breaker WHERE id = %s",
            self._id,
        )
        return row

    def wait_for(self, state: str, seconds: float = 600.0) -> dict:
        return wait_until(lambda: (row := self.row())["state"] == state and row, seconds, f"a breaker that is {state}", 0.02)

    def let_recovery_pass(self):
        """What waits for the end of its recovery time finds that it is over: the moments are moved, not the clock."""
        self._database.execute(
            "UPDATE kkt_circuit_breaker SET opened_at = opened_at - recovery_timeout * interval '1 second',"
            " retry_at = retry_at - recovery_timeout * interval '1 second', version = version + 1"
            " WHERE id = %s AND state = 'open'",
            self._id,
        )

    def events(self) -> list[dict]:
        """Its transitions, oldest first; `at` in ms since 1970."""
        return self._database.query(
            "SELECT from_state, to_state, reason, actor, extract(epoch FROM happened_at AT TIME ZONE 'UTC')::float8 * 1000 AS at"
            " FROM kkt_circuit_breaker_event WHERE breaker_id = %s AND from_state <> to_state ORDER BY id",
            self._id,
        )


def delivered_by_crons(database: Database) -> int:
    """How many documents the finished runs of the delivery crons say that they settled."""
    return database.value(f"SELECT coalesce(sum(done), 0) FROM ir_cron_progress WHERE cron_id IN ({CRONS})")


def switch_crons(database: Database, active: bool):
    """Let the delivery crons start, or not; a run that is under way goes on."""
    database.execute(f"UPDATE ir_cron SET active = %s WHERE id IN ({CRONS})", active)


def set_number(client: Client, name: str, seconds: float):
    """Set `opterp_kkt.<name>`, a number of seconds, for the runs that begin from now on."""
    client.call("ir.config_parameter", "set_param", f"opterp_kkt.{name}", str(seconds))
