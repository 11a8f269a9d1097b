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


def has_crons(_dbname):
    return True


def sessions(listener):
    with listener.cursor() as cursor:
        cursor.execute(SESSIONS)
        return [pid for (pid,) in cursor.fetchall()]


def test_crons_hear_of_each_call_over_one_connection(postgres, listener):
    notifier = Notifier(postgres.maintenance, has_crons, 0.0)
    notifier.call("shop")
    assert heard(listener) == ["shop"]
    notifier.call("shop")
    assert heard(listener) == ["shop"]
    assert len(sessions(listener)) == 1


def test_one_call_serves_all_who_ask_before_it(postgres, listener, monkeypatch):
    all_asked = threading.Event()
    monkeypatch.setattr(sys.modules[Notifier.__module__], "sleep", lambda _seconds: all_asked.wait(60))
    notifier = Notifier(postgres.maintenance, has_crons, 0.05)
    for _ in range(20):
        notifier.call("shop")
    notifier.call("other")
    all_asked.set()
    assert sorted(heard(listener)) == ["other", "shop"]


def test_a_thread_that_ended_is_replaced(postgres, listener, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _raised: None)
    notifier = Notifier(postgres.maintenance, {"shop": True}.__getitem__, 0.0)
    notifier.call("none")  # a KeyError
    notifier._thread.join()
    notifier.call("shop")
    assert heard(listener) == ["shop"]


def test_a_connection_that_postgresql_ended_is_replaced(postgres, listener):
    notifier = Notifier(postgres.maintenance, has_crons, 0.0)
    notifier.call("shop")
    assert heard(listener) == ["shop"]
    for pid in sessions(listener):
        listener.cursor().execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    notifier.call("shop")
    assert heard(listener) == ["shop"]


def test_crons_are_due_before_they_hear_of_it(postgres, listener):
    due = []
    Notifier(postgres.maintenance, lambda dbname: due.append((dbname, heard(listener, 0.0))) or True, 0.0).call("shop")
    assert heard(listener) == ["shop"]
    assert due == [("shop", [])]


def test_a_database_without_crons_is_not_called(postgres, listener):
    notifier = Notifier(postgres.maintenance, lambda dbname: dbname != "bare", 0.0)
    notifier.call("bare")
    notifier.call("shop")
    assert heard(listener) == ["shop"]


def test_without_postgresql_nothing_is_raised(postgres, monkeypatch):
    raised, tried = [], threading.Semaphore(0)
    monkeypatch.setattr(threading, "excepthook", raised.append)
    notifier = Notifier({**postgres.maintenance, "port": 1}, lambda _dbname: tried.release() or True, 0.0)
    for _call in range(2):
        notifier.call("shop")
        assert all(tried.acquire(timeout=60) for _attempt in range(2))
    assert not raised
