from odoo import models


class PosSession(models.Model):
    """Opening a session of a point of sale opens the shift of its register if it is closed, closing the session closes it. A
    register on the counter is told of cash that is put in or taken out.
    """

    _inherit = 'pos.session'

    def _set_opening_control_data(self, cashbox_value, notes):
        # EXTENDS 'point_of_sale'
        result = super()._set_opening_control_data(cashbox_value, notes)
        self._kkt_get_register()._open_shift_of_session(self._kkt_get_cashier())
        return result

    def close_session_from_ui(self, bank_payment_method_diff_pairs=None):
        # EXTENDS 'point_of_sale'
        self.env['kkt.register']._take_sale_lock(self.ids)
        return super().close_session_from_ui(bank_payment_method_diff_pairs)

    def _validate_session(self, balancing_account=False, amount_to_balance=0, bank_payment_method_diffs=None):
        # EXTENDS 'point_of_sale': it may roll back and ask by a wizard, the session is not closed then
        result = super()._validate_session(balancing_account, amount_to_balance, bank_payment_method_diffs)
        if self.state == 'closed':
            self._kkt_get_register()._close_shift_of_session(self._kkt_get_cashier())
        return result

    def try_cash_in_out(self, _type, amount, *reason):
        # EXTENDS 'point_of_sale'
        result = super().try_cash_in_out(_type, amount, *reason)
        for session in self.filtered('cash_journal_id'):
            session._kkt_move_cash(amount if _type == 'in' else -amount)
        return result

    def delete_cash_in_out(self, absl_id, partner_id):
        # EXTENDS 'point_of_sale': what the register has counted is counted back
        amount = self.env['account.bank.statement.line'].browse(absl_id).amount
        result = super().delete_cash_in_out(absl_id, partner_id)
        self._kkt_move_cash(-amount)
        return result

    def _kkt_move_cash(self, amount):
        self.env['kkt.cash.move'].sudo()._enter(self._kkt_get_register(), self, amount, self._kkt_get_cashier())

    def _kkt_get_register(self):
        return self.env['kkt.register'].sudo().search([('pos_config_id', '=', self.config_id.id)])

    def _kkt_get_cashier(self):
        """Tag 1021 of the reports on the shift: where the till has employees (`pos_hr`), the one who stands at it."""
        employee = 'employee_id' in self._fields and self.config_id.module_pos_hr and self.sudo().employee_id.name
        return employee or self.env.user.name
