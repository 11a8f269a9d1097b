from odoo import api, fields, models


class PosConfig(models.Model):
    _inherit = 'pos.config'

    kkt_register_id = fields.Many2one(
        'kkt.register',
        string="Cash Register",
        compute='_compute_kkt_register_id',
        help="The cash register that fiscalises the sales of this point of sale. Without one, sales give no fiscal receipts.",
    )

    @api.depends_context('uid')
    def _compute_kkt_register_id(self):
        registers = self.env['kkt.register'].sudo().search([('pos_config_id', 'in', self.ids)])
        by_config = {register.pos_config_id.id: register.id for register in registers}
        for config in self:
            config.kkt_register_id = by_config.get(config.id)
