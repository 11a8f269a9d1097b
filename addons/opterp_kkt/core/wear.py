"""What comes to its end: disks that fill up, a fiscal drive's time and memory. How serious it is: 0, nothing to tell, to 3."""

DISK_STEPS = (80, 90, 95)  # per cent that are used
# The drive itself says on documents when fewer than 30, then 3 days are left (tags 1050, 1051), and that 99 % is full (1052).
DAYS_STEPS = (30, 3, 0)
MEMORY_STEPS = (90, 99, 100)  # per cent of the documents that it holds


def get_disk_level(percent: float) -> int:
    """Of a disk that is used to so many per cent."""
    return sum(percent >= step for step in DISK_STEPS)


def get_drive_level(days_left: int | None, percent: float | None) -> int:
    """Of a fiscal drive; None for what is not known."""
    by_days = 0 if days_left is None else sum(days_left <= step for step in DAYS_STEPS)
    by_memory = 0 if percent is None else sum(percent >= step for step in MEMORY_STEPS)
    return max(by_days, by_memory)
