"""How serious it is that something comes to its end."""

import pytest
from core import wear


@pytest.mark.parametrize(("percent", "level"), [(0, 0), (79.9, 0), (80, 1), (90, 2), (95, 3), (100, 3)])
def test_disks(percent, level):
    assert wear.get_disk_level(percent) == level


@pytest.mark.parametrize(
    ("days", "percent", "level"),
    [
        (None, None, 0),
        (31, None, 0),
        (30, None, 1),
        (3, 0, 2),
        (0, 0, 3),
        (None, 89, 0),
        (100, 90, 1),
        (100, 99, 2),
        (30, 100, 3),
    ],
)
def test_drives(days, percent, level):
    """What ends first decides."""
    assert wear.get_drive_level(days, percent) == level
