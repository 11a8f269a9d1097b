# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The harness itself: what it says it breaks is broken, and it leaves nothing behind."""

import os
import subprocess
import sys
import time

import psutil
import psycopg2
import pytest
import redis
import requests
from harness.processes import ProcessDied, Server
from harness.stack import Clock, Emulator, Postgres, Redis


def test_redis_is_flushed_hung_and_killed():
    with Redis() as server:
        server.client.set("lease", "held")
        server.flush()
        assert server.client.get("lease") is None
        impatient, patient = (redis.Redis(port=server.port, socket_timeout=seconds) for seconds in (0.2, 60))
        server.pause()
        with pytest.raises(redis.TimeoutError):
            impatient.ping()
        server.resume()
        assert patient.ping()
        server.kill()
        with pytest.raises(redis.ConnectionError):
            impatient.ping()
        server.start()
        assert patient.ping()
    assert not psutil.pid_exists(server.pid)


def test_postgres_looks_at_a_clock_that_can_be_wrong():
    with Postgres(clocked=True) as server:
        connection = psycopg2.connect(dbname="postgres", **server.dsn)
        connection.autocommit = True
        with connection.cursor() as cursor:
            for offset in (3600, -3600, 0):
                server.clock.set(offset)
                cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
                assert abs(cursor.fetchone()[0] - time.time() - offset) < 60
        connection.close()


def test_postgres_recovers_what_was_committed_before_the_crash():
    with Postgres() as server:
        connection = psycopg2.connect(dbname="postgres", **server.dsn)
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE kept AS SELECT 1")
        server.restart()
        with pytest.raises(psycopg2.OperationalError), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        connection = psycopg2.connect(dbname="postgres", **server.dsn)
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM kept")
            assert cursor.fetchall() == [(1,)]
        connection.close()
    assert not server.home.exists()


def test_a_clock_jumps_while_its_process_runs_and_the_monotonic_one_does_not():
    clock = Clock()
    script = "import sys, time\nfor _ in sys.stdin: time.sleep(0.01); print(time.time(), time.monotonic(), flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env=os.environ | clock.environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:

        def look():
            process.stdin.write("\n")
            process.stdin.flush()
            return map(float, process.stdout.readline().split())

        for offset in (0, +3600, -120):
            clock.set(offset)
            began, began_monotonic = time.time(), time.monotonic()
            wall, monotonic = look()
            assert began - 0.001 <= wall - offset <= time.time() + 0.001
            assert began_monotonic <= monotonic <= time.monotonic()


def test_the_emulator_misbehaves_on_demand_and_remembers_across_its_restart():
    with Emulator() as ofd:
        body = {
            "idempotency_key": "k",
            "fd_number": 1,
            "document_type": "receipt",
            "register": {"fiscal_drive_number": "9999078900000001", "registration_number": "0000000000000001"},
            "hlc": {"local_time": 1, "logical_counter": 0, "node": "n"},
            "document": {},
        }
        headers = {"Idempotency-Key": "k", "X-Delivery-Epoch": "1"}
        ofd.mode("fail", status=500, count=1)
        statuses = [
            requests.post(f"{ofd.url}/v1/documents", json=body, headers=headers, timeout=60).status_code for _attempt in range(2)
        ]
        assert statuses[0] == 500 and statuses[1] in (200, 201)
        ofd.restart()
        assert [request["key"] for request in ofd.accepted()] == ["k"]
        ofd.reset()
        assert ofd.history() == []


def test_a_server_that_dies_while_starting_says_why():
    class Broken(Server):
        def command(self):
            return ["sh", "-c", "echo no such option; exit 3"]

    with pytest.raises(ProcessDied, match="(?s)ended with 3.*no such option"):
        Broken("broken").start()
