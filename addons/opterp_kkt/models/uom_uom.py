from odoo import api, fields, models

from ..core.lines import OTHER_MEASURE, PIECE

MEASURES = {  # external ID in module uom → tag 2108
    'product_uom_unit': PIECE,
    'product_uom_gram': 10,
    'product_uom_kgm': 11,
    'product_uom_ton': 12,
    'product_uom_cm': 20,
    'product_uom_meter': 22,
    'product_uom_square_meter': 32,
    'product_uom_milliliter': 40,
    'product_uom_litre': 41,
    'product_uom_cubic_meter': 42,
    'product_uom_kwh': 50,
    'product_uom_day': 70,
    'product_uom_hour': 71,
    'product_uom_minute': 72,
}


class UomUom(models.Model):
    """Units of measure have a code on fiscal receipts (tag 2108). What the law has none for is "other"."""

    _inherit = 'uom.uom'

    kkt_measure = fields.Integer(
        "Measure on Fiscal Receipts",
        compute='_compute_kkt_measure',
        store=True,
        readonly=False,
        help="The code of tag 2108: 0 pieces or units, 11 kilograms, 22 metres, 41 litres, 71 hours, 255 anything else.",
    )

    @api.depends('relative_uom_id')
    def _compute_kkt_measure(self):
        names = self._get_external_ids()
        for unit in self:
            codes = [MEASURES[name[4:]] for name in names[unit.id] if name.startswith('uom.') and name[4:] in MEASURES]
            unit.kkt_measure = codes[0] if codes else OTHER_MEASURE
