from odoo import models
from odoo.exceptions import UserError


class IrModuleModule(models.Model):
    """Uninstalling deletes all fiscal documents, as Odoo's wizard lists: refused while one has yet to reach the OFD.

    On a neutralized copy nothing can be delivered and nothing is lost, so there it may be tried.
    """

    _inherit = 'ir.module.module'

    def button_immediate_uninstall(self):
        # EXTENDS 'base': say so first; a delivery that runs meanwhile has it refuse with other words
        self._kkt_check_uninstall()
        return super().button_immediate_uninstall()

    def button_uninstall(self):
        # EXTENDS 'base'
        self._kkt_check_uninstall()
        return super().button_uninstall()

    def _kkt_check_uninstall(self):
        neutralized = self.env['ir.config_parameter'].sudo().get_param('database.is_neutralized')
        if neutralized or 'opterp_kkt' not in (self + self.downstream_dependencies()).mapped('name'):
            return
        receipts = self.env['kkt.receipt'].sudo()
        waiting = receipts.search_count([('state', 'in', ('pending', 'sending'))])
        rejected = receipts.search_count([('state', '=', 'rejected'), ('handled_at', '=', False)])
        if waiting or rejected:
            raise UserError(
                self.env._(
                    "Uninstalling would delete fiscal documents that the OFD does not have, although the law asks to hand"
                    " them over: waiting %(waiting)s, rejected %(rejected)s.\n\nOpen Point of Sale, Fiscal Receipts. Deliver what"
                    " waits (Registers, Deliver now), and mark as handled what was rejected and put right by other means. Then"
                    " uninstall.",
                    waiting=waiting,
                    rejected=rejected,
                )
            )
