from odoo import models


class KktRegister(models.Model):
    """A correction may be made at another register of the company: the wrong one is gone, or was none."""

    _inherit = 'kkt.register'

    def action_correct(self):
        """Open the dialog that states a settlement made without the register."""
        self.ensure_one()
        self.env['kkt.receipt']._check_may_correct()
        self.check_access('read')
        return self.env['kkt.correction.draft']._start(
            {'register_id': self.id, 'taxation_system': self.taxation_system, 'operation_type': '1'}
        )

    def _get_substitute(self, company=None):
        """A register of the same company that is in use."""
        return self.search([('company_id', '=', (company or self.company_id).id)], order='id', limit=1)

    def _get_first_day(self):
        """The day of the first document that is known of this register's drive."""
        first = self.env['kkt.receipt'].search(
            [('fiscal_drive_number', '=', self.fiscal_drive_number), ('fd_number', '>', 0)], order='fd_number', limit=1
        )
        return self._get_local_time(first.hlc_local_time).date() if first else self._get_day()
