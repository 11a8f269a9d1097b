import logging
from datetime import UTC, datetime, timedelta

import psycopg2

from odoo import fields, models
from odoo.exceptions import AccessError, UserError

from ..core.document_error import DocumentError
from ..core.shift import LONGEST
from .big_integer import BigInteger

_logger = logging.getLogger(__name__)


class KktRegister(models.Model):
    """The shift of a register: the row keeps which one is open and since when, so that a sale asks nothing else about it.

    It is opened by the session that is opened, by *Open Shift*, or by whatever is fiscalised while none is open; it is closed by
    the session that is closed, by *Close Shift*, or by what is fiscalised more than 24 hours after its opening.
    """

    _inherit = 'kkt.register'

    shift_id = fields.Many2one('kkt.shift', "Current Shift", readonly=True, copy=False, ondelete='restrict')
    shift_opened_time = BigInteger(readonly=True, default=0, copy=False, help="ms since 1970")
    shift_opened_at = fields.Datetime(related='shift_id.opened_at', string="Shift Opened")
    on_shift_end = fields.Selection(
        [('renew', "Close it and open the next one"), ('refuse', "Have the till stop before payment")],
        "After 24 Hours",
        required=True,
        default='renew',
        help="What the till does with a sale when the shift is 24 hours old. What was paid all the same is never refused: the"
        " shift is closed then, and the next one opened, before its document.",
    )

    # -- what opens and closes it ------------------------------------------------------------------------------------------

    def _ensure_shift(self, cashier):
        """The open shift for a document that is being issued: opened, or renewed where it is 24 hours old.

        :raises DocumentError: what the report on it can't state
        """
        if self.shift_id and not self._is_shift_over():
            return self.shift_id
        if self.shift_id:
            self.shift_id._close(cashier)
        return self.env['kkt.shift']._open(self, cashier)

    def _is_shift_over(self):
        return self._get_shift_age() >= LONGEST

    def _get_shift_age(self):
        """How long the open shift lasts by the register's clock, which is never behind its last document."""
        return timedelta(milliseconds=self._get_time() - self.shift_opened_time)

    def _get_time(self):
        """Now, by the register's clock: ms since 1970."""
        return max(int(self.env.cr.now().replace(tzinfo=UTC).timestamp() * 1000), self.last_document_time)

    def _get_hours_left(self):
        """Of the open shift; below zero where nobody has closed it."""
        return round((LONGEST - self._get_shift_age()) / timedelta(hours=1), 1) if self.shift_id else None

    def _get_shift_report(self):
        """What the till says of the shift; False where none is open, or nobody here has to close it."""
        return bool(self.shift_id and not self._is_receiver('keeps_shifts')) and {
            'id': self.shift_id.id,
            'number': self.shift_id.number,
            'age': self._get_shift_age().total_seconds(),
            'refuses': self.on_shift_end == 'refuse',
        }

    def _open_shift_of_session(self, cashier):
        """A session was opened. What the report can't state stops nobody: the first sale says so again."""
        for register in self:
            register.shift_id._take_sessions()
            register._report_on_shift(register._ensure_shift, cashier)

    def _close_shift_of_session(self, cashier):
        """A session was closed. The shift stays open if its report can't be made; the watch tells of it."""
        for register in self.filtered('shift_id'):
            register._report_on_shift(register.shift_id._close, cashier)

    def _report_on_shift(self, step, cashier):
        """Whatever is wrong with the report, it stops no session."""
        try:
            step(cashier)
        except psycopg2.Error:
            raise
        except DocumentError as error:
            self._tell_of_report(self.env['kkt.explanation']._explain(error))
        except Exception as error:
            _logger.exception("The report on the shift of %s could not be made", self.name)
            self._tell_of_report(repr(error))
        self.env['kkt.delivery']._wake()

    def _tell_of_report(self, words):
        self.message_post(body=self.env._("The report on the shift could not be made: %s", words))

    def action_open_shift(self):
        """Open the shift of a register, whether or not its session is open."""
        self._check_may_change_shift()
        self._await_sale()
        for register in self.sudo():
            if register.shift_id and not register._is_shift_over():
                raise UserError(
                    self.env._("%(shift)s of %(register)s is open.", shift=register.shift_id.display_name, register=register.name)
                )
            register._press(register._ensure_shift)

    def action_close_shift(self):
        """Close the open shift of a register, whose session may stay open: the next sale opens the next shift."""
        self._check_may_change_shift()
        self._await_sale()
        for register in self.sudo():
            if not register.shift_id:
                raise UserError(self.env._("%s has no open shift. The next sale opens one by itself.", register.name))
            register._press(register.shift_id._close)

    def _await_sale(self):
        """Let a sale that is under way end first: both write the register's row."""
        sessions = self.env['pos.session'].sudo().search([('config_id', 'in', self.sudo().pos_config_id.ids)], limit=1)
        self._take_sale_lock(sessions.ids)

    def _press(self, step):
        """What a button does with the shift; what is wrong with the report is told to who pressed it."""
        try:
            step(self.env.user.name)
        except DocumentError as error:
            raise UserError(self.env['kkt.explanation']._explain(error)) from error
        self.env['kkt.delivery']._wake()

    def _check_may_change_shift(self):
        self.check_access('read')
        if not self.env.su and not self.env.user.has_group('point_of_sale.group_pos_manager'):
            raise AccessError(self.env._("Only an administrator of the point of sale opens and closes shifts by hand."))

    # -- what must wait for its closing ------------------------------------------------------------------------------------

    def _check_shift_closed(self):
        """A shift is closed by the drive, and for the point of sale, that it was opened with."""
        for register in self.filtered('shift_id'):
            raise UserError(
                self.env._(
                    "%(shift)s of %(register)s is open. Press Close Shift first: its fiscal drive has to report on it, and the"
                    " next sale opens a new one.",
                    shift=register.shift_id.display_name,
                    register=register.name,
                )
            )

    # -- time --------------------------------------------------------------------------------------------------------------

    def _get_last_moment(self):
        """When the register made its last document (tag 1012)."""
        return datetime.fromtimestamp(self.last_document_time // 1000, UTC).replace(tzinfo=None)

    def _get_local(self, moment):
        return self._get_local_time(moment.replace(tzinfo=UTC).timestamp() * 1000)
