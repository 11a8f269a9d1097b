from odoo import api, fields, models

VAT_RATES = [
    ('11', "22 %"),
    ('2', "10 %"),
    ('5', "0 %"),
    ('6', "Not subject to VAT"),
    ('7', "5 %"),
    ('8', "7 %"),
    ('12', "22/122"),
    ('4', "10/110"),
    ('9', "5/105"),
    ('10', "7/107"),
    ('1', "20 % (until 2025)"),
    ('3', "20/120 (until 2025)"),
]
BY_PERCENT = {22: '11', 20: '1', 10: '2', 7: '8', 5: '7', 0: '5'}


class AccountTax(models.Model):
    """Each sales tax names the VAT rate that a fiscal document states for it (tag 1199)."""

    _inherit = 'account.tax'

    kkt_vat_rate = fields.Selection(
        VAT_RATES,
        string="VAT Rate on Fiscal Receipts",
        compute='_compute_kkt_vat_rate',
        store=True,
        readonly=False,
        help="The code of tag 1199. Refunds keep the rate of the sale that they refund.",
    )

    @api.depends('amount', 'amount_type')
    def _compute_kkt_vat_rate(self):
        for tax in self:
            rate = BY_PERCENT.get(tax.amount) if tax.amount_type == 'percent' else None
            tax.kkt_vat_rate = tax.kkt_vat_rate or rate

    @api.model
    def _load_pos_data_fields(self, config):
        # EXTENDS 'point_of_sale': the till says before payment which line's rate a receipt can't state
        return [*super()._load_pos_data_fields(config), 'kkt_vat_rate']
