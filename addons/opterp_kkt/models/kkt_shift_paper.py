from calendar import timegm

from odoo import fields, models
from odoo.exceptions import AccessError

from ..core import paper
from ..core.shift import CLOSING
from .kkt_receipt_paper import as_slip, get_height, short


class KktShift(models.Model):
    """A shift on paper: the report on its closing (Z), or the counters of one that goes on (X), which is no document.

    Below either, and apart from it, stands what the format has no place for: VAT at rates without counters, and the cash that
    the sessions were given and that was taken out of them.
    """

    _inherit = 'kkt.shift'

    shift_paper = fields.Html("As Paper", compute='_compute_shift_paper', sanitize=False)

    def _compute_shift_paper(self):
        for record in self:
            paper_width = record.register_id.paper_width
            record.shift_paper = as_slip(record._get_paper(paper_width), paper_width)

    def _get_paper(self, paper_width):
        counted, report = self._get_counted(), self._get_report('shift_close')
        if report:
            lines = report._get_paper(paper_width)
        else:
            lines = paper.render_x(self._get_state(counted['counters']), paper.WIDTHS[paper_width], bool(self.closed_at))
        return [*lines, *self._get_reference(paper_width, counted['other_rates'])]

    def _get_reference(self, paper_width, rates):
        return paper.render_reference(rates or {}, self._get_cash_moves(), paper.WIDTHS[paper_width])

    def _get_cash_moves(self):
        """Cash in and out of the sessions. The payments that Odoo books as cash lines, too, are not named after it."""
        moves = []
        for session in self.sudo().session_ids:
            mark = f"{session.name}-"
            for line in session.statement_line_ids.sorted('id'):
                if (line.payment_ref or '').startswith(mark):
                    reason = line.payment_ref.removeprefix(mark).partition('-')[2]
                    moves.append((reason, round(100 * line.amount)))
        return moves

    def _get_state(self, counters):
        """What a closing would state now of the shift, without what would make it a document."""
        register = self.register_id
        head = register._get_head_values()
        return {
            'code': CLOSING,
            **{name: head[name] for name in ('user', 'userInn', 'kktRegId', 'retailPlaceAddress', 'retailPlace')},
            'dateTime': timegm(register._get_local(self.env.cr.now()).timetuple()),
            'shiftNumber': self._get_number(),
            'fiscalDriveNumber': self.fiscal_drive_number,
            'receiptQuantity': counters['totalReceiptBsoCount'],
            'shiftSumReports': counters,
        }

    def get_till_slip(self):
        """For the till of an administrator of the point of sale: X of a shift that goes on, Z of one that is closed."""
        self.ensure_one()
        self.check_access('read')
        if not self.env.su and not self.env.user.has_group('point_of_sale.group_pos_manager'):
            raise AccessError(self.env._("Only an administrator of the point of sale gets the reports on its shifts."))
        paper_width = self.register_id.paper_width
        return {
            'is_closed': bool(self.closed_at),
            'paper_width': paper_width,
            'lines': [short(line) for line in self._get_paper(paper_width)],
        }

    def action_print_80(self):
        return self._open_paper('80')

    def action_print_58(self):
        return self._open_paper('58')

    def _open_paper(self, paper_width):
        self.ensure_one()
        self.check_access('read')
        report = self._get_report('shift_close')
        if report:
            return report._open_paper(paper_width)
        return {
            'type': 'ir.actions.act_url',
            'target': 'new',
            'url': f'/report/html/opterp_kkt.report_kkt_shift_{paper_width}/{self.id}',
        }

    def _get_sheet(self, paper_width):
        """For the printed page, see `kkt.receipt._get_sheet`."""
        lines = self._get_paper(paper_width)
        return {'height': get_height(lines), 'slip': as_slip(lines, paper_width)}
