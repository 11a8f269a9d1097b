# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Looks at the head of every queue, moment for moment."""

import threading
import time
from contextlib import suppress

import psycopg2
from harness.stack import Database

PAUSE = 0.5  # s
HEADS = """
    SELECT g.id AS register, h.idempotency_key AS key, d.hold_reason IS NOT NULL AS held,
           concat_ws(' ', h.state, h.attempts, h.claimed_at, h.delivery_epoch) AS tried,
           EXISTS (SELECT FROM kkt_alarm a WHERE a.res_model = 'kkt.register' AND a.res_id = g.id AND a.told_level > 0) AS told
      FROM kkt_register g
      JOIN kkt_delivery d ON d.register_id = g.id
     CROSS JOIN LATERAL (
           SELECT * FROM kkt_receipt r WHERE r.register_id = g.id AND r.state IN ('pending', 'sending')
            ORDER BY r.state = 'sending' DESC, r.queue_number LIMIT 1) h
"""


class Heads(threading.Thread):
    """Samples until `stop`; `samples` are what `judge.heads_have_a_way_out` takes, `at` on the monotonic clock."""

    def __init__(self, database: Database):
        super().__init__(name="heads", daemon=True)
        self.database = database
        self.samples: list[dict] = []
        self._stopping = threading.Event()

    def run(self):
        while not self._stopping.wait(PAUSE):
            with suppress(psycopg2.Error):  # PostgreSQL is away: nobody can look
                at = time.monotonic()
                self.samples += [row | {"at": at} for row in self.database.query(HEADS)]

    def stop(self):
        self._stopping.set()
        self.join()
