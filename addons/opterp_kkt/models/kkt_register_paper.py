from odoo import fields, models


class KktRegister(models.Model):
    """What the register prints on."""

    _inherit = 'kkt.register'

    paper_width = fields.Selection(
        [('80', "80 mm"), ('58', "58 mm")],
        required=True,
        default='80',
        help="Of the receipt printer. The till's receipts are laid out for it.",
    )
