from odoo import Command, api, fields, models

from ..core import vat
from .kkt_start import _get_name

OSN, ESHN = '1', '16'  # who is subject to VAT as a rule
GROUP = "НДС"


class KktStart(models.AbstractModel):
    """Russian taxes, made on request: Odoo's own chart of accounts brings those of another country.

    What another module has brought (a Russian chart of accounts) is taken as it is: a tax is made for those rates alone that have
    none. VAT is included in prices, as on the price tags of shops.
    """

    _inherit = 'kkt.start'

    @api.model
    def _get_usual_rate(self, company, day):
        """The code that most goods of such a company have: the highest rate of the day, or none."""
        if company.kkt_taxation_system not in (OSN, ESHN):
            return vat.NOT_SUBJECT_TO_VAT
        return max(vat.ordinary(day), key=lambda code: vat.RATES[code].percent)

    @api.model
    def _find_tax(self, company, code):
        return self.env['account.tax'].search(
            [
                *self.env['account.tax']._check_company_domain(company),
                ('type_tax_use', '=', 'sale'),
                ('amount_type', '=', 'percent'),
                ('kkt_vat_rate', '=', str(code)),
                ('amount', '=', vat.RATES[code].percent),
            ],
            order='price_include_override, sequence, id',  # "tax_excluded" is taken only where there is no other
            limit=1,
        )

    @api.model
    def _make_taxes(self, usual):
        company, former = self.env.company, self.env.company.account_sale_tax_id
        codes = vat.ordinary(fields.Date.context_today(self))
        taxes = {code: self._find_tax(company, code) or self._create_tax(company, code, former) for code in codes}
        company.account_sale_tax_id = taxes[usual]
        self._replace_on_products(former, taxes[usual])

    @api.model
    def _create_tax(self, company, code, former):
        """It is booked where the company's sales tax was booked so far."""
        account = former.invoice_repartition_line_ids.filtered(lambda line: line.repartition_type == 'tax').account_id[:1]
        lines = [
            Command.clear(),
            Command.create({'repartition_type': 'base'}),
            Command.create({'repartition_type': 'tax', 'account_id': account.id}),
        ]
        return self.env['account.tax'].create(
            {
                'name': _get_name(code),
                'invoice_label': _get_name(code),
                'amount': vat.RATES[code].percent,
                'type_tax_use': 'sale',
                'price_include_override': 'tax_included',
                'kkt_vat_rate': str(code),
                'company_id': company.id,
                'country_id': company.account_fiscal_country_id.id,
                'tax_group_id': self._get_tax_group(company).id,
                'invoice_repartition_line_ids': lines,
                'refund_repartition_line_ids': lines,
            }
        )

    @api.model
    def _get_tax_group(self, company):
        values = {'name': GROUP, 'company_id': company.id, 'country_id': company.account_fiscal_country_id.id}
        groups = self.env['account.tax.group']
        return groups.search([(name, '=', value) for name, value in values.items()], limit=1) or groups.create(values)

    @api.model
    def _replace_on_products(self, former, tax):
        """What Odoo itself put on goods is replaced while it harms nobody: nothing was sold or booked with that tax yet, and no
        receipt may state it. Otherwise the page names the goods, and a person decides.
        """
        unusable = self.env['account.tax']._kkt_get_unusable(self.env.company, fields.Date.context_today(self))
        if former.filtered_domain(unusable) and not former.is_used:
            products = self.env['product.template'].with_context(active_test=False).search([('taxes_id', 'in', former.ids)])
            products.write({'taxes_id': [Command.unlink(former.id), Command.link(tax.id)]})
