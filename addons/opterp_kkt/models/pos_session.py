from odoo import models


class PosSession(models.Model):
    """A session of a point of sale is a shift of its register."""

    _inherit = 'pos.session'

    def _set_opening_control_data(self, cashbox_value, notes):
        # EXTENDS 'point_of_sale'
        result = super()._set_opening_control_data(cashbox_value, notes)
        self.env['kkt.register'].sudo().search([('pos_config_id', '=', self.config_id.id)])._begin_shift()
        return result
