"""What the dashboard makes of figures: the band of a breaker's states, and which registers want attention."""

import pytest
from core.dashboard import Move, get_attention, get_band, get_days_left


def test_a_band_without_moves_is_one_state():
    assert get_band([], "closed", 0.0, 100.0) == [("closed", 0.0, 1.0)]


def test_a_band_has_each_state_for_its_share():
    moves = [Move(20.0, "closed", "open"), Move(70.0, "open", "half_open"), Move(75.0, "half_open", "closed")]
    expected = [("closed", 0.0, 0.2), ("open", 0.2, 0.7), ("half_open", 0.7, 0.75), ("closed", 0.75, 1.0)]
    assert get_band(moves, "closed", 0.0, 100.0) == expected


def test_a_band_keeps_within_its_time():
    """PostgreSQL's clock may have been set: what lies outside is at the edge."""
    moves = [Move(-5.0, "closed", "open"), Move(400.0, "open", "closed")]
    assert get_band(moves, "closed", 0.0, 100.0) == [("open", 0.0, 1.0)]


WELL = {"condition": False, "oldest": None, "rejected": 0, "hours_left": 10.0}


@pytest.mark.parametrize(
    "facts, attention",
    [
        ({}, "success"),
        ({"condition": "sending", "oldest": 1.0}, "success"),
        ({"condition": "due", "oldest": 61.0}, "warning"),
        ({"condition": "open"}, "warning"),
        ({"condition": "paused"}, "warning"),
        ({"condition": "backoff", "oldest": 2.0}, "warning"),
        ({"lease_missing": True}, "warning"),
        ({"hours_left": 0.5}, "warning"),
        ({"hours_left": None}, "success"),
        ({"oldest": 3601.0}, "danger"),
        ({"rejected": 1}, "danger"),
        *(
            ({"condition": condition}, "danger")
            for condition in ("held", "forced_open", "no_delivery_job", "delivery_silent", "delivery_fails")
        ),
    ],
)
def test_what_wants_attention(facts, attention):
    assert get_attention(**WELL | facts) == attention


def test_days_left():
    assert get_days_left(None) is None
    assert get_days_left(86400.0) == 29.0
