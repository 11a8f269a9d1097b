# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The parts a proof is built of: PostgreSQL, Redis, databases, Odoo servers, the OFD emulator, clocks that
jump.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path

import psycopg2
import psycopg2.extras
import redis
import requests
from harness import nursery
from harness.judge import is_acceptance
from harness.processes import ROOT, RUN, Server, children, free_port, new_file, wait_until

TEMPLATE = "opterp_kkt_template"
FAILING = "opterp_kkt_template_failing"  # the same with the tests' addon, which has the failpoints
WITH_FLOWS = "opterp_kkt_template_flows"  # the same with sales orders and gift cards
INITDB_OPTIONS = "-U odoo -A trust -E UTF8 --locale=C.UTF-8 --no-sync".split()
# Without fsync a commit still reaches the kernel before it is confirmed, so it survives the end of the process.
POSTGRES_OPTIONS = (
    "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 -c fsync=off -c full_page_writes=off"
).split()


def environment_dsn() -> dict:
    """Connection parameters of the cluster that the set-up started (PGHOST, PGPORT, PGUSER)."""
    return {"host": os.environ["PGHOST"], "port": int(os.environ["PGPORT"]), "user": os.environ["PGUSER"]}


def as_environment(dsn: dict) -> dict[str, str]:
    return {"PGHOST": dsn["host"], "PGPORT": str(dsn["port"]), "PGUSER": dsn["user"]}


class Redis(Server):
    """An own redis-server, with these `options`; without persistence: after a restart it knows nothing, as after a failover."""

    def __init__(self, *options: str, directory: Path | None = None):
        super().__init__("redis")
        self.options = options
        self.directory = directory or Path(tempfile.gettempdir())
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis.from_url(self.url, decode_responses=True)

    def command(self):
        listen = ["--bind", "127.0.0.1", "--port", str(self.port)]
        return ["redis-server", *listen, "--save", "", "--appendonly", "no", "--dir", str(self.directory), *self.options]

    def flush(self):
        self.client.flushall()


def _postgres_bin(name: str) -> str:
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    found = shutil.which(name) or (versions and str(versions[-1]))
    if not found:
        raise FileNotFoundError(f"{name} is missing: install the package postgresql")
    return found


class Postgres(Server):
    """An own PostgreSQL cluster, to be broken: `kill` is an immediate shutdown, `restart` that and the recovery.

    `initdb` refuses root, so under root the cluster belongs to the user postgres. fsync is off: these crashes
    end processes, not the machine. `adopt` brings the demo shop in from the set-up's cluster. When it is
    `clocked`, its `clock` can be wrong.
    """

    stop_signal = signal.SIGINT  # fast shutdown

    def __init__(self, *, clocked: bool = False):
        super().__init__("postgres", user="postgres" if os.getuid() == 0 else None)
        self.home = Path(tempfile.mkdtemp(prefix="kkt_poc_pg_"))
        self.clock = Clock(path=self.home / "clock") if clocked else None
        self.dsn = {"host": "127.0.0.1", "port": self.port, "user": "odoo"}
        self.maintenance = {**self.dsn, "database": "postgres"}

    def environment(self):
        return super().environment() | (self.clock.environment if self.clock else {})

    def command(self):
        return [_postgres_bin("postgres"), "-D", str(self.home / "data"), "-p", str(self.port), *POSTGRES_OPTIONS]

    def working_directory(self):
        return self.home

    def start(self):
        if not (self.home / "data").exists():
            self._initialise()
        return super().start()

    def _initialise(self):
        if self.user:
            shutil.chown(self.home, self.user, pwd.getpwnam(self.user).pw_gid)
        command = [_postgres_bin("initdb"), "-D", str(self.home / "data"), *INITDB_OPTIONS]
        subprocess.run(command, check=True, user=self.user, group=self.user, cwd=self.home, stdout=subprocess.DEVNULL)

    def ready(self):
        with suppress(psycopg2.OperationalError):
            psycopg2.connect(connect_timeout=2, **self.maintenance).close()
            return True
        return False

    def _signal(self, number):
        """Backends are in groups of their own: they are paused and woken one by one, and end by themselves."""
        backends = children(self.pid) if number in (signal.SIGSTOP, signal.SIGCONT) else []
        super()._signal(number)
        for pid in backends:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self):
        """Crash by immediate shutdown: backends that outlive a SIGKILL of their parent would block the restart."""
        self.resume_if_started()
        self._end(signal.SIGQUIT)

    def adopt(self, database: str, source: dict):
        """Copy `database` of the cluster `source` (connection parameters) under the same name."""
        ours, theirs = (os.environ | as_environment(dsn) for dsn in (self.dsn, source))
        subprocess.run([_postgres_bin("createdb"), database], check=True, env=ours)
        dump = subprocess.Popen([_postgres_bin("pg_dump"), "-Fc", "-Z0", database], stdout=subprocess.PIPE, env=theirs)
        restore = [_postgres_bin("pg_restore"), "-d", database, "--no-owner"]
        subprocess.run(restore, stdin=dump.stdout, check=True, env=ours)
        if dump.wait():
            raise RuntimeError(f"pg_dump of {database} failed")

    def __exit__(self, *exc):
        super().__exit__(*exc)
        shutil.rmtree(self.home, ignore_errors=True)


