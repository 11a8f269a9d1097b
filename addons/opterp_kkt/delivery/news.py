"""Who hears of what delivery did: people, of what they have to do something about; tills, of whatever they show."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic, sleep

import psycopg2

PACE_SECONDS = 1.0  # between two messages to the tills of one register
GATHER_SECONDS = 0.25  # between two transactions in which the threads of a process have tills told
_told_at: dict[int, float] = {}  # by process: when the tills of a register were told last, by the monotonic clock


class News:
    """What has happened since others were told of it.

    To tell them is no part of delivery: where it fails, the watch looks and tills ask by themselves.

    :param tell_people: called without arguments
    :param tell_tills: called with the ids of registers
    """

    def __init__(self, tell_people: Callable[[], None], tell_tills: Callable[[list[int]], None]):
        self.for_people = False
        self.changed: set[int] = set()  # registers of which tills show something that is no longer so
        self._tell_people = tell_people
        self._tell_tills = tell_tills
        self._due: set[int] = set()
        self._next_at = 0.0
        self._pause = 0.0

    def handed_to(self, hand_over: Callable) -> "News":
        """The news of another thread, for these same people and tills, who are told here: `hand_over(callback, *arguments)` calls
        back in this thread. From then on tills are told GATHER_SECONDS apart: forty registers cost one transaction, not forty.
        """
        self._pause = GATHER_SECONDS
        return News(partial(hand_over, self._want_people), partial(hand_over, self._due.update))

    def _want_people(self) -> None:
        self.for_people = True

    @property
    def due_in(self) -> float:
        """Seconds until tills may be told what has waited for its second."""
        return max(0.0, self._next_at - monotonic()) if self._due else inf

    def note_change(self, register_ids: Iterable[int]) -> None:
        self.changed.update(register_ids)

    def publish(self) -> None:
        """Have people and tills hear of it: now, not when the run ends."""
        if self.for_people:
            with suppress(psycopg2.Error):
                self._tell_people()
                self.for_people = False
        self.publish_to_tills()

    def publish_to_tills(self) -> None:
        """What has to wait for its second stays for the next call."""
        now = monotonic()
        due = {register for register in self.changed if _get_wait(register, now) <= 0}
        self.changed -= due
        _told_at.update(dict.fromkeys(due, now))
        self._due |= due
        if self.due_in == 0:
            told = sorted(self._due)
            self._due.clear()
            self._next_at = now + self._pause
            with suppress(psycopg2.Error):
                self._tell_tills(told)

    def publish_all(self) -> None:
        """The same, with what has to wait. Nothing is owned meanwhile."""
        self.publish()
        while self.changed or self._due:
            now = monotonic()
            waits = [_get_wait(register, now) for register in self.changed] or [self.due_in]
            sleep(max(0.0, *waits))
            self.publish()


def _get_wait(register: int, now: float) -> float:
    """Seconds until the tills of a register may be told again."""
    return _told_at.get(register, now - PACE_SECONDS) + PACE_SECONDS - now
