"""The verdict over delivery: what is unhealthy, what is only worth a warning, what is somebody's business."""

from collections import Counter

import pytest
from core.health import LATE, Facts, Job, Queue, delivery_stop, judge, next_try_in, obstacle, oldest_age

CALLED = Job(active=True, failure_count=0, silent_for=30)
SILENT = Job(active=True, failure_count=0, silent_for=86_400)
OFF = Job(active=False, failure_count=0, silent_for=1)
FAILING = Job(active=True, failure_count=3, silent_for=30)
SET_BACK = Job(active=True, failure_count=0, silent_for=-3_600)
WELL = {"delivery": [CALLED, CALLED], "watch": [CALLED]}


def codes(**facts) -> tuple[list[str], list[str]]:
    verdict = judge(Facts(**WELL | facts))
    assert verdict.healthy == (not verdict.reasons)
    return [finding.code for finding in verdict.reasons], [finding.code for finding in verdict.warnings]


def test_all_is_well():
    assert codes() == ([], [])
    assert codes(queues=[Queue(LATE - 1)]) == ([], [])


@pytest.mark.parametrize(
    "jobs, code",
    [
        ([], "no_delivery_job"),
        ([OFF], "no_delivery_job"),
        ([SILENT, SILENT], "delivery_silent"),
        ([SILENT, OFF], "delivery_silent"),
        ([SET_BACK], "delivery_silent"),
        ([FAILING, FAILING], "delivery_fails"),
        ([FAILING, SILENT], "delivery_fails"),
    ],
)
def test_nothing_delivers(jobs, code):
    assert codes(delivery=jobs) == ([code], [])
    assert codes(delivery=jobs, delivering=True) == ([], []), "somebody does at this moment"


@pytest.mark.parametrize("jobs", [[CALLED], [CALLED, SILENT], [CALLED, OFF], [FAILING, CALLED]])
def test_one_job_is_enough(jobs):
    assert delivery_stop(jobs, delivering=False) is None


def test_nobody_would_be_told():
    assert codes(watch=[])[0] == ["no_watch_job"]
    assert codes(watch=[SILENT])[0] == ["watch_silent"]
    assert codes(watch=[FAILING])[0] == ["watch_fails"]


def test_what_could_be_sent_is_late_whoever_runs():
    assert codes(queues=[Queue(1), Queue(LATE)], delivering=True)[0] == ["late"]
    assert oldest_age(Facts(queues=[Queue(1), Queue(7), Queue(9, held=True)])) == 7
    assert oldest_age(Facts()) is None


def test_a_hold_is_business_once_somebody_was_told():
    assert codes(queues=[Queue(86_400, held=True, told=True)]) == ([], [])
    assert codes(queues=[Queue(86_400, held=True, told=False)])[0] == ["held_untold"]
    assert codes(queues=[Queue(1, held=True, told=False)]) == ([], []), "the watch comes in a moment"


def test_warnings_are_no_reasons():
    assert codes(redis=False) == ([], ["redis"])
    assert codes(breakers=Counter(closed=3)) == ([], [])
    assert codes(breakers=Counter(closed=1, open=2, forced_open=1), paused=1) == ([], ["open", "forced_open", "paused"])


def test_texts_tell_how_long_and_how_many():
    verdict = judge(Facts(queues=[Queue(420)], delivery=[SILENT], watch=[CALLED], breakers=Counter(open=2)))
    texts = " ".join(finding.text for finding in [*verdict.reasons, *verdict.warnings])
    assert "1440 minutes" in texts and "7 minutes" in texts and "answer: 2." in texts


ROW = {"held": False, "mode": "automatic", "state": "closed", "paused_for": None}


@pytest.mark.parametrize(
    "values, first",
    [
        ({}, None),
        ({"held": True, "mode": "forced_open"}, "held"),
        ({"mode": "forced_open", "paused_for": 9}, "forced_open"),
        ({"paused_for": 9, "state": "open"}, "paused"),
        ({"paused_for": -9, "state": "half_open"}, "open"),
        ({"mode": "disabled", "state": "open"}, None),
    ],
)
def test_the_first_obstacle(values, first):
    assert obstacle(ROW | values) == first


HEAD = ROW | {"head_id": 1, "sending": False, "due_in": None, "permitted_in": None}


@pytest.mark.parametrize(
    "values, seconds",
    [
        ({}, 0),
        ({"head_id": None}, None),
        ({"sending": True}, None),
        ({"held": True}, None),
        ({"mode": "forced_open"}, None),
        ({"due_in": 4}, 4),
        ({"due_in": 4, "paused_for": 9}, 9),
        ({"due_in": 4, "permitted_in": 40}, 4),
        ({"due_in": 4, "permitted_in": 40, "state": "open"}, 40),
        ({"permitted_in": -3, "state": "open"}, 0),
    ],
)
def test_the_next_try(values, seconds):
    assert next_try_in(HEAD | values) == seconds
