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

LAST_OF_DRIVE = """
    SELECT (SELECT fd_number FROM kkt_receipt WHERE fiscal_drive_number = %(drive)s AND fd_number > 0
             ORDER BY fd_number DESC LIMIT 1) AS number
"""
LAST_SHIFT_OF_DRIVE = "SELECT COALESCE(max(number), 0) FROM kkt_shift WHERE fiscal_drive_number = %(drive)s"
# A number that a drive has given anywhere, ever, is never given again, whatever the register's own counter says. `counted` is 0
# where the answer brings the numbers: then nothing but the place in the queue and the stamp is taken. `opening` is 1 for the
# report that opens a shift, `settlement` for what counts within it; the last number of all is for `closing` one: else another
# drive could never be put in.
TAKE_NUMBERS = f"""
    UPDATE kkt_register r
       SET last_fd_number = GREATEST(last_fd_number, last.number) + %(counted)s,
           last_queue_number = last_queue_number + 1,
           last_shift_number = CASE WHEN %(opening)s = 1 THEN GREATEST(last_shift_number, ({LAST_SHIFT_OF_DRIVE})) + 1
                                    ELSE last_shift_number END,
           last_receipt_number = CASE WHEN %(opening)s = 1 THEN 0 ELSE last_receipt_number + %(settlement)s END,
           last_document_time = GREATEST(last_document_time, floor(extract(epoch FROM now()) * 1000)),
           hlc_local_time = %(local_time)s,
           hlc_logical_counter = %(logical_counter)s
      FROM ({LAST_OF_DRIVE}) last, kkt_ofd o
     WHERE r.id = %(register)s AND o.id = r.ofd_id
       AND GREATEST(last_fd_number, last.number, last_queue_number) < 2147483646 + %(closing)s
 RETURNING last_queue_number, last_document_time, o.protocol, last_fd_number, last_shift_number, last_receipt_number
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
        if not self.env.cr.rowcount:
            raise DocumentError('numbers', register=self.name)
        *row, receipt_number = self.env.cr.fetchone()
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
