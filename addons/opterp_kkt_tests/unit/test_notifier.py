"""The crons hear of a sale, from one connection per process, whatever PostgreSQL did in between."""

import sys
import threading
from select import select

import psycopg2
import pytest
from delivery.notifier import Notifier

SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'opterp_kkt' AND query LIKE '%cron_trigger%'"


@pytest.fixture
def listener(postgres):
    """A cron worker's connection."""
    connection = psycopg2.connect(**postgres.maintenance)
    connection.autocommit = True
    connection.cursor().execute("LISTEN cron_trigger")
    yield connection
    connection.close()


def heard(listener, seconds=60.0):
    """Databases whose crons were called, until nothing came for a while; `seconds` is for the first."""
    names = []
    while select([listener], [], [], 0.3 if names else seconds)[0]:
        listener.poll()
        names += [notify.payload for notify in listener.notifies]
        listener.notifies.clear()
    return names


def sessions(listener):
    with listener.cursor() as cursor:
        cursor.execute(SESSIONS)
        return [pid for (pid,) in cursor.fetchall()]


def test_crons_hear_of_each_call_over_one_connection(postgres, listener):
    notifier = Notifier(postgres.maintenance)
    notifier.call_in(0.0, "shop")
    assert heard(listener) == ["shop"]
    notifier.call_in(0.0, "shop")
    assert heard(listener) == ["shop"]
    assert len(sessions(listener)) == 1


def test_calls_that_are_still_to_come_serve_all_who_ask(postgres, listener, monkeypatch):
    all_asked = threading.Event()

    class LateTimer(threading.Timer):
        def run(self):
            all_asked.wait(60)
            super().run()

    monkeypatch.setattr(sys.modules[Notifier.__module__], "Timer", LateTimer)
    notifier = Notifier(postgres.maintenance)
    for _ in range(20):
        notifier.call_in(0.0, "shop")
    notifier.call_in(0.0, "other")
    all_asked.set()
    assert sorted(heard(listener)) == ["other", "shop"]


def test_a_connection_that_postgresql_ended_is_replaced(postgres, listener):
    notifier = Notifier(postgres.maintenance)
    notifier.call_in(0.0, "shop")
    assert heard(listener) == ["shop"]
    for pid in sessions(listener):
        listener.cursor().execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    notifier.call_in(0.0, "shop")
    assert heard(listener) == ["shop"]


def test_without_postgresql_nothing_is_raised(postgres, monkeypatch):
    raised = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    before = set(threading.enumerate())
    Notifier({**postgres.maintenance, "port": 1}).call_in(0.05, "shop")
    calls = set(threading.enumerate()) - before
    for call in calls:
        call.join()
    assert calls and not raised
