"""Many registers side by side: one thread looks at the queues and hands them out, each lane delivers for one register."""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread, current_thread
from time import monotonic

import psycopg2

from ..core import breaker
from .news import News
from .ownership import Absentees
from .queue import Queue
from .session import SessionLost
from .worker import NAP_SECONDS, SHORTEST_NAP, Worker

_logger = logging.getLogger(__name__)

STAY_SECONDS = 60.0  # a run waits for what is due within this; a trigger of Odoo's crons is no finer than a minute


class Lanes:
    """Delivers for a bounded number of registers at once, in one process.

        run ──> scan: which registers have something due?            the caller's thread, on a session of its own
                 └─ lane: a thread and a `Worker` for one register, for a turn: own, claim, send, record
                     └─ inbox: news, and "the turn is over"          back to the caller's thread, which tells others

    A lane is a worker like any other, with a guard, a name and transports of its own: to the others, here and on other hosts,
    it is one more deliverer. So whatever keeps two processes apart keeps two lanes apart, and what a lane waits for, a hanging
    answer, a locked row, is waited for by no other. Lanes touch nothing of Odoo's.

    Who has waited longest for its turn has it first; who had one queues anew. Of the registers behind a breaker that is not
    closed one at a time gets a lane, in the order of their probes.

    :param open_worker: given its news, opens a worker with a guard of its own; called in the lanes' threads, too
    :param number: of registers at a time
    """

    def __init__(self, open_worker: Callable[[News], Worker], news: News, number: int):
        self.settled = 0
        self._open_worker = open_worker
        self._news = news
        self._number = number
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._at_work: dict[int, Queue] = {}
        self._idle: list[Worker] = []
        self._absentees = Absentees()  # whichever lane finds a register taken
        self._left_at: dict[int, float] = {}
        self._not_before: dict[int, float] = {}  # what got nowhere is left alone for a nap
        self._scanner = open_worker(news)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        while self._at_work:
            self._attend(NAP_SECONDS)
        for worker in (self._scanner, *self._idle):
            worker.close()
        self._news.publish_all()

    def run(self, until: float) -> float | None:
        """Deliver what is due, again and again, until that moment of the monotonic clock or until nothing is due soon.

        :return: seconds until the next document is due, None when only a person can tell
        """
        due_in: float | None = 0.0
        while True:
            if len(self._at_work) < self._number and monotonic() < until:
                due_in = self._hand_out(until)
            if not self._at_work and (due_in is None or due_in > STAY_SECONDS or monotonic() >= until):
                return due_in
            self._attend(min(max(NAP_SECONDS if due_in is None else due_in, SHORTEST_NAP), NAP_SECONDS, self._news.due_in))
            self._news.publish()

    # -- the caller's thread -----------------------------------------------------------------------------------------------

    def _hand_out(self, until: float) -> float | None:
        """Give what is due to free lanes. Return the seconds until the next thing is."""
        now, ripe, waits = monotonic(), [], []
        for queue in self._scanner.scan():
            wait = queue.get_wait(self._scanner.settings)
            if queue.register_id in self._at_work:
                wait = NAP_SECONDS
            elif wait == 0:
                wait = max(0.0, self._not_before.get(queue.register_id, now) - now)
                if wait == 0:
                    ripe.append(queue)
                    wait = NAP_SECONDS  # in a lane by then, or told by one that is free again
            if wait is not None:
                waits.append(wait)
        self._begin(sorted(ripe, key=self._get_place), until)
        return min(waits, default=None)

    def _get_place(self, queue: Queue) -> tuple:
        """Where a queue stands among those that are due; equals keep the order of the scan, which rotates probes."""
        if queue.breaker.state != breaker.CLOSED:
            return queue.blamed, 0.0
        return queue.blamed, -min(queue.waited, monotonic() - self._left_at.get(queue.register_id, float("-inf")))

    def _begin(self, ripe: list[Queue], until: float) -> None:
        for queue in ripe:
            if len(self._at_work) == self._number:
                return
            if not self._is_second_probe(queue):
                self._at_work[queue.register_id] = queue
                lane = Thread(target=self._serve, args=(queue, until), daemon=True, name="opterp_kkt lane")
                lane.dbname = getattr(current_thread(), "dbname", "?")  # Odoo's log names the database by it
                lane.start()

    def _is_second_probe(self, queue: Queue) -> bool:
        return queue.breaker.state != breaker.CLOSED and any(
            other.breaker_id == queue.breaker_id and other.breaker.state != breaker.CLOSED for other in self._at_work.values()
        )

    def _attend(self, seconds: float) -> None:
        """Do what lanes ask for, waiting so long for the first of it."""
        with suppress(Empty):
            task = self._inbox.get(timeout=seconds)
            while True:
                task()
                task = self._inbox.get_nowait()

    def _end(self, register_id: int, worker: Worker | None, settled: int) -> None:
        now = monotonic()
        del self._at_work[register_id]
        self.settled += settled
        self._left_at[register_id] = now
        self._not_before[register_id] = now if settled else now + NAP_SECONDS
        if worker:
            self._news.note_change(worker.news.changed)
            worker.news.changed.clear()
            self._idle.append(worker)

    def _call(self, callback: Callable, *arguments) -> None:
        """Others hear of news in this thread alone; where that fails, they look by themselves."""
        with suppress(psycopg2.Error):
            callback(*arguments)

    # -- a lane's thread ---------------------------------------------------------------------------------------------------

    def _serve(self, queue: Queue, until: float) -> None:
        """Deliver for one register for a while. What goes wrong is not the others' trouble."""
        worker, settled = None, 0
        try:
            worker = self._get_worker()
            before = worker.tally.settled
            try:
                worker.advance(queue, until)
            finally:
                settled = worker.tally.settled - before
            worker.news.publish()
        except SessionLost as error:
            _logger.warning("The guard was lost, register %s is let go and taken anew: %s", queue.register_id, error)
            if worker:
                worker.close()
            worker = None
        except Exception:
            _logger.exception("Delivery for register %s failed", queue.register_id)
        finally:
            self._inbox.put(partial(self._end, queue.register_id, worker, settled))

    def _get_worker(self) -> Worker:
        """An idle worker, else a new one."""
        with suppress(IndexError):
            return self._idle.pop()
        worker = self._open_worker(self._news.handed_to(self._hand_over))
        worker.absentees = self._absentees
        return worker

    def _hand_over(self, callback: Callable, *arguments) -> None:
        self._inbox.put(partial(self._call, callback, *arguments))
