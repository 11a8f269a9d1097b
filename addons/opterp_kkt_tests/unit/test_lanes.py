# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What becomes of a run's news when its own connection ends; all else of lanes is proven over real processes."""

from threading import Event
from types import SimpleNamespace

import pytest
from opterp_kkt.core import breaker
from opterp_kkt.delivery.lanes import Lanes
from opterp_kkt.delivery.news import News
from opterp_kkt.delivery.session import SessionLost

REGISTER = 7
DUE = SimpleNamespace(
    register_id=REGISTER, get_wait=lambda settings: 0.0, breaker=breaker.Breaker(), blamed=False, waited=0.0, breaker_id=1
)


class Worker:
    """Sees one queue, then its connection is gone; in a lane it has something to tell afterwards."""

    def __init__(self, news: News, lost: Event):
        self.news, self.settings, self.tally, self._lost = news, None, SimpleNamespace(settled=0), lost
        self._seen = iter([[DUE]])

    def scan(self):
        for queues in self._seen:
            return queues
        self._lost.set()
        raise SessionLost("the server closed the connection")

    def advance(self, queue, until):
        self._lost.wait(60)
        self.news.note_change([queue.register_id])

    def close(self):
        pass


def test_what_lanes_had_to_tell_is_told_when_the_run_ends_by_a_lost_connection():
    told, lost = [], Event()
    with pytest.raises(SessionLost), Lanes(lambda news: Worker(news, lost), News(told.append, told.append), 2) as lanes:
        lanes.run(float("inf"))
    assert told == [[REGISTER]]
