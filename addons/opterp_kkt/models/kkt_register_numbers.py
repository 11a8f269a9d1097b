import time
from datetime import UTC, datetime
from typing import NamedTuple

import pytz

from odoo import models

from ..core import hlc
from ..core.document_error import DocumentError
from ..drivers import Numbers
from .kkt_receipt import SETTLEMENTS
from .kkt_register import COUNTERS

# A number that a drive has given anywhere, ever, is never given again, whatever the register's own counter says. `_counted` is 0
# where the answer brings the numbers: then nothing but the place in the queue and the stamp is taken. `_opening` is 1 for the
# report that opens a shift, `_settlement` for what counts within it; the last number of all is for `_closing` one: else another
# drive could never be put in. A function, because PostgreSQL keeps its plan: to plan this takes longer than to do it. It goes
# with the table whose rows it returns.
NUMBERS = """
    CREATE OR REPLACE FUNCTION kkt_take_numbers(
        _register int4, _drive varchar, _counted int4, _opening int4, _closing int4, _settlement int4,
        _local_time int8, _logical_counter int4, OUT register kkt_register, OUT protocol varchar) LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE kkt_register r
           SET last_fd_number = GREATEST(last_fd_number, last.number) + _counted,
               last_queue_number = last_queue_number + 1,
               last_shift_number = CASE WHEN _opening = 1 THEN 1 + GREATEST(last_shift_number, (
                                             SELECT max(number) FROM kkt_shift WHERE fiscal_drive_number = _drive))
                                        ELSE last_shift_number END,
               last_receipt_number = CASE WHEN _opening = 1 THEN 0 ELSE last_receipt_number + _settlement END,
               last_document_time = GREATEST(last_document_time, floor(extract(epoch FROM now()) * 1000)),
               hlc_local_time = _local_time,
               hlc_logical_counter = _logical_counter
          FROM (SELECT (SELECT fd_number FROM kkt_receipt WHERE fiscal_drive_number = _drive AND fd_number > 0
                         ORDER BY fd_number DESC LIMIT 1) AS number OFFSET 0) last
         WHERE r.id = _register AND GREATEST(last_fd_number, last.number, last_queue_number) < 2147483646 + _closing
     RETURNING r.* INTO register;
        SELECT o.protocol INTO protocol FROM kkt_ofd o WHERE o.id = register.ofd_id;
    END $$
"""
TAKE_NUMBERS = """
    SELECT (register).last_queue_number, (register).last_document_time, protocol, (register).last_fd_number,
           (register).last_shift_number, (register).last_receipt_number
      FROM kkt_take_numbers(%(register)s, %(drive)s, %(counted)s, %(opening)s, %(closing)s, %(settlement)s, %(local_time)s,
                            %(logical_counter)s)
"""


class Place(NamedTuple):
    """Where a document stands among those of its register."""

    queue_number: int
    stamp: hlc.Timestamp
    drifted: bool  # the till's stamp is not merged
    protocol: str  # of the OFD that it will go to
    numbers: Numbers  # of the drive: the document's own where its driver numbers at once


class KktRegister(models.Model):
    """How a register numbers a document.

    `_take_place` takes the next place in the queue, the next stamp of the register's hybrid logical clock and, where the driver
    numbers at once, the next FD number with one UPDATE of the register's row, in the transaction of the document's cause.
    """

    _inherit = 'kkt.register'

    def init(self):
        self.env.cr.execute(NUMBERS)

    def _check_serves(self, config, company):
        """:raises DocumentError: this register doesn't number what that point of sale and company sell"""
        if not self.active or self.pos_config_id != config:
            raise DocumentError('register', register=self.name, pos=config.name)
        if self.company_id != company:
            raise DocumentError('company', register=self.name, own=self.company_id.name, company=company.name)

    def _take_place(self, document_type, at_once, seen, claimed=None):
        """Give a document its place.

        :param at_once: whether it gets the drive's next numbers, too
        :param seen: trusted HLC stamps that the document must be later than
        :param claimed: what a till sent as its own stamp; untrusted
        :raises DocumentError: there is no number left
        """
        self.ensure_one()
        believed = self._get_believable(claimed) if claimed else []
        last = hlc.Timestamp(self.hlc_local_time, self.hlc_logical_counter, self.hlc_node)
        stamp = hlc.tick(last, time.time_ns() // 1_000_000, *seen, *believed)
        queue_number, milliseconds, protocol, *numbers = self._take_numbers(document_type, stamp, at_once)
        return Place(
            queue_number,
            stamp,
            bool(claimed) and not believed,
            protocol,
            Numbers(self.fiscal_drive_number, *numbers, self._get_local_time(milliseconds)),
        )

    def _take_numbers(self, document_type, stamp, at_once):
        """The HLC tick, the document's numbers, its place in the queue and its time (tag 1012), in one UPDATE.

        Nobody else can change the row between our reading and our writing: REPEATABLE READ would refuse the write. Nor can
        another register give a number of this drive meanwhile: it would have to get the drive from this row first.
        """
        self.flush_recordset(COUNTERS | {'ofd_id'})
        self.env['kkt.ofd'].flush_model(['protocol'])
        self.env.cr.execute(
            TAKE_NUMBERS,
            {
                'register': self.id,
                'drive': self.fiscal_drive_number,
                'counted': int(at_once),
                'opening': int(at_once and document_type == 'shift_open'),
                'closing': int(document_type == 'shift_close'),
                'settlement': int(at_once and document_type in SETTLEMENTS),
                'local_time': stamp.local_time,
                'logical_counter': stamp.logical_counter,
            },
        )
        *row, receipt_number = self.env.cr.fetchone()
        if row[0] is None:
            raise DocumentError('numbers', register=self.name)
        self.invalidate_recordset(COUNTERS)
        return *row, receipt_number if document_type in SETTLEMENTS else None

    def _get_believable(self, claimed):
        """The till's stamp, unless it is malformed or far ahead: it would drag the register's clock along for good.

        It may well be ahead of every clock when the register's own stamp is, as that is where the till has it from.
        """
        try:
            stamp = hlc.parse(claimed)
        except ValueError:
            return []
        now = int(self.env.cr.now().replace(tzinfo=UTC).timestamp() * 1000)
        believable = hlc.within_drift(stamp, now) or stamp.local_time <= self.hlc_local_time
        return [stamp] if believable else []

    def _get_local_time(self, milliseconds):
        return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(pytz.timezone(self.tz))

    def _get_day(self):
        """The day of a document that is numbered in this transaction: its time is the transaction's, as PostgreSQL tells it."""
        return self._get_local_time(self._get_time()).date()
