from uuid import uuid4

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..transports import Outcome, open_transport


class KktRegister(models.Model):
    """What a register on the counter does beside its documents: a report without closing, a copy on paper, cash moves.

    Nothing is fiscalised by it. A person waits for it, so it goes past the queue; the device itself does one thing after another.
    """

    _inherit = 'kkt.register'

    printed_by = fields.Selection(
        [('register', "The register"), ('till', "The till")],
        "Receipts Are Printed by",
        required=True,
        default='register',
        help="A register on the counter prints what it fiscalises; then what the till prints is a copy. It fiscalises without"
        " paper where the till prints.",
    )
    prints = fields.Boolean(compute='_compute_prints', compute_sudo=True)

    @api.depends('driver', 'ofd_id.protocol')
    def _compute_prints(self):
        for register in self:
            register.prints = register._takes_command('copy')

    def _takes_command(self, name):
        return bool(self.ofd_id) and name in (self._is_receiver('commands') or ())

    def action_report_x(self):
        """Have the register print its report without closing. Commits."""
        self.ensure_one()
        self._check_may_deliver()
        return self._have_printed('report_x')

    def _have_printed(self, name, **facts):
        """What a button has the register print, and what it says of that."""
        if not self._takes_command(name):
            raise UserError(self.env._("%s prints nothing on demand.", self.name))
        answer = self._command(name, str(uuid4()), cashier=self.env.user.name, **facts)
        done = answer.outcome is Outcome.ACCEPTED
        return {
            'type': 'ir.actions.client',
            'tag': 'display_notification',
            'params': {
                'type': 'success' if done else 'danger',
                'title': self.env._("The register prints") if done else self._explain_no_paper(answer),
                'message': answer.message,
                'sticky': not done,
            },
        }

    def _explain_no_paper(self, answer):
        """Nobody knows what came of a question without an answer."""
        if answer.outcome in (Outcome.UNKNOWN, Outcome.PROCESSING):
            return self.env._("The register did not say whether it printed. Look whether it did, before you press again")
        return self.env._("The register printed nothing. Put right what it says, and press again")

    def _command(self, name, uuid, **facts):
        """Have it do that, once under this uuid, and return its answer. Commits."""
        transport = open_transport(self.sudo().ofd_id.protocol, self.ofd_id._get_endpoint())
        self.env.cr.commit()  # no network call while this transaction is open  # pylint: disable=invalid-commit
        try:
            return transport.command(uuid, name, **facts)
        finally:
            transport.close()


class KktReceipt(models.Model):
    """A copy of what was fiscalised, out of the register's own memory. It is never fiscalised again."""

    _inherit = 'kkt.receipt'

    register_copies = fields.Boolean(compute='_compute_register_copies')

    @api.depends('fd_number', 'fiscal_drive_number', 'register_id.prints', 'register_id.fiscal_drive_number')
    def _compute_register_copies(self):
        for receipt in self:
            register = receipt.register_id
            is_there = receipt.fd_number and receipt.fiscal_drive_number == register.fiscal_drive_number
            receipt.register_copies = is_there and register.prints

    def _is_printed_by_register(self):
        return self.register_id.printed_by == 'register' and self.register_id._takes_command('copy')

    def action_print_again(self):
        """Have the register print a copy. Commits."""
        self.ensure_one()
        self.register_id._check_may_deliver()
        if not self.register_copies:
            raise UserError(
                self.env._("%s is not in the memory of the register as it is now: print it from here.", self.display_name)
            )
        return self.register_id._have_printed('copy', fd_number=self.fd_number)
