from odoo import api, fields, models

from ..core import vat

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

    def _kkt_get_rates(self):
        """The codes of these taxes; those of a group are those of its parts."""
        is_flat = all(tax.amount_type != 'group' for tax in self)
        return {tax.kkt_vat_rate for tax in (self if is_flat else self.flatten_taxes_hierarchy())}

    @api.model
    def _kkt_get_unusable(self, company, day):
        """A domain: taxes of a company that no receipt of that day may state."""
        usable = self._kkt_get_usable_rates(day)
        return [('company_id', '=', company.id), ('amount_type', '!=', 'group'), ('kkt_vat_rate', 'not in', usable)]

    @api.model
    def _kkt_get_usable_rates(self, day):
        """Codes of tag 1199 that a receipt of that day may state."""
        return [str(code) for code in vat.RATES if vat.valid_on(code, day)]

    @api.model
    def _kkt_find_problem(self, company, day):
        """Of the goods that the company's points of sale offer, the first one whose tax receipts can't state that day."""
        unusable = self._kkt_get_unusable(company, day)
        product = self.env['product.template'].search([('available_in_pos', '=', True), ('taxes_id', 'any', unusable)], limit=1)
        if product:
            return self.env._(
                "The tax %(tax)s of %(product)s, and maybe of others, has no VAT rate that a receipt may state today. Set it on"
                " the tax.",
                tax=product.taxes_id.filtered_domain(unusable)[:1].name,
                product=product.name,
            )

    @api.model
    def _load_pos_data_fields(self, config):
        # EXTENDS 'point_of_sale': the till says before payment which line's rate a receipt can't state
        return [*super()._load_pos_data_fields(config), 'kkt_vat_rate']
