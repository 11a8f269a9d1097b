from markupsafe import Markup

from odoo import api, fields, models

from ..core import listing, shift

ROW = Markup('<tr><td style="padding-left: %sem" class="%s">%s</td><td class="text-end">%s</td><td class="text-end">%s</td></tr>')
HEAD = Markup('<th class="text-end">%s</th>')
TABLE = Markup('<table class="table table-sm"><thead><tr><th/>%s%s</tr></thead>%s</table>')


class KktShift(models.Model):
    """How a shift's counters read: those of its closing, or of what an open one has signed so far."""

    _inherit = 'kkt.shift'

    currency_id = fields.Many2one(related='company_id.currency_id')
    receipt_count = fields.Integer("Receipts", compute='_compute_totals')
    sold = fields.Monetary(compute='_compute_totals')
    refunded = fields.Monetary(compute='_compute_totals')
    counters_table = fields.Html("Counters", compute='_compute_counters_table', sanitize=False)

    @api.depends('counters')
    def _compute_totals(self):
        for record in self:
            counters = record._get_counters()
            record.receipt_count = counters.get('totalReceiptBsoCount', 0)
            record.sold = counters.get('sellOper', {}).get('totalSum', 0) / 100
            record.refunded = counters.get('sellReturnOper', {}).get('totalSum', 0) / 100

    @api.depends('counters', 'drive_counters')
    @api.depends_context('lang')
    def _compute_counters_table(self):
        for record in self:
            counters = record._get_counters()
            drive = record.drive_counters or shift.add(record._get_last_of_drive().drive_counters or {}, counters)
            own = {row.path: row.value for row in listing.counters(counters)}
            rows = Markup().join(
                ROW % (0.5 + 2 * row.depth, "" if row.value else "fw-bolder", row.title, own.get(row.path, ""), row.value)
                for row in listing.counters(drive)
            )
            record.counters_table = TABLE % (HEAD % self.env._("Shift"), HEAD % self.env._("Fiscal Drive"), rows)

    def _get_counters(self):
        """Of the closing; of an open shift, what its closing would state now."""
        return self.counters or shift.fold(self._get_signed_documents().values())
