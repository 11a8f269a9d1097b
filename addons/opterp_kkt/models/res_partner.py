from odoo import api, models
from odoo.exceptions import ValidationError

from ..core.inn import is_inn


class ResPartner(models.Model):
    """The tax ID of a company that has registers is on each of their receipts, so it stays an INN."""

    _inherit = 'res.partner'

    @api.constrains('vat')
    def _check_kkt_inn(self):
        registers = self.env['kkt.register'].sudo().search([('company_id.partner_id', 'in', self.ids)])
        for company in registers.company_id:
            if not is_inn(company.vat):
                raise ValidationError(
                    self.env._(
                        "%(vat)s is no INN: it has 10 or 12 digits, the last of which check the others. %(company)s has a cash"
                        " register, whose receipts state its INN.",
                        vat=company.vat or "-",
                        company=company.name,
                    )
                )
