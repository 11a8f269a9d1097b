from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = 'res.config.settings'

    pos_kkt_register_id = fields.Many2one(related='pos_config_id.kkt_register_id')
    kkt_alarm_user_ids = fields.Many2many(related='company_id.kkt_alarm_user_ids', readonly=False)
    pos_kkt_check_list = fields.Html(related='pos_kkt_register_id.check_list')

    def action_open_kkt_register(self):
        """Open the register of this point of sale, or a new one for it."""
        return {
            'type': 'ir.actions.act_window',
            'res_model': 'kkt.register',
            'view_mode': 'form',
            'res_id': self.pos_kkt_register_id.id,
            'context': {'default_pos_config_id': self.pos_config_id.id, 'default_name': self.pos_config_id.name},
        }
