import json
import os
import signal
import statistics
import threading
import time
from contextlib import contextmanager

import psycopg2
import pytest
from delivery.guard import Guard
from delivery.locks import GUARD as LOCK_CLASS
from delivery.session import SessionLost
from harness.processes import python_process

HOLDER = """
import json, sys
from delivery.guard import Guard
guard = Guard(json.loads(sys.argv[1]))
print(guard.acquire(int(sys.argv[2])), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def guards(postgres):
    """Make guards, closed after the test."""
    opened = []

    def make(**parameters):
        opened.append(Guard({**postgres.maintenance, **parameters}))
        return opened[-1]

    yield make
    for guard in opened:
        guard.close()


@pytest.fixture
def admin(postgres):
    connection = psycopg2.connect(**postgres.maintenance)
    connection.autocommit = True
    yield connection.cursor()
    connection.close()


def backend_of(guard):
    return guard.execute("SELECT pg_backend_pid() AS pid")[0]["pid"]


def terminate(admin, guard):
    pid = backend_of(guard)
    admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def terminate_in_the_middle(admin, pid):
    """Terminate a backend once it sleeps."""
    while admin.rowcount != 1:
        admin.execute("SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'", (pid,))
    admin.execute("SELECT pg_terminate_backend(%s)", (pid,))


@contextmanager
def holding_process(postgres, register_id):
    """An OS process that tried to take a guard and, if it got it, keeps it."""
    with python_process(HOLDER, json.dumps(postgres.maintenance), str(register_id)) as process:
        process.acquired = process.stdout.readline() == "True\n"
        yield process


def wait_acquired(guard, register_id):
    """Seconds until the register could be guarded."""
    started = time.monotonic()
    while not guard.acquire(register_id):
        assert time.monotonic() - started < 60, "still guarded by another"
        time.sleep(0.0005)
    return time.monotonic() - started


# One holder at a time


def test_second_connection_fails_until_release(guards):
    first, second = guards(), guards()
    assert first.acquire(1)
    assert not second.acquire(1)
    assert (first.held, second.held) == ({1}, set())
    first.release(1)
    assert first.held == set()
    assert second.acquire(1)
    assert not first.acquire(1)


def test_other_process_fails(postgres, guards):
    guards().acquire(1)
    with holding_process(postgres, 1) as other:
        assert not other.acquired


def test_one_of_many_threads_gets_it(guards):
    several = [guards() for _ in range(8)]
    barrier, outcomes = threading.Barrier(8), []

    def acquire(guard):
        barrier.wait()
        outcomes.append(guard.acquire(1))

    threads = [threading.Thread(target=acquire, args=(guard,)) for guard in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 7 + [True]


def test_stranger_releases_nothing(guards):
    first, second = guards(), guards()
    first.acquire(1)
    second.release(1)
    assert not second.acquire(1)
    assert not second._connection.notices  # "you don't own a lock": not even asked


def test_acquired_twice_released_once(guards):
    first, second = guards(), guards()
    assert first.acquire(1) and first.acquire(1)
    first.release(1)
    assert second.acquire(1)


def test_several_registers_on_one_connection(guards):
    first, second = guards(), guards()
    assert first.acquire(1) and first.acquire(2)
    assert second.acquire(3)
    assert first.held == {1, 2}
    first.release(1)
    assert first.held == {2}
    assert second.acquire(1)
    assert not second.acquire(2)
    assert not first.acquire(3)


def test_close_frees_all(guards):
    other = guards()
    with guards() as guard:
        guard.acquire(1)
        guard.acquire(2)
    assert guard.held == set()
    guard.close()
    wait_acquired(other, 1)
    wait_acquired(other, 2)


def test_other_uses_of_advisory_locks_do_not_matter(guards, admin):
    admin.execute("SELECT pg_advisory_lock(1), pg_advisory_lock(%s, 1)", (LOCK_CLASS + 1,))
    assert guards().acquire(1)


def test_an_administrator_sees_who_holds_what(guards, admin):
    guard = guards()
    guard.acquire(17)
    admin.execute("SELECT pid, objid FROM pg_locks WHERE locktype = 'advisory' AND classid = 4934484")
    assert admin.fetchall() == [(backend_of(guard), 17)]


# The holder dies or stops


def test_a_killed_holder_frees_it(postgres, guards):
    other = guards()
    times = []
    for _ in range(8):
        with holding_process(postgres, 1) as holder:
            assert holder.acquired and not other.acquire(1)
            holder.kill()
            times.append(wait_acquired(other, 1))
        other.release(1)
    median, worst = statistics.median(times) * 1000, max(times) * 1000
    print(f"free after kill -9: median {median:.1f} ms, worst {worst:.1f} ms")


def test_stopped_holder_keeps_it(postgres, guards):
    other = guards()
    with holding_process(postgres, 1) as holder:
        holder.send_signal(signal.SIGSTOP)
        assert os.WIFSTOPPED(os.waitpid(holder.pid, os.WUNTRACED)[1])
        for _ in range(20):
            assert not other.acquire(1)


# The connection is lost

NEXT_USES = {
    "execute": lambda guard: guard.execute("SELECT 1"),
    "acquire": lambda guard: guard.acquire(2),
    "acquire again": lambda guard: guard.acquire(1),
    "release": lambda guard: guard.release(1),
}


@pytest.mark.parametrize("next_use", NEXT_USES.values(), ids=NEXT_USES)
def test_terminated_backend(guards, admin, next_use):
    first, second = guards(), guards()
    first.acquire(1)
    terminate(admin, first)
    assert second.acquire(1)
    with pytest.raises(SessionLost):
        next_use(first)
    assert first.held == set()
    with pytest.raises(SessionLost):
        first.execute("SELECT 1")
    first.release(1)
    assert not first.held and not guards().acquire(1)  # the other's


def test_terminated_during_a_statement(guards, admin):
    guard = guards()
    guard.acquire(1)
    terminating = threading.Thread(target=terminate_in_the_middle, args=(admin, backend_of(guard)))
    terminating.start()
    with pytest.raises(SessionLost):
        guard.execute("SELECT pg_sleep(600)")
    terminating.join()
    assert guard.held == set()


def test_backend_killed(guards):
    """kill -9 of one backend makes PostgreSQL restart all of them: no word to us, only an end of file."""
    guard = guards()
    guard.acquire(1)
    os.kill(backend_of(guard), signal.SIGKILL)
    with pytest.raises(SessionLost):
        guard.execute("SELECT 1")
    assert guard.held == set()
    assert _once_recovered(guards).acquire(1)


def _once_recovered(guards):
    """A new guard, as soon as PostgreSQL lets one in: it may still answer before it has noticed the crash."""
    deadline = time.monotonic() + 60
    while True:
        try:
            guard = guards()
            guard.execute("SELECT 1")
            return guard
        except SessionLost:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_postgres_restarted(guards, postgres):
    guard = guards()
    guard.acquire(1)
    postgres.kill()
    try:
        with pytest.raises(SessionLost):
            guard.acquire(1)
        with pytest.raises(SessionLost):
            guards()
    finally:
        postgres.start()
    with pytest.raises(SessionLost):
        guard.acquire(1)
    assert guards().acquire(1)


def test_no_such_database(guards):
    with pytest.raises(SessionLost, match="does not exist"):
        guards(database="nobody")


# Statements


def test_execute_returns_rows(guards):
    guard = guards()
    rows = guard.execute("SELECT n, n * 2 AS twice FROM generate_series(1, %s) n", (2,))
    assert rows == [{"n": 1, "twice": 2}, {"n": 2, "twice": 4}]
    assert guard.execute("SELECT %(name)s AS name", {"name": "%"}) == [{"name": "%"}]
    assert guard.execute("SELECT 1 WHERE false") == []


def test_execute_without_rows_returns_none(guards):
    guard = guards()
    assert guard.execute("CREATE TEMPORARY TABLE t AS SELECT generate_series(1, 3) n") == []
    assert guard.execute("UPDATE t SET n = n WHERE n < %s", (3,)) == []
    assert len(guard.execute("DELETE FROM t RETURNING n")) == 3


def test_run_prepares_once(guards):
    guard = guards()
    statement = "SELECT %(n)s::int AS n, %(text)s || %(n)s AS text"
    assert guard.run(statement, {"n": 1, "text": "a"}) == [{"n": 1, "text": "a1"}]
    assert guard.run(statement, {"text": "%", "n": 2}) == [{"n": 2, "text": "%2"}]
    assert guard.run("SELECT %(n)s + 1 AS n", {"n": 3}) == [{"n": 4}]
    assert len(guard.execute("SELECT name FROM pg_prepared_statements")) == 2


def test_run_passes_errors_and_loses_the_guard(guards, admin):
    guard = guards()
    guard.acquire(1)
    with pytest.raises(psycopg2.errors.DivisionByZero):
        guard.run("SELECT 1 / %(n)s", {"n": 0})
    assert guard.held == {1}
    terminate(admin, guard)
    with pytest.raises(SessionLost):
        guard.run("SELECT 1 / %(n)s", {"n": 1})
    assert guard.held == set()


def test_each_statement_commits_and_sees_what_others_committed(guards):
    first, second = guards(), guards()
    first.execute("CREATE TABLE shared (n int)")
    try:
        assert second.execute("SELECT n FROM shared") == []
        first.execute("INSERT INTO shared VALUES (1)")
        assert second.execute("SELECT n FROM shared") == [{"n": 1}]
    finally:
        first.execute("DROP TABLE shared")
    assert shown(first, "transaction_isolation") == ["read committed"]


def refused(sql, error):
    return pytest.param(sql, error, id=error.__name__)


@pytest.mark.parametrize(
    "sql, error",
    [
        refused("SELECT 1/0", psycopg2.errors.DivisionByZero),
        refused("SELEC", psycopg2.errors.SyntaxError),
        refused("SELECT %s", IndexError),
        refused("SET statement_timeout = '20ms'; SELECT pg_sleep(5)", psycopg2.errors.QueryCanceled),
        refused("SET lock_timeout = '20ms'; LOCK TABLE pg_class", psycopg2.errors.LockNotAvailable),
        refused("DO $$ BEGIN LOCK TABLE pg_class NOWAIT; END $$", psycopg2.errors.LockNotAvailable),
        *(
            refused(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$", psycopg2.errors.lookup(state))
            for state in ("23505", "40001", "40P01", "53100", "53200", "55006", "57014", "58030", "XX000")
        ),
    ],
)
def test_error_of_a_statement_passes_and_keeps_the_guard(guards, admin, sql, error):
    guard, other = guards(), guards()
    guard.acquire(1)
    admin.execute("BEGIN; LOCK TABLE pg_class IN ACCESS SHARE MODE")
    with pytest.raises(error):
        guard.execute(sql, () if "%s" in sql else None)
    assert guard.held == {1}
    assert guard.execute("SELECT 1 AS one") == [{"one": 1}]
    assert not other.acquire(1)


@pytest.mark.parametrize("state", ["08006", "57P01", "57P02", "57P03"])
def test_state_of_a_lost_connection(guards, state):
    """Also when psycopg2 did not notice yet (a proxy said so)."""
    guard = guards()
    guard.acquire(1)
    with pytest.raises(SessionLost):
        guard.execute(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$")
    assert guard.held == set()
    wait_acquired(guards(), 1)


# The session


def shown(guard, *names):
    return [guard.execute(f"SHOW {name}")[0][name] for name in names]


def test_session_settings(guards):
    guard = guards()
    keepalives = shown(guard, "tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
    assert keepalives == ["5", "2", "3"]
    assert shown(guard, "tcp_user_timeout", "application_name") == ["10000", "opterp_kkt"]


def test_settings_win_over_the_database_and_keep_the_dsns(guards, admin):
    admin.execute("ALTER ROLE odoo SET default_transaction_isolation = 'serializable'")
    try:
        guard = guards(application_name="odoo-1", options="-c work_mem=1234kB")
    finally:
        admin.execute("ALTER ROLE odoo RESET default_transaction_isolation")
    assert shown(guard, "transaction_isolation", "work_mem", "application_name") == [
        "read committed", "1234kB", "opterp_kkt",
    ]  # fmt: skip


def test_dsn_may_be_a_uri(postgres):
    uri = f"postgresql://odoo@127.0.0.1:{postgres.port}/postgres"
    with Guard({"dsn": uri, "application_name": "odoo-1"}) as guard:
        assert guard.acquire(1)
        assert shown(guard, "application_name", "tcp_keepalives_idle") == ["opterp_kkt", "5"]
