from odoo import fields, models


class MailActivity(models.Model):
    _inherit = 'mail.activity'

    kkt_alarm_id = fields.Many2one('kkt.alarm', readonly=True, index='btree_not_null', ondelete='set null')
