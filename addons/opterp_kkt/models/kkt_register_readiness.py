from odoo import models

from ..core import vat


class KktRegister(models.Model):
    """What a shop has to put right before its point of sale can give receipts, beside what they say of the register itself.

    It is listed on the register and in the settings, and the till says it when it is opened: not after the money was taken.
    """

    _inherit = 'kkt.register'

    def _get_check_list(self):
        """All that is to be put right, each in a sentence that says what to do."""
        shop = (self._get_currency_problem(), self._get_tax_problem())
        return [*self._get_problems().values(), *filter(None, shop)]

    def _get_currency_problem(self):
        currency = self.pos_config_id.currency_id
        if currency and currency.name != 'RUB':
            return self.env._(
                "%(pos)s sells in %(currency)s, and fiscal receipts are in roubles. Set RUB as the company's currency, or as that"
                " of the point of sale's journal and price list.",
                pos=self.pos_config_id.name,
                currency=currency.name,
            )

    def _get_tax_problem(self):
        """Of the goods that this point of sale offers, the first one whose tax receipts can't state today."""
        if not self.pos_config_id:
            return None
        unusable = [
            ('company_id', '=', self.company_id.id),
            ('amount_type', '!=', 'group'),
            ('kkt_vat_rate', 'not in', self._get_usable_rates()),
        ]
        product = self.env['product.template'].search([('available_in_pos', '=', True), ('taxes_id', 'any', unusable)], limit=1)
        if product:
            return self.env._(
                "The tax %(tax)s of %(product)s, and maybe of others, has no VAT rate that a receipt may state today. Set it on"
                " the tax.",
                tax=product.taxes_id.filtered_domain(unusable)[:1].name,
                product=product.name,
            )

    def _get_usable_rates(self):
        """Codes of tag 1199 that a receipt of today may state."""
        today = self._get_day()
        return [str(code) for code in vat.RATES if vat.valid_on(code, today)]
