"""An OFD's limits hold over all connections, also when one of them dies or PostgreSQL's clock was set back."""

import sys
from types import SimpleNamespace

import pytest
from opterp_kkt.delivery.guard import Guard
from opterp_kkt.delivery.pace import Pace

TABLE = """
    DROP TABLE IF EXISTS kkt_ofd_pace;
    CREATE TABLE kkt_ofd_pace (id serial, ofd_id int UNIQUE, next_start float8 NOT NULL DEFAULT 0);
    INSERT INTO kkt_ofd_pace (ofd_id) VALUES (1), (2);
"""
AHEAD = "SELECT next_start - extract(epoch FROM clock_timestamp())::float8 AS s FROM kkt_ofd_pace WHERE ofd_id = 1"


def ofd(number=1, a_second=0.0, at_once=0):
    return SimpleNamespace(ofd_id=number, requests_per_second=a_second, parallel_requests=at_once)


@pytest.fixture
def guards(postgres):
    """Two connections, as of two hosts."""
    with Guard(postgres.maintenance) as one, Guard(postgres.maintenance) as other:
        one.execute(TABLE)
        yield one, other


@pytest.fixture
def waits(monkeypatch):
    """The seconds that were waited for starts; nobody waits."""
    waits = []
    monkeypatch.setattr(sys.modules[Pace.__module__], "sleep", waits.append)
    return waits


def test_starts_are_as_far_apart_as_the_ofd_asks(guards, waits):
    paces = [Pace(guard) for guard in guards]
    assert [paces[number % 2].take_start(ofd(a_second=1 / 600)) for number in range(2)] == [True, False], (
        "the next one is far ahead"
    )
    [row] = guards[0].execute(AHEAD)
    assert row["s"] <= 600 and waits == [0.0]


def test_who_comes_in_time_waits_for_his_start(guards, waits, monkeypatch):
    monkeypatch.setattr(sys.modules[Pace.__module__], "LONGEST_WAIT", 3600)
    guards[0].execute("UPDATE kkt_ofd_pace SET next_start = extract(epoch FROM clock_timestamp()) + 1800")
    assert Pace(guards[0]).take_start(ofd(a_second=100))
    assert 0 < waits[0] <= 1800


def test_a_start_from_before_the_clock_was_set_back(guards, waits):
    guards[0].execute("UPDATE kkt_ofd_pace SET next_start = extract(epoch FROM clock_timestamp()) + 3600")
    assert Pace(guards[0]).take_start(ofd(a_second=100))
    assert waits == [0.0]


def test_each_ofd_has_its_own_starts(guards, waits):
    assert all(Pace(guards[0]).take_start(ofd(number, a_second=1 / 600)) for number in (1, 2))


def test_what_is_not_limited_asks_nothing(guards, waits):
    pace = Pace(None)
    assert pace.take_start(ofd())
    with pace.permit(ofd()) as permitted:
        assert permitted
    assert waits == []


def test_so_many_at_once(guards):
    one, other = (Pace(guard) for guard in guards)
    for at_once in (1, 2):
        with one.permit(ofd(at_once=at_once)) as first, other.permit(ofd(at_once=at_once)) as second:
            assert (first, second) == (True, at_once == 2)
            with one.permit(ofd(2, at_once=1)) as of_another_ofd:
                assert of_another_ofd
    with other.permit(ofd(at_once=1)) as given_back:
        assert given_back


def test_who_dies_gives_his_permit_back(guards, postgres):
    victim = Guard(postgres.maintenance)
    with Pace(victim).permit(ofd(at_once=1)) as permitted:
        assert permitted
        guards[0].execute("SELECT pg_terminate_backend(%s, 60000)", [victim.execute("SELECT pg_backend_pid() AS pid")[0]["pid"]])
        with Pace(guards[0]).permit(ofd(at_once=1)) as free:
            assert free
