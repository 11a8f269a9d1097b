from odoo import api, fields, models

from ..core import ffd

PAYMENT_FORMS = [
    ('cash', "Cash"),
    ('ecash', "Non-cash"),
    ('prepaid', "Advance set off"),
    ('credit', "On credit"),
    ('provision', "In kind"),
]


class PosPaymentMethod(models.Model):
    """Each payment method is one of the five forms of payment that a fiscal receipt states."""

    _inherit = 'pos.payment.method'

    kkt_payment_form = fields.Selection(
        PAYMENT_FORMS,
        "Payment on Fiscal Receipts",
        compute='_compute_kkt_payment_form',
        store=True,
        readonly=False,
        help="Tags 1031, 1081, 1215, 1216, 1217. A customer account is credit, a gift card an advance that is set off.",
    )

    @api.depends('journal_id', 'is_cash_count')
    def _compute_kkt_payment_form(self):
        for method in self:
            method.kkt_payment_form = 'cash' if method.is_cash_count else 'ecash' if method.journal_id else 'credit'

    @api.model
    def _load_pos_data_fields(self, config):
        # EXTENDS 'point_of_sale': a till says before payment which one names none
        return [*super()._load_pos_data_fields(config), 'kkt_payment_form']

    def _is_write_forbidden(self, fields):
        # EXTENDS 'point_of_sale': what a receipt could not be built for is mended while the session is open
        return super()._is_write_forbidden(fields - {'kkt_payment_form'})

    def _kkt_get_form(self):
        """One of `ffd.PAYMENT_FORMS`."""
        if not self.kkt_payment_form:
            raise ffd.DocumentError('payment_form', name=self.name)
        return self.kkt_payment_form
