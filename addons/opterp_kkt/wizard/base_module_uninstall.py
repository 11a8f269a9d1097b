from odoo import models


class BaseModuleUninstall(models.TransientModel):
    """Among what an uninstall deletes, mail lists only what has a chatter; the fiscal documents matter most."""

    _inherit = 'base.module.uninstall'

    def _get_models(self):
        # EXTENDS 'mail'
        return super()._get_models() | self.env['ir.model']._get('kkt.receipt')