class Database:
    """A private copy of the demo shop and the files that belong to it; dropped at the end.

    The copy has its own database uuid (idempotency keys and Redis keys derive from it) and its own data
    directory, shared by all Odoo servers that are not given another. `query` and `execute` judge from outside
    Odoo: own connection, autocommit.
    """

    def __init__(self, template: str = TEMPLATE, dsn: dict | None = None):
        self.template = template
        self.dsn = dsn or environment_dsn()
        self.name = f"kkt_poc_{os.getpid()}_{uuid.uuid4().hex[:8]}"
        self.data_dir = Path(tempfile.mkdtemp(prefix="kkt_poc_data_"))
        self.copy_seconds = 0.0

    def create(self):
        began = time.monotonic()
        self._maintain(f'CREATE DATABASE "{self.name}" TEMPLATE "{self.template}" STRATEGY file_copy')
        self.copy_seconds = time.monotonic() - began
        self.execute("UPDATE ir_config_parameter SET value = gen_random_uuid() WHERE key = 'database.uuid'")
        self._link_files()
        return self

    def _link_files(self):
        """Stored files are named by their content and never change: hard links do."""
        source = RUN / "data" / "filestore" / self.template
        if source.exists():
            target = self.data_dir / "filestore" / self.name
            shutil.copytree(source, target, copy_function=_link_or_copy)

    def drop(self):
        with suppress(psycopg2.OperationalError):  # its cluster may be gone, and the database with it
            # Not WITH (FORCE): that would end an autovacuum worker too, which the owner may not; a plain DROP waits for it.
            self._maintain(f"""
                SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
                WHERE datname = '{self.name}' AND usename = current_user""")
            self._maintain(f'DROP DATABASE IF EXISTS "{self.name}"')
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def _maintain(self, statement: str):
        connection = psycopg2.connect(dbname="postgres", **self.dsn)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()

    def _run(self, statement: str, parameters=()):
        connection = psycopg2.connect(dbname=self.name, connect_timeout=5, **self.dsn)
        connection.autocommit = True
        try:
            with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                cursor.execute(statement, parameters or None)
                return [dict(row) for row in cursor] if cursor.description else cursor.rowcount
        finally:
            connection.close()

    def query(self, statement: str, *parameters) -> list[dict]:
        """Return the rows of a SELECT as dicts."""
        return self._run(statement, parameters)

    def value(self, statement: str, *parameters):
        """Return the first column of the first row, None without rows."""
        rows = self.query(statement, *parameters)
        return next(iter(rows[0].values())) if rows else None

    def execute(self, statement: str, *parameters) -> int:
        """Run a statement that returns no rows; return the number of rows it touched."""
        return self._run(statement, parameters)

    def wake_crons(self):
        """Have the cron threads of its servers look, as Odoo does when a job is triggered."""
        self._maintain(f"NOTIFY cron_trigger, '{self.name}'")

    def __enter__(self):
        return self.create()

    def __exit__(self, *exc):
        self.drop()


def _link_or_copy(source, target):
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


