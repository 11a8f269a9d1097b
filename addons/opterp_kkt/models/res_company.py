from odoo import fields, models

from .kkt_register import TAXATION_SYSTEMS


class ResCompany(models.Model):
    _inherit = 'res.company'

    kkt_taxation_system = fields.Selection(
        TAXATION_SYSTEMS,
        "Taxation System of New Registers",
        required=True,
        default='1',
        help="Tag 1055. What a register states, it is registered with.",
    )
    kkt_alarm_user_ids = fields.Many2many(
        'res.users',
        'kkt_alarm_res_users_rel',
        string="Told of Alarms",
        domain=lambda self: [('all_group_ids', 'in', self.env.ref('point_of_sale.group_pos_user').ids)],
        help="They get activities and e-mails when receipts don't reach the OFD. Nobody chosen: all fiscal administrators.",
    )
