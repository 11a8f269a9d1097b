# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Loaded by every Python under `stack.Clock`: libfaketime 0.9.10 with a true monotonic clock breaks clock_nanosleep (EINVAL),
on which time.sleep rests since Python 3.11; select sleeps as well."""

import select
import time


def sleep(seconds):
    select.select([], [], [], seconds)


time.sleep = sleep
