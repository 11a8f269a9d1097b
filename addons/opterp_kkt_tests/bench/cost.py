"""What processes have cost: processor time, which other work on the machine hardly changes, and memory."""

import psutil
from harness.stack import Database, Odoo

BACKENDS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'odoo-%%'"
CHECKPOINTER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
MIB = 2**20


def get_seconds(host: Odoo) -> float:
    """Seconds of processor time of a host and its backends so far."""
    return sum(_get_own_seconds(pid) for pid in (host.pid, *(row["pid"] for row in host.database.query(BACKENDS))))


def get_seconds_by_process(database: Database, **pids: int) -> dict[str, float]:
    """Seconds of processor time so far: of these processes, and of all of a database's PostgreSQL, ended backends included."""
    server = psutil.Process(database.value(CHECKPOINTER)).parent()
    times = server.cpu_times()
    backends = sum(_get_own_seconds(child.pid) for child in server.children(recursive=True))
    postgres = times.user + times.system + times.children_user + times.children_system + backends
    return {name: _get_own_seconds(pid) for name, pid in pids.items()} | {"PostgreSQL": postgres}


def get_memory(pid: int) -> float:
    """MiB that a process holds."""
    return psutil.Process(pid).memory_info().rss / MIB


def _get_own_seconds(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system
