from odoo import api, fields, models

from ..core.lines import FULL_SETTLEMENT, GOODS
from ..models.account_tax import VAT_RATES
from ..models.product_template import PAYMENT_SUBJECTS

METHODS = [  # tag 1214; what is on credit follows from the payments
    ('4', "Full settlement"),
    ('1', "Prepaid in full"),
    ('2', "Prepaid in part"),
    ('3', "Advance"),
    ('7', "Payment of a credit"),
]


class KktCorrectionDraftLine(models.TransientModel):
    """A line of a correction receipt that is being prepared (tag 1059)."""

    _name = 'kkt.correction.draft.line'
    _description = "Line of a Correction to Be Signed"

    draft_id = fields.Many2one('kkt.correction.draft', required=True, ondelete='cascade')
    currency_id = fields.Many2one(related='draft_id.currency_id')
    name = fields.Char("What", required=True)
    quantity = fields.Float(required=True, default=1, digits=(16, 6))
    total = fields.Monetary("Sum", required=True, help="With VAT, after discounts.")
    price = fields.Monetary(compute='_compute_price')
    vat_rate = fields.Selection(VAT_RATES, "VAT", help="Tag 1199: the rate of the day of the settlement.")
    subject = fields.Selection(PAYMENT_SUBJECTS, required=True, default=str(GOODS), help="Tag 1212.")
    method = fields.Selection(METHODS, "Settlement", required=True, default=str(FULL_SETTLEMENT), help="Tag 1214.")
    measure = fields.Integer(default=0, help="The code of tag 2108: 0 pieces or units, 255 anything else.")

    @api.depends('quantity', 'total')
    def _compute_price(self):
        for line in self:
            line.price = line.quantity and line.total / line.quantity

    def _get_statement(self):
        return {
            'name': self.name,
            'quantity': f'{self.quantity:.6f}',
            'total': round(100 * self.total),
            'vat_rate': int(self.vat_rate or 0),
            'subject': int(self.subject),
            'measure': self.measure,
            'method': int(self.method),
        }
