from markupsafe import Markup

from odoo import api, fields, models

from ..core import captions, listing

ROW = Markup('<tr><td style="padding-left: %sem" class="%s">%s</td><td class="text-end">%s</td><td class="text-end">%s</td></tr>')
HEAD = Markup('<th class="text-end">%s</th>')
TABLE = Markup('<table class="table table-sm"><thead><tr><th/>%s%s</tr></thead>%s</table>')


class KktShift(models.Model):
    """How a shift's counters read: those of its closing, or of what an open one has signed so far.

    Below them stands VAT at the rates that the format's counters have no place for; of 22 %, too, that is all there is.
    """

    _inherit = 'kkt.shift'

    currency_id = fields.Many2one(related='company_id.currency_id')
    receipt_count = fields.Integer("Receipts", compute='_compute_totals')
    sold = fields.Monetary(compute='_compute_totals')
    refunded = fields.Monetary(compute='_compute_totals')
    counters_table = fields.Html("Counters", compute='_compute_counters_table', sanitize=False)

    @api.depends('counters')
    def _compute_totals(self):
        for record in self:
            counters = record._get_counted()['counters']
            record.receipt_count = counters.get('totalReceiptBsoCount', 0)
            record.sold = counters.get('sellOper', {}).get('totalSum', 0) / 100
            record.refunded = counters.get('sellReturnOper', {}).get('totalSum', 0) / 100

    @api.depends('counters', 'drive_counters')
    @api.depends_context('lang')
    def _compute_counters_table(self):
        for record in self:
            counted = record._get_counted()
            own = {row.path: row.value for row in listing.counters(counted['counters'])}
            rows = Markup().join(
                ROW % (0.5 + 2 * row.depth, "" if row.value else "fw-bolder", row.title, own.get(row.path, ""), row.value)
                for row in listing.counters(counted['drive_counters'])
            )
            record.counters_table = TABLE % (
                HEAD % self.env._("Shift"),
                HEAD % self.env._("Fiscal Drive"),
                rows + Markup().join(record._get_rate_rows(counted)),
            )

    def _get_rate_rows(self, counted):
        rates = counted['other_rates'] or {}
        if rates:
            yield ROW % (0.5, "fw-bolder", self.env._("VAT at rates without counters, not in the report"), "", "")
        for operation, sums in sorted(rates.items()):
            yield ROW % (2.5, "fw-bolder", captions.OPERATIONS[int(operation)], "", "")
            for rate, kopecks in sorted(sums.items(), key=lambda each: int(each[0])):
                yield ROW % (4.5, "", captions.vat_name(int(rate)), listing.readable('vln', kopecks), "")

    def _get_counted(self):
        """Of the closing; of an open shift, what its closing would state now."""
        if not self.counters:
            return self._count()
        return {name: self[name] for name in ('counters', 'drive_counters', 'other_rates')}
