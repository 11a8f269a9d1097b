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

    @api.model
    def _load_pos_data_read(self, records, config):
        # EXTENDS 'point_of_sale': with what a till opens it gets what its icon shows, so that it need not ask, and what is wrong
        rows = super()._load_pos_data_read(records, config)
        register = config.kkt_register_id
        for row in rows:
            if register and row['id'] == config.id and register.has_access('read'):
                row['_kkt_report'] = {**register.get_till_report(), 'problems': register.sudo()._get_check_list()}
        return rows
