# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Who hears of what delivery did, and how often."""

import psycopg2
import pytest
from delivery import news
from delivery.news import GATHER_SECONDS, PACE_SECONDS, News


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(news, "monotonic", clock.monotonic)
    monkeypatch.setattr(news, "sleep", clock.sleep)
    monkeypatch.setattr(news, "_told_at", {})
    return clock


@pytest.fixture
def told():
    return []


@pytest.fixture
def it(clock, told):
    return News(lambda: told.append("people"), told.append)


def test_a_batch_is_one_message(it, told):
    it.note_change([2, 1])
    it.note_change([1])
    it.publish()
    it.publish()
    assert told == [[1, 2]]


def test_people_are_told_once(it, told):
    it.for_people = True
    it.publish()
    it.publish()
    assert told == ["people"]


def test_tills_of_a_register_are_told_once_a_second(it, told, clock):
    for _document in range(10):
        it.note_change([1])
        it.publish_to_tills()
        clock.sleep(PACE_SECONDS / 4)
    assert len(told) == 3


def test_another_worker_of_this_process_keeps_the_pace(it, told):
    it.note_change([1])
    it.publish()
    other = News(lambda: None, told.append)
    other.note_change([1])
    other.publish()
    assert told == [[1]]


def test_at_the_end_nothing_stays_untold(it, told, clock):
    it.note_change([1])
    it.publish()
    it.note_change([1])
    it.publish_all()
    assert (told, clock.now) == ([[1], [1]], 1000.0 + PACE_SECONDS)


@pytest.fixture
def lanes(it):
    """The news of three threads, whose callbacks are called at once."""
    return [it.handed_to(lambda callback, *arguments: callback(*arguments)) for _lane in range(3)]


def change(lane, register):
    lane.note_change([register])
    lane.publish()


def test_what_several_threads_tell_is_one_message(it, lanes, told, clock):
    for _second in range(2):
        for register, lane in enumerate(lanes):
            change(lane, register)
        it.publish()
        clock.sleep(PACE_SECONDS)
    assert told == [[0, 1, 2], [0, 1, 2]]


def test_threads_tell_no_more_often_than_that(it, lanes, told, clock):
    for register, lane in enumerate(lanes):
        change(lane, register)
        it.publish()
        clock.sleep(GATHER_SECONDS / 2)
    assert told == [[0], [1, 2]]


def test_it_is_known_when_threads_have_something_to_tell(it, lanes, clock):
    waits = [it.due_in]
    for register, lane in enumerate(lanes):
        change(lane, register)
        waits.append(it.due_in)
        it.publish()
        clock.sleep(GATHER_SECONDS / 2)
    assert waits == [float("inf"), 0.0, GATHER_SECONDS / 2, 0.0]


def test_at_the_end_nothing_of_a_thread_stays_untold(it, lanes, told):
    for register, lane in enumerate(lanes[:2]):
        change(lane, register)
        it.publish()
    it.publish_all()
    assert told == [[0], [1]]


def test_at_the_end_what_has_waited_for_its_second_waits_for_the_others_pause_too(it, lanes, told, clock):
    change(it, 1)
    clock.sleep(0.9 * PACE_SECONDS)
    change(lanes[0], 0)
    it.note_change([1])
    it.publish_all()
    assert told == [[1], [0], [1]]


def test_at_the_end_time_may_pass_between_two_looks_at_the_clock(it, told, clock, monkeypatch):
    change(it, 1)
    clock.sleep(PACE_SECONDS + 0.01)
    moments = iter([clock.now - 0.02])
    monkeypatch.setattr(news, "monotonic", lambda: next(moments, clock.now))
    it.note_change([1])
    it.publish_all()
    assert told == [[1], [1]]


def test_a_thread_has_people_told(it, lanes, told):
    lanes[0].for_people = True
    lanes[0].publish()
    it.publish()
    assert told == ["people"]


def test_people_do_not_wait(it, told):
    it.for_people = True
    it.publish()
    it.for_people = True
    it.publish()
    assert told == ["people", "people"]


def test_what_can_not_be_told_is_no_trouble_of_delivery(clock):
    def fail(*_ids):
        raise psycopg2.OperationalError("gone")

    it = News(fail, fail)
    it.for_people = True
    it.note_change([1])
    it.publish_all()
    assert it.for_people
