from odoo import models
from odoo.exceptions import UserError


class KktAlarm(models.Model):
    """The buttons that help against an alarm: those of the record that it is about, with the rights that they ask there.

    The alarm itself goes when the watch sees that its cause is gone.
    """

    _inherit = 'kkt.alarm'

    def action_deliver(self):
        """Deliver what waits: of the register, or of the registers whose OFD it is about."""
        return self._get_registers().action_deliver_now()

    def action_release_hold(self):
        """Let the register go on."""
        return self._get_registers().action_release_hold()

    def action_hold(self):
        """Stop the tries of the document that does not pass."""
        return self._get_registers().action_hold()

    def action_close_shift(self):
        """Close the shift that is open for long."""
        self._get_registers().action_close_shift()
        self.env['kkt.watch']._wake()

    def action_open_rejected(self):
        """The documents that were rejected, to be tried again, corrected or handled."""
        return {
            **self.env['ir.actions.act_window']._for_xml_id('opterp_kkt.kkt_receipt_action'),
            'domain': [('register_id', 'in', self._get_registers().ids), ('state', '=', 'rejected'), ('handled_at', '=', False)],
        }

    def action_test_connection(self):
        """Ask the OFD whether it answers, and as one that knows us."""
        return self._get_ofds()[:1].action_test_connection()

    def action_set_automatic(self):
        """Have the breaker decide by itself again."""
        self._get_concerned().write({'mode': 'automatic', 'mode_reason': False})
        self.env['kkt.watch']._wake()

    def _get_concerned(self):
        """The record that it is about, if the user may see it; it may be gone."""
        record = self._get_record().exists()
        if not record:
            raise UserError(self.env._("What this alarm is about is not there any more."))
        record.check_access('read')
        return record

    def _get_ofds(self):
        record = self._get_concerned()
        return {'kkt.ofd': lambda: record, 'kkt.circuit.breaker': lambda: record.ofd_ids, 'kkt.register': lambda: record.ofd_id}[
            self.res_model
        ]()

    def _get_registers(self):
        record = self._get_concerned()
        return (
            record
            if self.res_model == 'kkt.register'
            else self.env['kkt.register'].search([('ofd_id', 'in', self._get_ofds().ids)])
        )