class Clock:
    """A wall clock that can be wrong and can jump while servers run (libfaketime); the monotonic clock stays
    true.

    The offset in seconds is a file that every process reads again at each look at its clock.
    """

    def __init__(self, offset: float = 0.0, path: Path | None = None):
        self.path = path or new_file("clock")
        self.library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
        if not self.library:
            raise FileNotFoundError("libfaketime is missing: install the package faketime")
        self.set(offset)

    def set(self, offset: float):
        """Jump to `offset` seconds from the true time (negative: behind)."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"{offset:+f}\n")
        os.replace(fresh, self.path)  # a reader sees the old time or the new one, never half a file

    @property
    def environment(self) -> dict[str, str]:
        python_path = [str(Path(__file__).parent / "faketime"), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            "LD_PRELOAD": str(self.library),
            "FAKETIME_TIMESTAMP_FILE": str(self.path),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
            "PYTHONPATH": os.pathsep.join(python_path),
        }


class Odoo(Server):
    """One Odoo host: threaded (workers=0) or prefork, with its own ports, clock and, if wanted, data
    directory.

    Ready means that /web/health passes; as the server has one database only, that request waits for its
    registry. What the server says is in `log`; `errors()` lists the lines that a proof should not see.
    """

    start_timeout = 600.0

    def __init__(
        self,
        database: Database,
        *,
        workers: int = 0,
        crons: int = 2,
        redis_url: str | None = None,
        clock: Clock | None = None,
        data_dir: Path | None = None,
        options: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        port: int | None = None,
        gevent_port: int | None = None,
    ):
        super().__init__("odoo", port=port)
        self.database = database
        self.workers = workers
        self.crons = crons
        self.gevent_port = gevent_port or free_port()
        self.data_dir = data_dir or database.data_dir
        self.options = options
        self.url = f"http://127.0.0.1:{self.port}"
        self.extra = as_environment(database.dsn) | (clock.environment if clock else {}) | (environment or {})
        if redis_url:
            self.extra["ODOO_KKT_REDIS_URL"] = redis_url

    def launch(self):
        return nursery.launch(self.database, self.arguments(), self.extra, self.log)

    def arguments(self) -> list[str]:
        name = self.database.name
        return [
            "-c",
            os.environ["ODOO_RC"],
            "-d",
            name,
            "--db-filter",
            f"^{name}$",
            "--http-interface",
            "127.0.0.1",
            "--http-port",
            str(self.port),
            "--gevent-port",
            str(self.gevent_port),
            "--workers",
            str(self.workers),
            "--max-cron-threads",
            str(self.crons),
            "--data-dir",
            str(self.data_dir),
            "--logfile",
            "",
            *self.options,
        ]

    def ready(self):
        with suppress(requests.RequestException):
            return requests.get(f"{self.url}/web/health?db_server_status=1", timeout=120).status_code == 200
        return False

    def errors(self) -> list[str]:
        """Log lines of level ERROR or CRITICAL."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if " ERROR " in line or " CRITICAL " in line]


class Emulator(Server):
    """The stand-alone OFD with faults on demand; its history survives its restart, as that of a real OFD
    does.
    """

    def __init__(self, *, port: int | None = None, history_file: Path | None = None, token: str = "", drive: str = ""):
        super().__init__("ofd", port=port)
        self.token = token
        self.drive = drive
        self.url = f"http://127.0.0.1:{self.port}"
        self.history_file = history_file or new_file("ofd", ".jsonl")

    def command(self):
        return [
            "python3",
            "-m",
            "ofd_emulator",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--history",
            str(self.history_file),
            *(["--token", self.token] if self.token else []),
            *(["--drive", self.drive] if self.drive else []),
        ]

    def environment(self):
        return super().environment() | {"PYTHONPATH": str(ROOT / "addons" / "opterp_kkt_tests")}

    def _control(self, verb: str, **body):
        answer = requests.post(f"{self.url}/_control/{verb}", json=body, timeout=120)
        answer.raise_for_status()

    def mode(self, mode: str = "ok", **options):
        """Behave from now on: mode("fail", status=500, count=5), mode("slow", seconds=0.5), mode("drop",
        count=1), mode("ok") …
        """
        self._control("mode", mode=mode, **options)

    def device(self, **conditions):
        """What is the matter with the register that it also is: device(paper=False), see `ofd_emulator/register.py`."""
        self._control("device", **conditions)

    def cloud(self, **conditions):
        """What is the matter with the registers in the cloud that it also is: cloud(queue_for=3), see `ofd_emulator/cloud.py`."""
        self._control("cloud", **conditions)

    def orange(self, **key):
        """The key that OrangeData's requests must be signed with: orange(modulus=…, exponent=…), as text."""
        self._control("orange", **key)

    def refuse(self, match: str, code: str = "refused", message: str = "refused"):
        """Refuse (422) documents whose body contains `match`; an empty match clears the rule."""
        self._control("refuse", match=match, code=code, message=message)

    def fail_matching(self, match: str, status: int = 500, **page):
        """Never answer documents that contain `match` otherwise than with `status`, and the `body` of `page`."""
        self._control("fail_matching", match=match, status=status, **page)

    def reset(self):
        """Mode ok, no rules, nothing received."""
        self._control("reset")

    def history(self, since: int = 0) -> list[dict]:
        """Every request so far, see `judge`; with `since` only those after that sequence number."""
        answer = requests.get(f"{self.url}/_control/history", params={"since": since} if since else {}, timeout=120)
        answer.raise_for_status()
        return answer.json()

    def accepted(self) -> list[dict]:
        """First acceptances, in the order of their arrival."""
        return [request for request in self.history() if is_acceptance(request)]

    def under_way(self) -> list[str]:
        """Keys of what was sent and has no answer yet."""
        return [request["key"] for request in self.history() if request["outcome"] == "in_flight"]

    def wait_accepted(self, count: int, seconds: float = 600.0):
        return wait_until(lambda: len(self.accepted()) >= count, seconds, f"{count} accepted documents", 0.2)
