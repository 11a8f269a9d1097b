from odoo import api, fields, models
from odoo.exceptions import ValidationError

PAYMENT_SUBJECTS = [
    ('1', "Goods"),
    ('3', "Work"),
    ('4', "Service"),
    ('10', "Payment (advance, deposit)"),
    ('33', "Marked goods (with a code)"),
]


class ProductTemplate(models.Model):
    """What a product is on a fiscal receipt (tag 1212): by default goods, or a service."""

    _inherit = 'product.template'

    kkt_payment_subject = fields.Selection(
        PAYMENT_SUBJECTS,
        "On Fiscal Receipts",
        compute='_compute_kkt_payment_subject',
        store=True,
        readonly=False,
        help="Tag 1212.",
    )

    @api.depends('type')
    def _compute_kkt_payment_subject(self):
        for product in self:
            product.kkt_payment_subject = '4' if product.type == 'service' else '1'

    @api.constrains('kkt_payment_subject')
    def _check_kkt_payment_subject(self):
        for product in self:
            if product.kkt_payment_subject == '33':
                raise ValidationError(
                    self.env._(
                        "%(product)s can't be marked goods: their codes must be checked before a sale, and nothing here does"
                        " that.",
                        product=product.name,
                    )
                )
